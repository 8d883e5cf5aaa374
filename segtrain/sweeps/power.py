"""How many seeds, or test images, a difference would take to be found."""

from typing import NamedTuple

from scipy import special

from segtrain.sweeps.paired import LEVEL, Estimate

POWER = 0.8  # with which a difference is to be found, by the convention of Cohen 1988


class Needed(NamedTuple):
    """How many in all would find a difference of this size with a power of 80 %; None: none up to the limit would."""

    rows: int | None  # seeds, with these test images
    units: int | None  # test images or groups, with these seeds


def needed(found: Estimate, arms: int = 1, limit: int = 1000) -> Needed:
    """Returns at how many seeds, or units, a true difference of the size seen is found with a power of 80 %.

    With the spreads as they were estimated, by a two-sided test at 5 % over the number of arms (Bonferroni's, which is
    Holm's first step).

    Args:
        found: an estimate by `paired.crossed`.
        arms: how many are tested at once.
        limit: the most that is tried.
    """
    rows = next((n for n in range(found.rows, limit) if power(found, n, found.units, arms) >= POWER), None)
    units = next((n for n in range(found.units, limit) if power(found, found.rows, n, arms) >= POWER), None)
    return Needed(rows, units)


def power(found: Estimate, rows: int, units: int, arms: int = 1) -> float:
    """Returns the probability that a true difference of the size seen is found with so many rows and units.

    By the normal distribution about Student's limit, with Satterthwaite's degrees of freedom (1946, Biometrics Bulletin
    2:110) of the variance of rows and units.
    """
    of_rows, of_units = found.seed_sd**2 / rows, found.image_sd**2 / units
    rest = found.rest_sd**2 / (rows * units)
    total = of_rows + of_units + rest
    if total == 0:
        return 1.0
    freedom = total**2 / ((of_rows + rest) ** 2 / (rows - 1) + (of_units + rest) ** 2 / (units - 1))
    limit = float(special.stdtrit(freedom, 1 - (1 - LEVEL) / (2 * arms)))
    return float(special.ndtr(abs(found.mean) / total**0.5 - limit))
