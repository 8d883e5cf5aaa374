"""How many seeds, or test images, a difference would take to be found."""

from collections.abc import Callable
from typing import NamedTuple

from scipy import special

from segtrain.app.report.paired import LEAST_SEEDS, LEVEL, Estimate, Part, limits

POWER = 0.8  # with which a difference is to be found, by the convention of Cohen 1988


class Needed(NamedTuple):
    """How many in all would find a difference of this size with a power of 80 %; None: none up to the limit would."""

    rows: int | None  # seeds, with these test images
    units: int | None  # test images or groups, with these seeds


def needed(found: Estimate, arms: int = 1, limit: int = 1000) -> Needed:
    """Returns at how many seeds, or units, a true difference of the size seen is found with a power of 80 %.

    With the spreads as they were estimated, by the test of `paired.crossed` at 5 % over the number of arms
    (Bonferroni's, which is Holm's first step). More than there are now, and of seeds no fewer than a verdict takes.

    Args:
        found: an estimate by `paired.crossed`.
        arms: how many are tested at once.
        limit: the most that is tried.
    """
    rows = _least(lambda n: power(found, n, found.units, arms), max(found.rows + 1, LEAST_SEEDS), limit)
    units = _least(lambda n: power(found, found.rows, n, arms), found.units + 1, limit)
    return Needed(rows, units)


def _least(of: Callable[[int], float], least: int, most: int) -> int | None:
    """The least number with enough power, which grows with it; None above the most."""
    if of(most) < POWER:
        return None
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if of(middle) >= POWER else (middle + 1, most)
    return most


def power(found: Estimate, rows: int, units: int, arms: int = 1) -> float:
    """Returns the probability that a true difference of the size seen is found with so many rows and units.

    By the normal distribution about the limit of the test when each mean square is what it is on average.
    """
    rest = found.rest_sd**2 / (rows * units)
    of_rows, of_units = found.seed_sd**2 / rows + rest, found.image_sd**2 / units + rest
    total = of_rows + of_units - rest
    if total <= 0:
        return 1.0
    parts = (Part(of_rows, rows - 1), Part(of_units, units - 1), Part(-rest, (rows - 1) * (units - 1)))
    reach = limits(found._replace(mean=0.0, parts=parts), 1 - (1 - LEVEL) / arms)[1]
    return float(special.ndtr((abs(found.mean) - reach) / total**0.5))
