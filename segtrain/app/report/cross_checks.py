"""Guards a comparison against what one interval overlooks: many arms at once, its own model, and neighbours alike.

Sources: Holm 1979 (Scand. J. Statist. 6:65); Hothorn, Bretz and Westfall 2008 (Biometrical Journal 50:346) for
simultaneous intervals by the maximum of correlated statistics; Owen 2007 (Annals of Applied Statistics 1:386) for the
two-way bootstrap; Fisher 1935 for sign flips; Wald and Wolfowitz 1943 (Ann. Math. Statist. 14:378) for serial
correlation by permutation.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from segtrain.app.report.paired import LEVEL

DRAWS_OF_MANY = 20_000  # of the largest of many statistics
DRAWS = 10_000  # of a bootstrap, or of sign flips where all are too many
PERMUTATIONS = 2000
LEAST_IN_ORDER = 6  # units below which their order shows nothing


def holm(ps: Sequence[float]) -> list[float]:
    """Returns the p-values after Holm's correction for so many; a NaN stays one and counts for none."""
    known = sorted((p, i) for i, p in enumerate(ps) if not math.isnan(p))
    found, running = [math.nan] * len(ps), 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        found[i] = running
    return found


def level_for_each(tables: Sequence[np.ndarray]) -> float:
    """Returns the level at which each arm's own interval is to be taken, so that all hold at once in 95 of 100 sweeps.

    Arms share seeds, test images and often the baseline, so that their errors go together: the level is that of the
    largest of correlated normal statistics, and at most Bonferroni's. Tables of different rows or units are taken as
    unrelated.

    Args:
        tables: paired differences (rows, units) of each arm; NaN where a row does not test a unit.
    """
    many = len(tables)
    bonferroni = 1 - (1 - LEVEL) / max(many, 1)
    if many < 2 or len({table.shape for table in tables}) > 1:
        return bonferroni
    correlation = _correlation(np.stack(tables))
    if correlation is None:
        return bonferroni
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    drawn = np.random.default_rng(0).standard_normal((DRAWS_OF_MANY, many)) @ root.T
    reach = float(np.quantile(np.abs(drawn).max(1), LEVEL))
    return min(1 - 2 * float(special.ndtr(-reach)), bonferroni)


def _correlation(stacked: np.ndarray) -> np.ndarray | None:
    """Returns the correlations (arms, arms) of the arms' means; None where one never varies.

    The covariance of two means is that of `paired.crossed` with products of both in place of squares.
    """
    arms, rows, units = stacked.shape
    known = ~np.isnan(stacked)
    if rows < 2 or (known != known[:1]).any():
        return None
    of_rows = np.nanmean(stacked, 2)
    apart = of_rows - of_rows.mean(1, keepdims=True)
    covariance = apart @ apart.T / (rows - 1) / rows
    if known.all() and units > 1:
        of_units = stacked.mean(1) - stacked.mean((1, 2))[:, None]
        rest = (stacked - of_rows[:, :, None] - of_units[:, None]).reshape(arms, -1)
        n = rows * units
        covariance += of_units @ of_units.T * rows / (units - 1) / n - rest @ rest.T / ((rows - 1) * (units - 1)) / n
    spread = np.diag(covariance)
    if (spread <= 0).any():
        return None
    return np.asarray(covariance / np.sqrt(np.outer(spread, spread)))


def bootstrap(difference: np.ndarray) -> tuple[float, float]:
    """Returns the percentile interval of the mean with rows and units drawn again: the cross-check of `crossed`."""
    rows, columns = _weights(*difference.shape)
    means = np.einsum("bs,bs->b", rows, columns @ difference.T)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return low, high


@functools.lru_cache(maxsize=1)  # the arms of a sweep have all the same
def _weights(rows: int, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of rows (draws, rows) and units (draws, units) in each draw; a row's sum is 1."""
    rng = np.random.default_rng(0)
    of_rows = rng.multinomial(rows, np.full(rows, 1 / rows), DRAWS) / rows
    of_units = rng.multinomial(units, np.full(units, 1 / units), DRAWS) / units
    return of_rows, of_units


def sign_flip(of_rows: np.ndarray) -> float:
    """Returns the two-sided p of a mean of 0 over rows, on exactly these test images; at least 2 / 2^rows.

    All sign patterns up to 13 rows, else random ones with the observed among them.
    """
    n = len(of_rows)
    if n <= 13:
        signs = np.array(list(itertools.product((-1, 1), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (DRAWS, n))
        signs[0] = 1
    flipped = np.abs(signs @ of_rows)
    return float((flipped >= abs(of_rows.sum()) * (1 - 1e-12)).mean())


class Neighbours(NamedTuple):
    """Says how alike the differences of neighbouring units are."""

    correlation: float  # of each with the next, in the arm in which it shows most
    p: float  # one-sided, that the order means nothing in any arm

    @property
    def stretch(self) -> float:
        """Returns how many times too short an interval over units is, if likeness fades geometrically with distance."""
        alike = min(max(self.correlation, 0.0), 0.95)
        return float(np.sqrt((1 + alike) / (1 - alike)))


def neighbours(of_units: np.ndarray) -> Neighbours | None:
    """Returns whether units that are next to each other differ alike; None with too few units, or without variation.

    The statistic of an arm is its correlation at distance 1, 2 and 3, the nearer counting double the next; that of all
    arms is the largest, and so is that of each order drawn at random, so that many arms find no more than one would.

    Args:
        of_units: (arms, units) mean differences, units in the order of their names.
    """
    units = of_units.shape[1]
    centred = of_units - of_units.mean(1, keepdims=True)
    length = (centred**2).sum(1)
    centred, length = centred[length > 0], length[length > 0]
    if units < LEAST_IN_ORDER or not len(centred):
        return None

    def at(values: np.ndarray, distance: int) -> np.ndarray:
        return np.asarray((values[:, distance:] * values[:, :-distance]).sum(1) / length)

    def serial(values: np.ndarray) -> np.ndarray:
        return at(values, 1) + at(values, 2) / 2 + at(values, 3) / 4

    rng = np.random.default_rng(0)
    found = serial(centred)
    beyond = sum(serial(centred[:, rng.permutation(units)]).max() >= found.max() for _ in range(PERMUTATIONS))
    return Neighbours(float(at(centred, 1)[found.argmax()]), (1 + beyond) / (1 + PERMUTATIONS))
