"""Which augmentation buys which robustness: the arms on shifted test images, as `evaluate shift=…` scored them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import Contrast, contrasts
from segtrain.app.report.read_runs import Run
from segtrain.app.report.scores import PIXELS
from segtrain.runs.folder import RunFolder
from segtrain.runs.image_table import UNSHIFTED, Images, Shift, read_shifted

SCORE = "dice"


class Robustness(NamedTuple):
    """The arms under every shift that two of them were scored under."""

    arms: dict[Shift, list[Arm]]  # with the scores under the shift in place of the test's
    contrasts: dict[Shift, list[Contrast]]
    left_out: list[str]  # runs whose file is of other weights, images or draws

    @property
    def shifts(self) -> list[str]:
        """The policies, in order."""
        return list(dict.fromkeys(name for name, _ in self.arms))

    def missing(self, arms: Sequence[Arm]) -> list[str]:
        """Returns which finished runs of the arms were not scored under a shift that others were, in words."""
        said = []
        for (name, strength), under in self.arms.items():
            there = {arm.name: arm.finished for arm in under}
            lone = {arm.name: [str(rep) for rep in arm.finished if rep not in there.get(arm.name, {})] for arm in arms}
            if found := [f"{arm} ({', '.join(reps)})" for arm, reps in lone.items() if reps]:
                said.append(f"{name} × {strength:g}: {', '.join(found)}")
        return said

    def strengths(self, shift: str) -> list[float]:
        """The strengths of a policy, ascending."""
        return sorted(strength for name, strength in self.arms if name == shift)


def robustness(arms: Sequence[Arm]) -> Robustness | None:
    """What the arms' runs hold; None where none was scored under a shift."""
    scored: dict[Path, dict[Shift, Images]] = {}
    left_out = []
    seeds: set[str] = set()
    for run in (run for arm in arms for run in arm.finished.values() if RunFolder(run.path).robustness.exists()):
        seed, tables = read_shifted(RunFolder(run.path).robustness)
        seeds = seeds or {seed}  # of the draws: those of another seed are other images
        if seed in seeds and _same(tables.pop(UNSHIFTED, {}), run):
            scored[run.path] = tables
        else:
            left_out.append(run.path.name)
    shifts = sorted({shift for tables in scored.values() for shift in tables})
    under = {shift: _under(arms, shift, scored) for shift in shifts}
    under = {shift: found for shift, found in under.items() if found}
    if not under:
        return None
    return Robustness(under, {shift: contrasts(found, SCORE) for shift, found in under.items()}, left_out)


def mean(arm: Arm) -> float:
    """Returns an arm's mean Dice over repetitions and test images, or groups of them; NaN without any."""
    table = arm.table(SCORE)
    return table.mean if table else math.nan


def _under(arms: Sequence[Arm], shift: Shift, scored: Mapping[Path, Mapping[Shift, Images]]) -> list[Arm]:
    found = []
    for arm in arms:
        runs = {s: run for s, run in arm.finished.items() if shift in scored.get(run.path, {})}
        shifted = {s: run._replace(images=_with_pixels(scored[run.path][shift], run)) for s, run in runs.items()}
        found += [arm._replace(runs=shifted)] if shifted else []
    return found


def _with_pixels(images: Images, run: Run) -> Images:
    """With what per_image.csv says of counted pixels: an image without any has no score under a shift either."""
    pixels = {name: {PIXELS: row[PIXELS]} for name, row in run.images.items() if PIXELS in row}
    return {name: {**pixels.get(name, {}), **row} for name, row in images.items()}


def _same(unshifted: Images, run: Run) -> bool:
    """Whether the file is of the run as it is now: an unshifted image scores what it did in the run's test."""
    test = {name: row[SCORE] for name, row in run.images.items()}
    ours = {name: row[SCORE] for name, row in unshifted.items()}
    return ours.keys() == test.keys() and all(ours[n] == test[n] or math.isnan(ours[n] + test[n]) for n in test)
