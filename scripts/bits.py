"""Records the bits of trainings and evaluations, and holds them against those that another commit made.

    python scripts/bits.py record FOLDER > bits.json       runs the commands below in FOLDER, which must be new or empty
    python scripts/bits.py compare bits.json FOLDER        runs those that bits.json names again, in another such folder

With --quick the README's first command, which takes longest, is left out. How long each takes is printed. The code is
that which Python finds, so of an earlier commit, in a worktree of its own:

    git worktree add --detach BEFORE COMMIT && PYTHONPATH=BEFORE python scripts/bits.py record FOLDER > bits.json

`compare` prints a line a file and ends with exit status 1 when one differs, is missing or is new. Sums are sha256 of
the whole file, of metrics.csv without its columns of times. Processors and versions of libraries round differently, so
both must run on one machine, in one environment: what is known of it stands in bits.json, and `compare` says what is
another.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import segtrain
from segtrain.runs.metrics_csv import reproducible_bytes

SMALL = [
    *("dataset=shapes", "dataset.n=16", "trainer=cpu", "trainer.max_epochs=2", "data.batch_size=2", "data.crop=32"),
    *(
        "data.steps_per_epoch=4",
        "threads=1",
        "model.encoder_name=tu-test_resnet",
        "+model.decoder_channels=[8,8,8,8,8]",
    ),
]
README = "readme"
# name -> commands, one after the other in a folder of that name; RUN is the run that the first of them made.
COMMANDS = {
    "plain": [[*SMALL, "aug=none"]],
    "elastic": [[*SMALL, "aug=medical_elastic", "data.num_workers=1", "data.cache=disk"]],
    "mixing": [
        [*SMALL, "aug=cutmix", "data.crop_class=0.5", "data.sampling=classes", "loss.class_weights=median_frequency"]
    ],
    "drawn": [[*SMALL, "aug=randaugment", "ema=0.9", "deep_supervision=true", "trainer.accumulate_grad_batches=2"]],
    "resumed": [
        [*SMALL, "aug=albumentations_basic", "trainer.max_epochs=1"],
        ["resume=RUN", "trainer.max_epochs=3"],
    ],
    "evaluated": [
        [*SMALL, "aug=photometric"],
        ["evaluate", "run=RUN"],
        ["evaluate", "run=RUN", "shift=photometric,geometric"],
        ["evaluate", "run=RUN", "part=val", "views=flips", "window=32"],
        ["init_from=RUN", *SMALL, "aug=flips", "encoder_lr=0.1", "freeze_encoder=1"],
    ],
    "sweep": [
        ["-m", *SMALL, "aug=none,geometric", "seed=0,1"],
        ["report", "outputs/shapes", "to=report", "times=false"],
    ],
    README: [["aug=medical_elastic"], ["evaluate", "run=RUN"]],
}
COMPARED = (
    *("best.safetensors", "metrics.csv", "per_image.csv", "results.json", "shifts.csv", "split.json"),
    *("report/runs.csv", "report/report.md"),  # the report without times
)


def main() -> int:
    arguments = parse()
    require_empty(arguments.folder)
    print(f"code: {Path(segtrain.__file__).parent}", file=sys.stderr)
    if arguments.action == "record":
        names = [name for name in COMMANDS if not (arguments.quick and name == README)]
        print(json.dumps({"environment": environment(), "files": record(arguments.folder, names)}, indent=1))
        return 0
    before = json.loads(arguments.bits.read_text(encoding="utf-8"))
    names = [name for name in COMMANDS if any(path.startswith(f"{name}/") for path in before["files"])]
    names = [name for name in names if not (arguments.quick and name == README)]
    expected = {path: digest for path, digest in before["files"].items() if path.partition("/")[0] in names}
    return compare(before["environment"], expected, record(arguments.folder, names))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("record", "compare"):
        one = actions.add_parser(action)
        if action == "compare":
            one.add_argument("bits", type=Path, help="what record printed")
        one.add_argument("folder", type=Path, help="new or empty; the runs stay in it")
        one.add_argument("--quick", action="store_true", help="leaves out the README's first command")
    return parser.parse_args()


def require_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(
            f"'{folder}' holds something; expected a new or empty folder, for old runs would be taken for new"
        )


def environment() -> dict[str, Any]:
    packages = (
        "torch",
        "numpy",
        "albumentations",
        "opencv-python-headless",
        "segmentation-models-pytorch",
        "timm",
        "lightning",
    )
    versions = {name: version(name) for name in packages}
    return {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def record(folder: Path, names: list[str]) -> dict[str, str]:
    """Runs the commands in the folder, and returns the sums of what they made."""
    for name in names:
        began = time.monotonic()
        for command in COMMANDS[name]:
            run(folder / name, name, command)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return sums(folder)


def sums(folder: Path) -> dict[str, str]:
    """Returns the sum of each file that is compared, by its path below the folder."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if "cache" not in path.parts]
    found = [path for path in paths if path.name in COMPARED or "/".join(path.parts[-2:]) in COMPARED]
    return {path.as_posix(): hashlib.sha256(_compared(folder / path)).hexdigest() for path in found}


def _compared(path: Path) -> bytes:
    """Returns the bytes of a file, without the lines that name a commit and the columns of times."""
    lines = reproducible_bytes(path).splitlines(keepends=True)
    return b"".join(line for line in lines if path.suffix != ".md" or b"; commit " not in line)


def run(folder: Path, name: str, command: list[str]) -> None:
    """Runs one command as a user would, in the folder; ends with what it said if it fails."""
    folder.mkdir(exist_ok=True)
    typed = [part.replace("RUN", first_run(folder)) if part.endswith("=RUN") else part for part in command]
    done = subprocess.run(
        [sys.executable, "-m", "segtrain", *typed],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(segtrain.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(
            f"{name}: {' '.join(typed)} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
        )


def first_run(folder: Path) -> str:
    (found,) = folder.glob("outputs/*/*/config.yaml")
    return found.parent.relative_to(folder).as_posix()


def compare(environment_before: dict[str, Any], before: dict[str, str], now: dict[str, str]) -> int:
    """Prints a line a file; returns the exit status."""
    here = environment()
    for key in sorted(here.keys() | environment_before.keys()):
        if here.get(key) != environment_before.get(key):
            print(f"another {key}: {environment_before.get(key)} before, {here.get(key)} now")
    verdicts = {path: verdict(before.get(path), now.get(path)) for path in sorted(before.keys() | now.keys())}
    for path, said in verdicts.items():
        print(f"{said:9s} {path}")
    wrong = sum(said != "equal" for said in verdicts.values())
    print(f"{len(verdicts) - wrong} of {len(verdicts)} files are equal to the bit")
    return 1 if wrong else 0


def verdict(before: str | None, now: str | None) -> str:
    if before is None or now is None:
        return "new" if before is None else "missing"
    return "equal" if before == now else "DIFFERENT"


if __name__ == "__main__":
    sys.exit(main())
