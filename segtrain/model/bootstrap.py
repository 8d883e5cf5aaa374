"""Computes intervals of ratios of sums over images or groups that stay honest for few: a bootstrap-t with two limits.

Every score here is a ratio of sums over images, or a mean of such ratios over classes. Images are drawn again with
replacement, and of each draw is taken by how many of its own standard errors its score lies from the set's; the
quantiles of that say by how many standard errors the truth may lie from the set's score. That is the bootstrap-t (Efron
and Tibshirani 1993, section 12.5); percentiles of the drawn scores are too short for small sets (Hesterberg 2015, The
American Statistician 69:371). The standard error is that of the score's linear part, summed over groups (Davison and
Hinkley 1997, section 2.7).

Three things keep an interval honest where draws alone do not:

- The tails are unequal, LOW and HIGH: an image on which a network fails pulls the mean down much, one on which it does
  well lifts it little, and what a small set lacks is failures. So the lower end is held more strictly.
- An end never lies further out than one that is made for any scores within [0, 1], however they are spread: images
  are weighted at random, and beside them is put one more that scores 0, for the upper end 1 (Learned-Miller and Thomas
  2019, arXiv 1905.06208; of images that score only 0 or 1 it is Clopper and Pearson's). It takes over where draws say
  nothing: where all images score alike, or all but a few.
- Where fewer than LEAST groups carry a score there is no interval. A score that a few images carry, or of which one
  patient holds most, is carried by few groups, however many there are.

`python scripts/validate_intervals.py` prints how often the intervals hold the truth; docs/evaluate.md has the
table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

# Shares of sets whose truth may lie below and above, where draws are exact; chosen by simulation, so that of
# sets of 5 to 120 images, with rare failures and without, some 95 % hold the truth (docs/evaluate.md).
LOW, HIGH = 0.003, 0.035
LEAST = 5.0  # groups that carry a score; of fewer the draws are too alike
DRAWS = 4000  # LOW of them are 12
CHUNK = 4_000_000  # weights held at once
ROUNDING = 1e-12  # of scores in [0, 1]


class Interval(NamedTuple):
    """Holds both ends, NaN where there is none: the score is not defined, or fewer than LEAST groups carry it."""

    low: float
    high: float


NONE = Interval(float("nan"), float("nan"))


class SumRatios(NamedTuple):
    """Holds what k ratios of sums are made of, a row an image or group: the sum of `above` by that of `below`."""

    above: np.ndarray  # (n, k) float64
    below: np.ndarray  # (n, k) float64; where its sum is 0, the ratio is 0
    there: np.ndarray  # (n, k) float64; where its sum is 0, the ratio is not defined


Columns = tuple[int, ...]  # of `SumRatios`, those that are defined are averaged: a score


def grouped(ratios: SumRatios, groups: Sequence[object] | None) -> SumRatios:
    """Returns the same with the rows of each group summed, in the order in which groups come first."""
    if groups is None:
        return ratios
    place = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    member = np.zeros((len(place), len(groups)))
    member[[place[name] for name in groups], range(len(groups))] = 1
    return SumRatios(*(member @ part for part in ratios))


def carriers(sizes: np.ndarray) -> np.ndarray:
    """Returns how many groups carry each of k sums of sizes (groups, k), were all groups of one size.

    Source: (sum of sizes)² / sum of sizes², Kish 1965, Survey Sampling, of weights.
    """
    return np.asarray(sizes.sum(0) ** 2 / np.maximum((sizes**2).sum(0), np.finfo(np.float64).tiny))


def intervals(ratios: SumRatios, scores: Sequence[Columns], draws: int, seed: int) -> Mapping[Columns, Interval]:
    """Returns that of each score: both ends by draws of the rows, or what is made for any scores where that is nearer.

    Args:
        ratios: of independent rows.
        scores: columns of the ratios each.
        draws: how many.
        seed: of the draws; the same seed gives the same intervals.
    """
    enough, there = (carriers(ratios.below) >= LEAST).tolist(), (ratios.there.sum(0) > 0).tolist()
    asked = [s for s in dict.fromkeys(scores) if any(there[c] for c in s) and all(enough[c] for c in s if there[c])]
    found = dict.fromkeys(scores, NONE)
    if not asked:
        return found
    count, rng = len(ratios.above), np.random.default_rng(seed)
    ones = np.ones((1, count))
    value, error = _valued(_sums(ones, ratios), asked)[0], _errors(ones, ratios, asked)[0]
    apart = [np.empty((0, len(asked)))]
    for size in _chunks(draws, count):
        weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        drawn = _valued(_sums(weights, ratios), asked)
        apart.append(_studentised(drawn - value, _errors(weights, ratios, asked)))
    far = np.quantile(np.concatenate(apart), (HIGH, 1 - LOW), axis=0, method="inverted_cdf")
    error = np.where(error > ROUNDING, error, np.nan)  # all images score alike: only what holds for any scores is left
    low = np.fmax(value - far[1] * error, _bound(ratios, asked, draws, rng, 0.0, LOW))
    high = np.fmin(value - far[0] * error, _bound(ratios, asked, draws, rng, 1.0, 1 - HIGH))
    return found | {s: Interval(*pair) for s, *pair in zip(asked, low.tolist(), high.tolist(), strict=True)}


def _chunks(draws: int, count: int) -> Iterator[int]:
    """Yields how many draws to hold at once, until there are so many."""
    step = max(1, CHUNK // count)
    yield from (min(step, draws - start) for start in range(0, draws, step))


def divided(sums: SumRatios) -> tuple[np.ndarray, np.ndarray]:
    """Returns ratios (d, k) of sums, 0 where there is nothing to divide by, and which are defined (d, k) bool."""
    above, below, there = sums
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0), there > 0


def _sums(weights: np.ndarray, ratios: SumRatios) -> SumRatios:
    return SumRatios(*(weights @ part for part in ratios))


def _valued(sums: SumRatios, scores: Sequence[Columns]) -> np.ndarray:
    """Returns each score (d, scores) of draws from their sums, NaN where none of its ratios is defined."""
    of_class, defined = divided(sums)
    values = np.full((len(of_class), len(scores)), np.nan)
    for place, columns in enumerate(map(list, scores)):
        count = defined[:, columns].sum(1)
        total = (of_class[:, columns] * defined[:, columns]).sum(1)
        np.divide(total, count, out=values[:, place], where=count > 0)
    return values


def _errors(weights: np.ndarray, ratios: SumRatios, scores: Sequence[Columns]) -> np.ndarray:
    """Returns the error (d, scores) of each score of draws from their weights (d, groups): its linear part's length.

    It is the standard error but for a factor of the number of groups, which that of the whole set has as well.
    """
    sums = _sums(weights, ratios)
    of_class, defined = divided(sums)
    whole = divided(_sums(np.ones((1, len(ratios.above))), ratios))[0]
    rest, off = ratios.above - whole * ratios.below, of_class - whole  # about the whole set's ratio: nothing cancels
    share = np.divide(defined, sums.below, out=np.zeros(sums.below.shape), where=sums.below > 0)
    squares = weights @ rest**2 - 2 * off * (weights @ (rest * ratios.below)) + off**2 * (weights @ ratios.below**2)
    alone = share * np.sqrt(np.maximum(squares, 0))
    errors = np.zeros((len(weights), len(scores)))
    for place, columns in enumerate(map(list, scores)):
        if len(columns) == 1:
            errors[:, place] = alone[:, columns[0]]
            continue
        parts = share[:, columns] / np.maximum(defined[:, columns].sum(1, keepdims=True), 1)
        linear = parts @ rest[:, columns].T - (parts * off[:, columns]) @ ratios.below[:, columns].T
        errors[:, place] = np.sqrt(np.einsum("dg,dg,dg->d", weights, linear, linear))
    return errors


def _studentised(apart: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Returns by how many of its errors a draw's score lies from the set's; infinite if it has none and lies apart."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(errors > ROUNDING, apart / errors, np.sign(apart) * np.inf)
    return np.where(np.isnan(found) | (np.abs(apart) <= ROUNDING), 0.0, found)  # a draw without the score says nothing


def _bound(
    ratios: SumRatios, scores: Sequence[Columns], draws: int, rng: np.random.Generator, unseen: float, tail: float
) -> np.ndarray:
    """Returns the quantile `tail` (scores,) of the groups weighted at random, with one more of the score `unseen`.

    That one is as large as the group that a pixel (or an image) is in on average: large ones count more often.
    """
    size = (ratios.below**2).sum(0) / np.maximum(ratios.below.sum(0), np.finfo(np.float64).tiny)
    more = SumRatios(unseen * size, size, np.minimum(ratios.there.sum(0), 1))
    whole = SumRatios(*(np.concatenate((part, row[None])) for part, row in zip(ratios, more, strict=True)))
    count = len(whole.above)
    drawn = [_valued(_sums(rng.exponential(size=(n, count)), whole), scores) for n in _chunks(draws, count)]
    return np.asarray(np.quantile(np.concatenate(drawn), tail, axis=0))
