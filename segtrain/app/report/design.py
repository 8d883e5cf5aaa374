"""Says how the repetitions of a comparison hang together: which are independent, and what an interval is over.

A row is a repetition, a unit a test image, or a group of them (a patient, a scan, a stack), whose images are averaged.
The folds of one seed test each image once: together they are one row. Seeds that all test the same units are crossed
with them. Where the split is drawn anew, rows have test sets of their own, which may share units; several seeds on one
draw are averaged first, and what a seed brings to every draw counts as a source of chance of its own. A single seed
leaves its folds as rows. With too few units the interval is over rows alone, and holds for exactly these test images.
"""

import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from segtrain.app.report import paired
from segtrain.app.report.paired import Estimate
from segtrain.app.report.read_runs import Repetition

Scored = Mapping[Repetition, Mapping[str, float]]  # the value of each test image in each repetition


class Design(Enum):
    """Names what an interval is taken over."""

    CROSSED = "seeds and test images"
    OWN_SETS = "splits, each with test images of its own"
    FOLDS = "the folds of one seed"
    THESE_IMAGES = "seeds, for exactly these test images"
    ONE = "nothing: there is one repetition"


class ScoreTable(NamedTuple):
    """Holds values by row and unit."""

    rows: tuple[str, ...]  # such as "seed 3"
    units: tuple[str, ...]  # test images, or groups of them, in natural order
    cells: np.ndarray  # (rows, units), NaN where a row does not test a unit
    design: Design
    seeds: int  # seeds of training among the rows
    images: int  # test images; as many as units where each stands alone
    draws: int = 1  # of the split
    of_seeds: tuple[float, ...] = ()  # the mean of each seed, where seeds come again in several draws

    @property
    def grouped(self) -> bool:
        """Returns whether some units are groups of images."""
        return self.images > len(self.units)

    @property
    def of_rows(self) -> np.ndarray:
        """Returns the mean of each row over its units."""
        return np.asarray(np.nanmean(self.cells, 1))

    @property
    def mean(self) -> float:
        """Returns the mean of the rows' means."""
        return float(self.of_rows.mean())

    def estimate(self) -> Estimate:
        """Returns the mean with the interval that the design allows."""
        if self.design is Design.CROSSED:
            return paired.crossed(self.cells)
        if self.design in (Design.OWN_SETS, Design.FOLDS):
            return paired.overlapping(self.cells, np.array(self.of_seeds))
        return paired.over_rows(self.of_rows)._replace(units=len(self.units))


def arrange(values: Scored, groups: Mapping[str, str]) -> ScoreTable | None:
    """Returns the table of values by image, NaN being none; None without any value.

    Args:
        values: of each test image in each repetition.
        groups: of each test image; itself where it stands alone.
    """
    known = {rep: {n: v for n, v in of.items() if not math.isnan(v)} for rep, of in values.items()}
    known = {rep: of for rep, of in known.items() if of}
    if not known:
        return None
    whole = _folds_joined(known)
    seeds = len({rep.seed for rep in known})
    if len(whole) == 1 and len(known) > 1:
        rows, design = {f"fold {rep.fold}": _by_group(of, groups) for rep, of in known.items()}, Design.FOLDS
    else:
        rows, design = _rows({rep: _by_group(of, groups) for rep, of in whole.items()})
    draws = len({rep.deal for rep in whole})
    again = _again(whole) if 1 < draws < len(whole) else ()
    images = {name for of in known.values() for name in of}
    units = sorted({unit for of in rows.values() for unit in of}, key=_natural)
    if design in (Design.CROSSED, Design.OWN_SETS) and len(units) < paired.LEAST_UNITS and not again:
        design = Design.THESE_IMAGES
    if len(rows) < 2:
        design = Design.ONE
    cells = np.array([[of.get(unit, math.nan) for unit in units] for of in rows.values()])
    return ScoreTable(tuple(rows), tuple(units), cells, design, seeds, len(images), draws, again)


def _folds_joined(values: Scored) -> dict[Repetition, dict[str, float]]:
    """Returns one entry a seed and draw of the split, of all its folds; folds that share an image stay apart."""
    joined: dict[Repetition, dict[str, float]] = {}
    for rep, of in values.items():
        together = rep._replace(fold=0)
        if joined.get(together, {}).keys() & of.keys():
            return {rep: dict(of) for rep, of in values.items()}
        joined.setdefault(together, {}).update(of)
    return joined


def _by_group(of: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for name, value in of.items():
        found.setdefault(groups.get(name, name), []).append(value)
    return {group: sum(values) / len(values) for group, values in found.items()}


def _rows(whole: Scored) -> tuple[dict[str, dict[str, float]], Design]:
    """Returns rows that are independent but for units that they share."""
    draws: dict[int, list[dict[str, float]]] = {}
    for rep, of in whole.items():
        draws.setdefault(rep.deal, []).append(dict(of))
    if 1 < len(draws) < len(whole):
        return {f"split {deal}": _mean(of) for deal, of in draws.items()}, Design.OWN_SETS
    if len({frozenset(of) for of in whole.values()}) == 1:
        return {str(rep): dict(of) for rep, of in whole.items()}, Design.CROSSED
    return {str(rep): dict(of) for rep, of in whole.items()}, Design.OWN_SETS


def _again(whole: Scored) -> tuple[float, ...]:
    """Returns the mean of each seed over the draws of the split; nothing where no seed comes twice."""
    found: dict[int, list[float]] = {}
    for rep, of in whole.items():
        found.setdefault(rep.seed, []).append(sum(of.values()) / len(of))
    return tuple(sum(of) / len(of) for of in found.values()) if len(found) < len(whole) else ()


def _mean(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    units = dict.fromkeys(unit for of in tables for unit in of)
    return {unit: float(np.mean([of[unit] for of in tables if unit in of])) for unit in units}


def _natural(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name)  # text and digits in turn, so positions compare like with like
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], name
