"""Says how sure a mean difference between two arms is, and how many seeds or images it would take to find it.

The variance of a mean is a sum of mean squares, each of which is known from so many degrees of freedom. Its generalised
pivotal quantity divides each mean square by a draw of chi-squared over its degrees of freedom (Weerahandi 1993, J.
Amer. Statist. Assoc. 88:899): the interval and p are averages over these draws. Unlike Satterthwaite's degrees of
freedom, it holds its level with two or three seeds too (`scripts/validate_statistics.py`).

Sources: two-way random effects without replication; Clopper and Pearson 1934 (Biometrika 26:404); Bouthillier et al.
2021 (arXiv 2103.03098) for P(A > B) and its 0.75.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

LEVEL = 0.95
BETTER = 0.75  # P(A > B) from which a difference is worth having, by convention of Bouthillier et al. 2021
LEAST_SEEDS = 5  # fewer never yield "better"
LEAST_UNITS = 5  # test images, or groups of them; from fewer nothing is said about others
SETTLING_UNITS = 12  # from fewer nothing is settled: where scores are skewed the interval is too short
PIVOTS = 4096  # draws of a pivotal quantity
POWER = 0.8  # with which a difference is to be found, by the convention of Cohen 1988
NONE = (math.nan, math.nan)


class MeanSquare(NamedTuple):
    """Holds one mean square in the variance of a mean, over the number of observations; below 0 it is subtracted."""

    value: float
    freedom: float


class Estimate(NamedTuple):
    """Holds a mean difference and how sure it is."""

    mean: float
    rows: int  # repetitions: seeds, or splits, or the folds of one seed
    units: int  # test images, or groups of them
    low: float = math.nan  # of the 95 % interval
    high: float = math.nan
    p: float = math.nan  # two-sided, of no difference
    parts: tuple[MeanSquare, ...] = ()
    seed_sd: float = math.nan  # standard deviation of the rows' effects, of the units' and of the rest
    image_sd: float = math.nan
    rest_sd: float = math.nan


def crossed(difference: np.ndarray) -> Estimate:
    """Returns the mean of paired differences with the interval of the two-way random-effects model.

    The variance of the mean is (MS rows + MS units - MS rest) / (rows·units).

    Args:
        difference: (rows, units), without gaps. Rows are seeds; a seed's row may come from several folds, which
            together test each unit once: what the units of a fold share is part of the row's mean square.

    Returns:
        The interval and p are NaN with fewer than two rows or units.
    """
    rows, units = difference.shape
    mean = float(difference.mean())
    if rows < 2 or units < 2:
        return Estimate(mean, rows, units)
    of_rows, of_units = difference.mean(1), difference.mean(0)
    rest = difference - of_rows[:, None] - of_units + mean
    ms_rows, ms_units = float(units * of_rows.var(ddof=1)), float(rows * of_units.var(ddof=1))
    ms_rest = float((rest**2).sum()) / ((rows - 1) * (units - 1))
    n = rows * units
    parts = _crossed_parts(ms_rows / n, ms_units / n, -ms_rest / n, rows, units)
    sds = [math.sqrt(max(0.0, v)) for v in ((ms_rows - ms_rest) / units, (ms_units - ms_rest) / rows, ms_rest)]
    return _with_interval(Estimate(mean, rows, units, math.nan, math.nan, math.nan, parts, *sds))


def _crossed_parts(of_rows: float, of_units: float, of_rest: float, rows: int, units: int) -> tuple[MeanSquare, ...]:
    freedoms = (rows - 1, units - 1, (rows - 1) * (units - 1))
    return tuple(map(MeanSquare, (of_rows, of_units, of_rest), freedoms))


def over_rows(difference: np.ndarray) -> Estimate:
    """Returns the mean of one difference a row, (rows,), with Student's interval: on exactly these test images."""
    rows = len(difference)
    mean = float(difference.mean())
    if rows < 2:
        return Estimate(mean, rows, 0)
    variance = float(difference.var(ddof=1))
    parts = (MeanSquare(variance / rows, rows - 1),)
    return _with_interval(Estimate(mean, rows, 0, parts=parts, seed_sd=math.sqrt(variance)))


def overlapping(difference: np.ndarray, of_seeds: np.ndarray | None = None) -> Estimate:
    """Returns the mean over rows that each have a test set of their own; sets may share units.

    Two rows that share units are correlated: their means have the covariance (shared units / (units of the one · units
    of the other)) · variance of the units' effects. So to Student's variance over rows comes the mean covariance of a
    pair. The units' variance is estimated from products of two rows' residuals on the units that both have.

    Args:
        difference: (rows, units); NaN where a row does not test a unit.
        of_seeds: the mean of each seed over the rows, where the same seeds are averaged in every row: what they bring
            to all rows is added, so that the interval is rather too wide than too short.
    """
    known = ~np.isnan(difference)
    counts, of_rows = known.sum(1), np.nanmean(difference, 1)
    rows, units = len(difference), int(known.any(0).sum())
    mean = float(of_rows.mean())
    if rows < 2:
        return Estimate(mean, rows, units)
    variance = float(of_rows.var(ddof=1))
    parts = [MeanSquare(variance / rows, rows - 1)]
    share = (known.astype(float) @ known.T) / np.outer(counts, counts)
    pair = np.triu_indices(rows, 1)
    if share[pair].any():
        of_units, freedom = _units_variance(np.where(known, difference - of_rows[:, None], 0.0), known)
        if of_units > 0:
            parts.append(MeanSquare(float(share[pair].mean()) * of_units, freedom))
    if of_seeds is not None and len(of_seeds) > 1:
        parts.append(MeanSquare(float(of_seeds.var(ddof=1)) / len(of_seeds), len(of_seeds) - 1))
    return _with_interval(Estimate(mean, rows, units, parts=tuple(parts), seed_sd=math.sqrt(variance)))


def _units_variance(rest: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Returns the variance of the units' effects and its degrees of freedom, of residuals from their rows' means.

    In expectation the product of two rows' residuals on one unit is the variance times 1 - 1/n - 1/m + shared/(n·m).
    """
    counts, shared = known.sum(1), known.astype(float) @ known.T
    inverse = 1 / counts
    factor = 1 - inverse[:, None] - inverse + shared * np.outer(inverse, inverse)
    pair = np.triu_indices(len(rest), 1)
    weight = float((shared * factor)[pair].sum())
    if weight <= 0:
        return 0.0, 1.0
    variance = float((rest @ rest.T)[pair].sum()) / weight
    products = (rest.sum(0) ** 2 - (rest**2).sum(0)) / 2  # the sum over pairs of rows, for each unit
    pairs = known.sum(0) * (known.sum(0) - 1) / 2
    error = float(((products - pairs * factor[pair].mean() * variance) ** 2).sum()) / weight**2
    return variance, max(1.0, 2 * variance**2 / error) if error > 0 else float(len(products))


def _with_interval(found: Estimate) -> Estimate:
    low, high = interval_at(found, LEVEL)
    return found._replace(low=low, high=high, p=p_of(found))


def p_of(found: Estimate) -> float:
    """Returns the two-sided p of no difference; NaN where there is no interval."""
    if not found.parts:
        return math.nan
    return _beyond(found.parts)(abs(found.mean)) if any(part.value for part in found.parts) else float(found.mean == 0)


def interval_at(found: Estimate, level: float) -> tuple[float, float]:
    """Returns the interval of an estimate at a level such as .95; NaN where there is none."""
    if not found.parts:
        return NONE
    if not any(part.value for part in found.parts):
        return found.mean, found.mean
    beyond, least, most = _beyond(found.parts), 0.0, math.sqrt(sum(abs(part.value) for part in found.parts))
    while beyond(most) > 1 - level:
        least, most = most, 2 * most
    while most - least > 1e-8 * most:
        middle = (least + most) / 2
        least, most = (middle, most) if beyond(middle) > 1 - level else (least, middle)
    return found.mean - most, found.mean + most


def _beyond(parts: Sequence[MeanSquare]) -> Callable[[float], float]:
    """Returns the probability that the mean is off by more than so much, either way."""
    largest = max(abs(part.value) for part in parts)
    counted = [part for part in parts if abs(part.value) > 1e-9 * largest]  # less is rounding
    counted.sort(key=lambda part: (part.freedom, part.value))  # rows and units are alike
    if len(counted) == 1:
        error, freedom = math.sqrt(abs(counted[0].value)), counted[0].freedom
        return lambda reach: float(2 * special.stdtr(freedom, -reach / error))
    drawn = _pivots(tuple(part.freedom for part in counted))
    variance = np.maximum(np.array([part.value for part in counted]) @ drawn, 1e-300)
    errors = np.sqrt(variance)
    return lambda reach: float(2 * special.ndtr(-reach / errors).mean())


@functools.lru_cache(maxsize=256)
def _pivots(freedoms: tuple[float, ...]) -> np.ndarray:
    """Returns degrees of freedom over draws of chi-squared, (parts, PIVOTS): a Latin hypercube, the same each time."""
    rng = np.random.default_rng(0)
    even = (np.arange(PIVOTS) + 0.5) / PIVOTS
    return np.stack([freedom / special.chdtri(freedom, rng.permutation(even)) for freedom in freedoms])


def superiority(of_rows: np.ndarray) -> tuple[float, float, float]:
    """Returns P(A > B), the share of rows with a difference above 0, ties half, and its exact 95 % interval.

    Clopper and Pearson's: of 8 wins in 8 the interval is 63 % to 100 %. A tie counts as half a win.
    """
    n, wins = len(of_rows), float((of_rows > 0).sum() + 0.5 * (of_rows == 0).sum())
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(wins, n - wins + 1, tail)) if wins > 0 else 0.0
    high = float(special.betaincinv(wins + 1, n - wins, 1 - tail)) if wins < n else 1.0
    return wins / n, low, high


class Needed(NamedTuple):
    """Says how many in all would find a difference of this size in 80 % of sweeps; None: none up to the limit would."""

    rows: int | None  # seeds, with these test images
    units: int | None  # test images or groups, with these seeds


def needed_for_power(found: Estimate, arms: int = 1, limit: int = 1000) -> Needed:
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
    """Returns the least number with enough power, which grows with it; None above the most."""
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
    parts = _crossed_parts(of_rows, of_units, -rest, rows, units)
    reach = interval_at(found._replace(mean=0.0, parts=parts), 1 - (1 - LEVEL) / arms)[1]
    return float(special.ndtr((abs(found.mean) - reach) / total**0.5))
