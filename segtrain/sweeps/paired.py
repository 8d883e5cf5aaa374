"""How sure a difference between two arms is. Seeds and test images are both samples, and they are crossed.

The unit is the paired difference d(seed, image) of two arms that shared the seed: split, initial weights, order of the
samples and shared draws. Model: d = mean + seed effect + image effect + rest. An interval over seeds alone answers for
these test images only, one over images alone for these trainings only; both forget a source of chance.

Sources: two-way random effects without replication, Satterthwaite 1946 (Biometrics Bulletin 2:110) for the degrees of
freedom of a sum of mean squares; Owen 2007 (Annals of Applied Statistics 1:386) for the two-way bootstrap; Holm 1979
(Scand. J. Statist. 6:65); Bouthillier et al. 2021 (arXiv 2103.03098) for P(A > B) and its 0.75.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special  # scipy.stats would take a second to import

LEVEL = 0.95
BETTER = 0.75  # P(A > B) from which a difference is worth having, by convention of Bouthillier et al. 2021
LEAST_SEEDS = 5  # fewer never yield "better"
DRAWS = 10_000  # of a bootstrap, or of sign flips where all are too many
NORMAL = float(special.ndtri((1 + LEVEL) / 2))  # standard errors that the normal distribution's interval reaches


class Estimate(NamedTuple):
    """A mean difference and how sure it is."""

    mean: float
    seeds: int
    images: int
    low: float = math.nan  # of the 95 % interval
    high: float = math.nan
    p: float = math.nan  # two-sided, of no difference
    seed_sd: float = math.nan  # standard deviation of the seeds' effects, of the images' and of the rest
    image_sd: float = math.nan
    rest_sd: float = math.nan


def crossed(difference: np.ndarray) -> Estimate:
    """Mean of paired differences with the interval of the two-way random-effects model.

    The variance of the mean is (MS seeds + MS images - MS rest) / (seeds·images). Each of the first two estimates, in
    expectation, at most that variance; where the rest leaves less than the larger of them, that one is taken, with its
    own degrees of freedom.

    Args:
        difference: (seeds, images), without gaps.

    Returns:
        The interval and p are NaN with fewer than two seeds or images.
    """
    seeds, images = difference.shape
    mean = float(difference.mean())
    if seeds < 2 or images < 2:
        return Estimate(mean, seeds, images)
    of_seeds, of_images = difference.mean(1), difference.mean(0)
    rest = difference - of_seeds[:, None] - of_images + mean
    ms_seeds, ms_images = images * of_seeds.var(ddof=1), seeds * of_images.var(ddof=1)
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    total, freedom = ms_seeds + ms_images - ms_rest, math.nan
    larger, own = max((ms_seeds, seeds - 1), (ms_images, images - 1))
    if total > larger:
        parts = ms_seeds**2 / (seeds - 1) + ms_images**2 / (images - 1) + ms_rest**2 / ((seeds - 1) * (images - 1))
        freedom = total**2 / parts
    else:
        total, freedom = larger, own
    low, high, p = _t_interval(mean, math.sqrt(total / (seeds * images)), freedom)
    sds = (math.sqrt(max(0.0, v)) for v in ((ms_seeds - ms_rest) / images, (ms_images - ms_rest) / seeds, ms_rest))
    return Estimate(mean, seeds, images, low, high, p, *sds)


def over_seeds(difference: np.ndarray) -> Estimate:
    """Mean of one difference a seed, (seeds,), with Student's interval: for test sets that are each seed's own."""
    seeds = len(difference)
    mean = float(difference.mean())
    if seeds < 2:
        return Estimate(mean, seeds, 0)
    sd = float(difference.std(ddof=1))
    return Estimate(mean, seeds, 0, *_t_interval(mean, sd / math.sqrt(seeds), seeds - 1), sd)


def _t_interval(mean: float, error: float, freedom: float) -> tuple[float, float, float]:
    """Low, high and two-sided p of Student's t."""
    if error == 0:
        return mean, mean, float(mean == 0)
    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return mean - reach, mean + reach, float(2 * special.stdtr(freedom, -abs(mean) / error))


def bootstrap(difference: np.ndarray) -> tuple[float, float]:
    """Percentile interval of the mean with seeds and images drawn again, both: the cross-check of `crossed`."""
    rows, columns = _weights(*difference.shape)
    means = np.einsum("bs,bs->b", rows, columns @ difference.T)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return low, high


@functools.lru_cache(maxsize=1)  # the arms of a sweep have all the same
def _weights(seeds: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Of seeds (draws, seeds) and of images (draws, images) in each draw; a row's sum is 1."""
    rng = np.random.default_rng(0)
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    columns = rng.multinomial(images, np.full(images, 1 / images), DRAWS) / images
    return rows, columns


def sign_flip(of_seeds: np.ndarray) -> float:
    """Two-sided p of a mean of 0 over seeds, on exactly these test images; at least 2 / 2^seeds.

    All sign patterns up to 13 seeds, else random ones with the observed among them.
    """
    n = len(of_seeds)
    if n <= 13:
        signs = np.array(list(itertools.product((-1, 1), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (DRAWS, n))
        signs[0] = 1
    flipped = np.abs(signs @ of_seeds)
    return float((flipped >= abs(of_seeds.sum()) * (1 - 1e-12)).mean())


def superiority(of_seeds: np.ndarray) -> tuple[float, float, float]:
    """P(A > B): the share of seeds with a difference above 0, ties half, and its bootstrap interval over seeds."""
    wins = (of_seeds > 0) + 0.5 * (of_seeds == 0)
    drawn = np.random.default_rng(0).choice(wins, (DRAWS, len(wins))).mean(1)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return float(wins.mean()), low, high


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction for so many; a NaN stays one and counts for none."""
    known = sorted((p, i) for i, p in enumerate(ps) if not math.isnan(p))
    adjusted, running = list(ps), 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, p * (len(known) - rank)))
        adjusted[i] = running
    return adjusted


class Needed(NamedTuple):
    """How many in all would separate a difference of this size from 0; None: none up to the limit would."""

    seeds: int | None  # with these images
    images: int | None  # with these seeds


def needed(found: Estimate, limit: int = 1000) -> Needed:
    """Seeds, or images, at which the interval about the same mean with the same spreads leaves 0 out."""

    def settles(seeds: int, images: int) -> bool:
        spread = found.seed_sd**2 / seeds + found.image_sd**2 / images + found.rest_sd**2 / (seeds * images)
        return bool(abs(found.mean) > NORMAL * math.sqrt(spread))

    seeds = next((n for n in range(found.seeds, limit) if settles(n, found.images)), None)
    images = next((n for n in range(found.images, limit) if settles(found.seeds, n)), None)
    return Needed(seeds, images)
