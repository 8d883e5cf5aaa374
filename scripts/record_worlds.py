"""Records the worlds in which `find` is raced: the scores of every run of a sweep, read from its folders.

    python scripts/record_worlds.py FOLDER NAME [FOLDER NAME …]     writes scripts/racing/NAME.csv.gz
    python scripts/record_worlds.py outputs/world-brain brain outputs/world-wbc wbc outputs/world-isbi isbi

A row is a run: arm, seed, val/dice of its best checkpoint, val/dice after each epoch, and the mean foreground Dice of
every test image. Scores have five decimals, a thousandth of a Dice point. Seeds that an arm lacks are left out for all
arms, and said.

The three recordings are sweeps of the 12 arms of conf/sweep/find.yaml, one thread a run, some hours in all:

    RUN="python -m segtrain -m threads=1 trainer.max_epochs=3 checkpoint.keep=best sweep=find"
    $RUN experiment=brain_scanners data.batch_size=4 data.steps_per_epoch=40 'seed=range(40)' name=world-brain
    $RUN --config-dir my_conf dataset=wbc model=unet_shallow data.crop=64 data.batch_size=8 data.steps_per_epoch=20 \
        'seed=range(16)' name=world-wbc
    $RUN --config-dir my_conf dataset=isbi model=unet_shallow data.crop=96 data.batch_size=4 data.steps_per_epoch=25 \
        'seed=range(16)' name=world-isbi

brain needs nothing but the extra `demo`. wbc is 300 stained white blood cells (background 0, cytoplasm 128, nucleus
255), 15 % of them for validation and half for the test; isbi the 30 slices of the ISBI 2012 challenge (membrane 0,
inside 255), of which the 256 x 256 pixels in the middle are kept so that a run takes seconds, 20 % and 35 % of them
likewise. Both are folders of images and masks (dataset=folder), which you have to fetch yourself.
"""

import argparse
import csv
import gzip
import io
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from segtrain.app.report.arms import Arm, arms_of
from segtrain.app.report.read_runs import Repetition, Run, read_whole_runs, score_of_image
from segtrain.files import write_whole

FOLDER = Path(__file__).parent / "racing"


def rows_of(folder: Path) -> list[list[str]]:
    """Returns the head and a row for every run of the seeds that all arms have."""
    runs, unread = read_whole_runs([folder])
    for path in [*unread, *(run.path for run in runs if not run.finished)]:
        print(f"left out: {path.name}")
    arms = arms_of([run for run in runs if run.finished])
    whole = set.intersection(*(set(arm.finished) for arm in arms))
    if lacking := {rep for arm in arms for rep in arm.finished} - whole:
        print(f"left out, as an arm lacks them: {', '.join(map(str, sorted(lacking)))}")
    if not whole:
        raise SystemExit(f"no seed of {folder} has a run of every arm")
    images, epochs = shared([arm.finished[rep] for arm in arms for rep in whole])
    head = ["arm", "seed", "val/dice", *(f"val/dice after epoch {n + 1}" for n in range(epochs)), *images]
    return [head, *(row_of(arm, rep, images, epochs) for arm in arms for rep in sorted(whole))]


def shared(runs: Sequence[Run]) -> tuple[list[str], int]:
    """Returns the test images of the runs and their number of epochs, which must be the same in all."""
    tested, lengths = {frozenset(run.images) for run in runs}, {len(run.epochs) for run in runs}
    if len(tested) > 1 or len(lengths) > 1:
        raise SystemExit("the runs do not all test the same images after the same number of epochs")
    return sorted(*tested), *lengths


def row_of(arm: Arm, rep: Repetition, images: Iterable[str], epochs: int) -> list[str]:
    run = arm.finished[rep]
    scores = [
        float(run.results["val/dice"]),
        *(run.epochs[n]["val/dice"] for n in range(epochs)),
        *(score_of_image(run.images[name], "dice") for name in images),
    ]
    if any(map(math.isnan, scores)):
        raise SystemExit(f"{run.path.name} lacks a score")
    return [arm.name, str(rep.seed), *(f"{score:.5f}" for score in scores)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="FOLDER NAME", help="the folder of a sweep, and what to call it")
    pairs = parser.parse_args().pairs
    if len(pairs) % 2:
        parser.error("expected pairs of a folder and a name")
    for folder, name in zip(pairs[::2], pairs[1::2], strict=True):
        rows = rows_of(Path(folder))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        path = FOLDER / f"{name}.csv.gz"
        write_whole(path, gzip.compress(text.getvalue().encode(), mtime=0))
        print(f"{path.name}: {len(rows) - 1} runs, {path.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
