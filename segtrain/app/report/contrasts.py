"""Compares each arm with its baseline, and says what words the comparison allows."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.app.report import cross_checks, paired
from segtrain.app.report.arms import Arm, baseline_of, groups_of_all
from segtrain.app.report.cross_checks import Neighbours
from segtrain.app.report.design import Design, ScoreTable, arrange
from segtrain.app.report.paired import Estimate
from segtrain.app.report.read_runs import score_of_image

ALPHA = 1 - paired.LEVEL
POINTS = 100.0  # Dice points, hundredths
SCORE = "dice"  # by which arms are judged, where no other is asked for
NOT_BY_CHANCE = 0.05  # p from which the likeness of neighbours counts as found


class Contrast(NamedTuple):
    """Holds an arm against its baseline, in one score."""

    arm: Arm
    baseline: Arm
    score: str
    table: ScoreTable  # of the differences
    estimate: Estimate
    of_images: dict[str, float]  # mean difference over the repetitions that test it
    left_out: int  # test images without a score, as no pixel of them counts
    unshared: int  # test images that one of two paired runs lacks
    same_data: bool  # whether all runs have one fingerprint of the data
    p_holm: float
    sign_flip: float  # p over rows, on exactly these images
    superiority: tuple[float, float, float]  # P(arm > baseline) with its interval
    bootstrap: tuple[float, float]
    at_once: tuple[float, float]  # the interval that holds together with those of all other arms
    neighbours: Neighbours | None = None  # where units stand alone and those next to each other differ alike
    raced: int = 0  # repetitions of a find's race, by which the arms were chosen
    by_race: bool = False  # whether these are all that there is; else they are left out

    @property
    def verdict(self) -> str:
        """Returns better, worse, looks better, looks worse, not distinguishable, or too few seeds."""
        e = self.estimate
        if math.isnan(e.p):
            return "too few seeds"
        way = "better" if e.mean > 0 else "worse"
        if self.p_holm < ALPHA:
            return way if self.settles else f"looks {way}"
        return "not distinguishable" if e.p >= ALPHA else f"looks {way}"

    @property
    def settles(self) -> bool:
        """Returns whether the design allows a word without reserve: enough seeds and units, none alike or of a race."""
        enough = min(self.table.seeds, self.estimate.rows) >= paired.LEAST_SEEDS
        units = len(self.table.units) >= paired.SETTLING_UNITS or self.table.design is Design.THESE_IMAGES
        return enough and units and self.neighbours is None and self.same_data and not self.by_race

    @property
    def disagrees(self) -> bool:
        """Returns whether the bootstrap's interval and the model's tell 0 apart differently."""
        sides = [low <= 0 <= high for low, high in ((self.estimate.low, self.estimate.high), self.bootstrap)]
        return not math.isnan(self.bootstrap[0]) and sides[0] != sides[1]


def contrasts(arms: Sequence[Arm], score: str) -> list[Contrast]:
    """Returns every arm with augmentation against its baseline, with p and intervals for all of them at once."""
    pairs = [(arm, baseline_of(arm, arms)) for arm in arms if not arm.plain]
    found = [one for arm, base in pairs if base is not None and (one := contrast(arm, base, score))]
    ps = cross_checks.holm([c.estimate.p for c in found])
    level = cross_checks.level_for_each([c.table.cells for c in found])
    alike = _neighbours([c.table for c in found])
    return [
        c._replace(
            p_holm=p,
            at_once=paired.interval_at(c.estimate, level),
            neighbours=alike if _stand_alone(c.table) else None,
        )
        for c, p in zip(found, ps, strict=True)
    ]


def judged(found: Contrast | None) -> Contrast | None:
    """Returns a contrast that is looked at by itself, with what its neighbouring images say."""
    return found and found._replace(neighbours=_neighbours([found.table]))


def contrast(arm: Arm, baseline: Arm, score: str) -> Contrast | None:
    """Returns the paired differences of two arms over the repetitions that both have; None without one.

    p and intervals are those of this pair alone. Repetitions of a find's race are left out where there are others: the
    arms were chosen by their scores, which flatters the winner.
    """
    ours, theirs = arm.finished, baseline.finished
    both = [rep for rep in ours if rep in theirs]
    apart = [rep for rep in both if not (ours[rep].raced or theirs[rep].raced)]
    shared = apart or both
    runs = [of[rep] for rep in shared for of in (ours, theirs)]
    differences = {
        rep: {
            name: score_of_image(row, score) - score_of_image(theirs[rep].images[name], score)
            for name, row in ours[rep].images.items()
            if name in theirs[rep].images
        }
        for rep in shared
    }
    table = arrange(differences, groups_of_all(runs))
    if table is None:
        return None
    images = {name for of in differences.values() for name in of}
    of_images = {name: _mean([of[name] for of in differences.values() if name in of]) for name in images}
    known = {name: mean for name, mean in sorted(of_images.items()) if not math.isnan(mean)}
    estimate = table.estimate()
    return Contrast(
        arm=arm,
        baseline=baseline,
        score=score,
        table=table,
        estimate=estimate,
        of_images=known,
        left_out=len(images) - len(known),
        unshared=len({name for run in runs for name in run.images} - images),
        same_data=len({run.fingerprint for run in runs if run.fingerprint}) < 2,
        p_holm=estimate.p,
        sign_flip=cross_checks.sign_flip(table.of_rows),
        superiority=paired.superiority(table.of_rows),
        bootstrap=cross_checks.bootstrap(table.cells) if table.design is Design.CROSSED else paired.NONE,
        at_once=(estimate.low, estimate.high),
        raced=len(both) - len(apart),
        by_race=not apart,
    )


def _neighbours(tables: Sequence[ScoreTable]) -> Neighbours | None:
    """Returns how alike neighbouring test images differ, if that is more than chance and no group is named."""
    alone = [table for table in tables if _stand_alone(table)]
    same = [table for table in alone if table.units == alone[0].units]
    found = cross_checks.neighbours(np.stack([np.nanmean(table.cells, 0) for table in same])) if same else None
    return found if found is not None and found.p < NOT_BY_CHANCE else None


def _stand_alone(table: ScoreTable) -> bool:
    return table.design in (Design.CROSSED, Design.OWN_SETS) and not table.grouped


def _mean(values: Sequence[float]) -> float:
    known = [one for one in values if not math.isnan(one)]
    return sum(known) / len(known) if known else math.nan
