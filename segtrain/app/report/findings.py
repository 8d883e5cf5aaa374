"""Finds what runs say together, before it is set as a page."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from segtrain import plain_files
from segtrain.app.report import cautions
from segtrain.app.report.arms import Arm, Choice, arms_of, choice
from segtrain.app.report.contrasts import SCORE, Contrast, contrasts
from segtrain.app.report.read_runs import (
    FalsePositives,
    Run,
    count_false_positives,
    empty_images,
    read_whole_runs,
    score_of_image,
)
from segtrain.app.report.robustness import Robustness, find_robustness
from segtrain.errors import damaged
from segtrain.files import followed, make_own, text_of, write_whole
from segtrain.runs.contents import are_texts

PLAN = "sweep.yaml"  # in a sweep's folder: its jobs, by folder


class Findings(NamedTuple):
    """Holds what a report says, before it is set."""

    title: str
    runs: list[Run]
    arms: list[Arm]
    contrasts: list[Contrast]
    by_class: dict[str, list[Contrast]]  # class name to the same in its Dice
    choice: Choice | None
    warnings: list[str]
    robustness: Robustness | None  # under shifts, where runs were scored so
    empty: dict[str, dict[str, FalsePositives]]  # score to arm's name to predictions on empty images; those with any


def compare_runs(folders: Sequence[Path]) -> Findings:
    """Reads the runs and compares them.

    Raises:
        UserError: there is no run, or none that can be read; or the plan of a sweep is damaged.
    """
    runs, unread = read_whole_runs(folders)
    arms = arms_of(runs)
    compared = contrasts(arms, SCORE)
    scores = {key for run in runs for row in run.images.values() for key in row if key.startswith(f"{SCORE}/")}
    by_class = {key.partition("/")[2]: contrasts(arms, key) for key in sorted(scores)}
    chosen = choice(arms)
    warned = [f"{path.name} is left out, as it cannot be read: {reason}." for path, reason in unread.items()]
    warned += cautions.warnings(runs, arms, compared, _missing(folders, {run.path for run in runs} | unread.keys()))
    title = " and ".join(folder.resolve().name for folder in folders)
    empty = {key: found for key in [SCORE, *sorted(scores)] if (found := _on_empty(arms, key))}
    return Findings(title, runs, arms, compared, by_class, chosen, warned, find_robustness(arms), empty)


def _on_empty(arms: Sequence[Arm], score: str) -> dict[str, FalsePositives]:
    """Returns the predictions on empty images by arm; none where no test image is empty."""
    runs = {arm.name: list(arm.finished.values()) for arm in arms}
    empty = empty_images([run for of in runs.values() for run in of], score)
    return {name: count_false_positives(of, score, empty) for name, of in runs.items() if of} if empty else {}


def _missing(folders: Sequence[Path], there: Collection[Path]) -> list[str]:
    """Returns the jobs of the sweeps' plans without a run folder."""
    names = [(folder, name) for folder in folders for name in read_plan(folder)]
    return [name for parent, name in names if (parent / name).resolve() not in there]


def read_plan(folder: Path) -> dict[str, list[str]]:
    """Returns the jobs of a sweep's folder, run folder's name to overrides; none where it has no plan.

    Raises:
        UserError: the plan is damaged.
    """
    path = folder / PLAN
    if not path.exists():
        return {}
    jobs = plain_files.read_yaml(text_of(path), path)
    if not isinstance(jobs, dict) or not all(isinstance(key, str) and are_texts(jobs[key]) for key in jobs):
        raise damaged(path, "something else", "the jobs of a sweep, each with its overrides")
    return jobs


def write_plan(folder: Path, jobs: Mapping[str, Sequence[str]]) -> None:
    """Adds jobs, run folder's name to overrides, to the plan of a sweep's folder: what is missing of it is said.

    Raises:
        UserError: the disk does not take it, or the plan that is there is damaged.
    """
    path = followed(folder) / PLAN
    make_own(path.parent)
    planned = {**read_plan(folder), **{name: list(overrides) for name, overrides in jobs.items()}}
    write_whole(path, yaml.safe_dump(planned, sort_keys=False))


def featured(found: Findings) -> Contrast | None:
    """Returns the contrast that is looked at image by image: of the arm that validation chose, else the largest."""
    named = [c for c in found.contrasts if found.choice and c.arm.name == found.choice.best.name]
    return next(iter(named or sorted(found.contrasts, key=lambda c: -c.estimate.mean)), None)


def score_of(run: Run) -> float:
    """Returns a run's mean over its test images of the foreground Dice; rightly empty ones count as 1."""
    known = [one for row in run.images.values() if not math.isnan(one := score_of_image(row, SCORE))]
    return float(np.mean(known)) if known else math.nan
