"""How long `--help` and `--cfg job` take, against a bare Hydra app doing the same.

The bare app has a handful of keys and no group; both are started in a fresh interpreter, in turn, from an empty
folder. Everything that a command line does before its verb runs is in it: the interpreter, Hydra's imports, its
search for plugins, composing and printing.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import Comparison

AIM = 1.5  # times a bare Hydra app
REPEATS, QUICK_REPEATS = 15, 5
REPO = Path(__file__).resolve().parents[2]

BARE_APP = """
import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config):
    pass

main()
"""
BARE_CONFIG = "name: bare\nseed: 0\nmodel:\n  depth: 4\n  width: 32\ntrainer:\n  max_epochs: 10\n"


def run(quick: bool) -> list[Comparison]:
    """One comparison a flag."""
    repeats = QUICK_REPEATS if quick else REPEATS
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text(BARE_APP, encoding="utf-8")
        (Path(folder) / "config.yaml").write_text(BARE_CONFIG, encoding="utf-8")
        return [compare(flags, app, repeats) for flags in (["--help"], ["--cfg", "job"])]


def compare(flags: Sequence[str], app: Path, repeats: int) -> Comparison:
    ours, bare = ["-m", "segtrain", *flags], [str(app), *flags]
    seconds(ours, app.parent), seconds(bare, app.parent)  # byte code and disk cache are warm from here on
    taken = [(seconds(ours, app.parent), seconds(bare, app.parent)) for _ in range(repeats)]
    return Comparison(
        name=" ".join(flags),
        setting="whole process, warm disk cache",
        alternative_name="bare Hydra app",
        unit="s",
        figure="ratio",
        aim=AIM,
        ours=[a for a, _ in taken],
        alternative=[b for _, b in taken],
    )


def seconds(arguments: Sequence[str], folder: Path) -> float:
    """Wall-clock time of one run of this Python.

    Raises:
        RuntimeError: it failed or printed nothing, so its time would mean nothing.
    """
    path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - begin
    if done.returncode != 0 or not done.stdout.strip():
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return taken
