"""What runs say together, before it is set as a page."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from segtrain.runs.files import write_whole
from segtrain.sweeps import verdict
from segtrain.sweeps.arms import Arm, Choice, Contrast, arms_of, choice, contrasts
from segtrain.sweeps.reading import Run, read_runs
from segtrain.sweeps.robustness import Robustness, robustness

SCORE = "dice"
PLAN = "sweep.yaml"  # in a sweep's folder: its jobs, by folder


class Findings(NamedTuple):
    """What a report says, before it is set."""

    title: str
    runs: list[Run]
    arms: list[Arm]
    contrasts: list[Contrast]
    by_class: dict[str, list[Contrast]]  # class name to the same in its Dice
    choice: Choice | None
    warnings: list[str]
    robustness: Robustness | None  # under shifts, where runs were scored so


def find(folders: Sequence[Path]) -> Findings:
    """Read the runs and compare them.

    Raises:
        UserError: there is no run.
    """
    runs = read_runs(folders)
    arms = arms_of(runs)
    compared = contrasts(arms, SCORE)
    scores = {key for run in runs for row in run.images.values() for key in row if key.startswith(f"{SCORE}/")}
    by_class = {key.partition("/")[2]: contrasts(arms, key) for key in sorted(scores)}
    warned = verdict.warnings(runs, arms, compared, _missing(folders, runs))
    title = " and ".join(folder.resolve().name for folder in folders)
    return Findings(title, runs, arms, compared, by_class, choice(arms), warned, robustness(arms))


def _missing(folders: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """Jobs of the sweeps' plans without a run folder."""
    there = {run.path for run in runs}
    plans = [folder / PLAN for folder in folders if (folder / PLAN).exists()]
    names = [(plan.parent, name) for plan in plans for name in yaml.safe_load(plan.read_text(encoding="utf-8"))]
    return [name for parent, name in names if (parent / name).resolve() not in there]


def write_plan(folder: Path, jobs: Mapping[str, Sequence[str]]) -> None:
    """Add jobs, run folder's name to overrides, to the plan of a sweep's folder: what is planned and missing is said.

    Raises:
        UserError: the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PLAN
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    planned = {**before, **{name: list(overrides) for name, overrides in jobs.items()}}
    write_whole(path, yaml.safe_dump(planned, sort_keys=False))


def featured(found: Findings) -> Contrast | None:
    """The contrast that is looked at image by image: of the arm that validation chose, else the largest."""
    named = [c for c in found.contrasts if found.choice and c.arm.name == found.choice.best.name]
    return next(iter(named or sorted(found.contrasts, key=lambda c: -c.estimate.mean)), None)


def score_of(run: Run) -> float:
    """A run's mean over its test images of the foreground Dice; images without one are left out."""
    known = [row[SCORE] for row in run.images.values() if not math.isnan(row[SCORE])]
    return float(np.mean(known)) if known else math.nan
