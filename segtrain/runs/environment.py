"""Records what a run's results depend on besides its config: code, packages and machine."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import segtrain

OURS = ("segtrain", "conf", "hydra_plugins", "pyproject.toml")  # what of a checkout makes results
PACKAGES = (
    "segtrain",
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "segmentation-models-pytorch",
    "timm",
    "albumentations",
    "albucore",
    "opencv-python-headless",
    "numpy",
    "scipy",
    "pillow",
    "nilearn",
    "hydra-core",
    "omegaconf",
)


def environment(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of env.json; `extra` (device, threads, seed, data fingerprint) comes last.

    `segtrain_commit` and `segtrain_dirty` are None when the package does not run from a git checkout or
    git is missing, `working_directory_commit` likewise. Holds no path, user or host name.
    """
    commit, is_dirty = _code()
    return {
        "segtrain_commit": commit,
        "segtrain_dirty": is_dirty,
        "working_directory_commit": _git(Path.cwd(), "rev-parse", "HEAD"),
        "python": platform.python_version(),
        "packages": _versions(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_usable": _usable_cpus(),
        **extra,
    }


def _code() -> tuple[str | None, bool | None]:
    """Returns the commit of segtrain's checkout, and whether a tracked file of its code is another than there.

    What a user keeps in the clone (configs, data, runs) is no code of ours. Both are None where segtrain was installed
    into a folder of somebody else's repository.
    """
    package = Path(segtrain.__file__).resolve().parent
    checkout = package.parent
    is_top = _git(checkout, "rev-parse", "--show-prefix") == ""
    if not is_top or not _git(checkout, "ls-files", "--", f"{package.name}/__init__.py"):
        return None, None
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", *OURS)
    return _git(checkout, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _git(folder: Path, *command: str) -> str | None:
    """Returns what git prints, None when it cannot tell; variables of a surrounding git hook do not reach it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *command],
            cwd=folder,
            env={**outside, "GIT_OPTIONAL_LOCKS": "0"},  # look only: never hold the user's index
            capture_output=True,
            text=True,
            timeout=10,  # seconds; a huge repository on a slow disk must not hold up a run
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    """Returns the installed versions by distribution name, read from metadata; missing packages are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    """Returns the CPU as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _usable_cpus() -> int | None:
    """Returns the cores that this process may use: fewer than the machine's under taskset or a scheduler."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
