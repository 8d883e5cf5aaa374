"""How far a score over the images of a test set may be off by the chance of which images are in it.

Every score here is a ratio of sums over images, or a mean of such ratios over classes. Images are drawn again with
replacement, and of each draw is taken by how many of its own standard errors its score lies from the set's; the
quantiles of that say by how many standard errors the truth may lie from the set's score. That is the bootstrap-t (Efron
and Tibshirani 1993, section 12.5); percentiles of the drawn scores are too short for small sets (Hesterberg 2015, The
American Statistician 69:371). The standard error is that of the score's linear part, summed over groups (Davison and
Hinkley 1997, section 2.7). Images of one patient or one scene are not independent: draw them together by `groups`, or
the interval is too short.

Three things keep an interval honest where draws alone do not:

- The tails are unequal, LOW and HIGH: an image on which a network fails pulls the mean down much, one on which it does
  well lifts it little, and what a small set lacks is failures. So the lower end is held more strictly.
- An end never lies further out than one that holds for any scores within [0, 1], however they are spread: images are
  weighted at random, and beside them is put one more that scores 0, for the upper end 1 (Learned-Miller and Thomas
  2019, arXiv 1905.06208; of images that score only 0 or 1 it is Clopper and Pearson's). It takes over where draws say
  nothing: where all images score alike, or all but a few.
- Where fewer than LEAST groups carry a score there is no interval. A score that a few images carry, or of which one
  patient holds most, is carried by few groups, however many there are.

`python scripts/validate_intervals.py` prints how often the intervals hold the truth; docs/after_training.md has the
table. Training anew is another source of chance, which one run cannot show: `segtrain.sweeps.paired` has it for sweeps.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segtrain.model.averages import METRICS
from segtrain.model.empties import as_counted

# Shares of sets of which the truth may lie below and above the interval where draws are exact; by simulation, so that
# sets of 5 to 120 images, with rare failures and without, hold the truth in 93 to 97 % (docs/after_training.md).
LOW, HIGH = 0.003, 0.035
LEAST = 5.0  # groups that carry a score; of fewer the draws are too alike
DRAWS = 4000  # LOW of them are 12
CHUNK = 4_000_000  # weights held at once
ROUNDING = 1e-12  # of scores in [0, 1]


class Interval(NamedTuple):
    """NaN where there is none: the score is not defined, or fewer than LEAST groups carry it."""

    low: float
    high: float


NONE = Interval(float("nan"), float("nan"))


class Ratios(NamedTuple):
    """What k ratios of sums are made of, a row an image or group: each is the sum of `above` by that of `below`."""

    above: np.ndarray  # (n, k) float64
    below: np.ndarray  # (n, k) float64; where its sum is 0, the ratio is 0
    there: np.ndarray  # (n, k) float64; where its sum is 0, the ratio is not defined


Columns = tuple[int, ...]  # of `Ratios`, those that are defined are averaged: a score


def of_means(
    values: np.ndarray, *, draws: int = DRAWS, seed: int = 0, groups: Sequence[object] | None = None
) -> list[Interval]:
    """Returns those of the means of k columns (images, k) of scores in [0, 1]; NaN is an image that is left out.

    Args:
        values: a score an image; of a rightly empty one it is 1 (`segtrain.model.empties.as_counted`).
        draws: how many.
        seed: of the draws; the same seed gives the same intervals.
        groups: of each image; images of one group are drawn together.
    """
    known = (~np.isnan(values)).astype(np.float64)
    return of_ratios(np.where(known > 0, values, 0.0), known, draws=draws, seed=seed, groups=groups)


def of_distances(
    values: np.ndarray, farthest: float, *, draws: int = DRAWS, seed: int = 0, groups: Sequence[object] | None = None
) -> list[Interval]:
    """Returns those of the means of k columns (images, k) of distances up to `farthest`; large ones are failures."""
    found = of_means(1 - values / farthest, draws=draws, seed=seed, groups=groups)
    return [Interval(farthest * (1 - one.high), farthest * (1 - one.low)) for one in found]


def of_ratios(
    above: np.ndarray,
    below: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    groups: Sequence[object] | None = None,
) -> list[Interval]:
    """Returns those of k ratios in [0, 1] of sums over images: (images, k) each, from 0, above at most below."""
    columns = [(column,) for column in range(above.shape[1])]
    found = _intervals(_grouped(Ratios(above, below, below), groups), columns, draws, seed)
    return [found[column] for column in columns]


def of_scores(
    matrices: np.ndarray,
    names: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    groups: Sequence[object] | None = None,
) -> dict[str, Interval]:
    """Returns those of the scores of `metrics.scores`, but absent_classes, and of `averages`, by their keys.

    Args:
        matrices: (images, C, C), rows truth; pixels of all images count together, but for means over images.
        names: of the C classes.
        draws, seed, groups: as in `of_means`.
    """
    parts = _parts(np.asarray(matrices, np.float64))
    ratios, scores = _of_pixels(parts, names)
    means = _of_images(parts, [c for c, name in enumerate(names) if name != "background"])
    width = ratios.above.shape[1]
    scores |= {key: (width + place,) for place, key in enumerate(means)}
    ratios = Ratios(*(np.concatenate((a, np.stack(b, 1)), 1) for a, *b in zip(ratios, *means.values(), strict=True)))
    found = _intervals(_grouped(ratios, groups), [*scores.values()], draws, seed)
    return {key: found[columns] for key, columns in scores.items()}


def carriers(sizes: np.ndarray) -> np.ndarray:
    """Returns how many groups carry each of k sums of sizes (groups, k), were all groups of one size.

    Source: (sum of sizes)² / sum of sizes², Kish 1965, Survey Sampling, of weights.
    """
    return np.asarray(sizes.sum(0) ** 2 / np.maximum((sizes**2).sum(0), np.finfo(np.float64).tiny))


def _of_pixels(parts: np.ndarray, names: Sequence[str]) -> tuple[Ratios, dict[str, Columns]]:
    """Scores of the pixels of all images together, of `_parts`."""
    front = [c for c, name in enumerate(names) if name != "background"]
    # Beside the classes all of the foreground as one: micro.
    each = np.concatenate((parts, parts[:, :, front].sum(2, keepdims=True)), 2)
    scores: dict[str, Columns] = {"pixel_accuracy": (0,)}
    ratios = [_ratios("accuracy", parts.sum(2, keepdims=True))]
    for place, metric in enumerate(METRICS):
        ratios.append(_ratios(metric, each))
        start = 1 + place * (len(names) + 1)
        of_class = tuple(range(start, start + len(names)))
        mean = tuple(of_class[c] for c in front)
        scores |= {metric: mean, f"{metric}_all": of_class, f"{metric}_macro": mean}
        scores[f"{metric}_micro"] = (start + len(names),)
        scores |= {f"{metric}/{name}": (column,) for name, column in zip(names, of_class, strict=True)}
    return Ratios(*(np.concatenate(part, 1) for part in zip(*ratios, strict=True))), scores


def _of_images(parts: np.ndarray, front: Sequence[int]) -> dict[str, Ratios]:
    """Means over images, each (images,), of each image's mean over the classes it has; the rule is `empties`'."""
    pixels = parts[:, 1].sum(1)
    known = (pixels > 0).astype(np.float64)
    found = {}
    for metric in METRICS:
        values, defined = _divided(_ratios(metric, parts[:, :, front]))
        of_image = np.full(len(parts), np.nan)
        np.divide((values * defined).sum(1), defined.sum(1), out=of_image, where=defined.any(1))
        found[f"{metric}_image_mean"] = Ratios(np.where(known > 0, as_counted(of_image, pixels), 0.0), known, known)
    return found


def _parts(matrices: np.ndarray) -> np.ndarray:
    """TP, pixels of the truth and pixels of the prediction of each class, (images, 3, C)."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return np.stack((right, matrices.sum(2), matrices.sum(1)), 1)


def _ratios(metric: str, parts: np.ndarray) -> Ratios:
    """By the definitions of `metrics.scores`, of `_parts` (images, 3, k)."""
    right, truth, pred = parts.swapaxes(0, 1)
    both = truth + pred
    below = {"dice": both, "iou": both - right, "precision": pred, "recall": truth, "accuracy": truth}[metric]
    return Ratios(2 * right if metric == "dice" else right, below, both)


def _grouped(ratios: Ratios, groups: Sequence[object] | None) -> Ratios:
    """The same with the rows of each group summed."""
    if groups is None:
        return ratios
    place = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    member = np.zeros((len(place), len(groups)))
    member[[place[name] for name in groups], range(len(groups))] = 1
    return Ratios(*(member @ part for part in ratios))


def _intervals(ratios: Ratios, scores: Sequence[Columns], draws: int, seed: int) -> Mapping[Columns, Interval]:
    """Of each score both ends by the draws, or what holds for any scores where that is nearer."""
    enough, there = (carriers(ratios.below) >= LEAST).tolist(), (ratios.there.sum(0) > 0).tolist()
    asked = [s for s in dict.fromkeys(scores) if any(there[c] for c in s) and all(enough[c] for c in s if there[c])]
    found = dict.fromkeys(scores, NONE)
    if not asked:
        return found
    count, rng = len(ratios.above), np.random.default_rng(seed)
    value, error = (of[0] for of in _valued(np.ones((1, count)), ratios, asked))
    apart = [np.empty((0, len(asked)))]
    for size in _chunks(draws, count):
        weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        drawn, errors = _valued(weights, ratios, asked)
        apart.append(_studentised(drawn - value, errors))
    far = np.quantile(np.concatenate(apart), (HIGH, 1 - LOW), axis=0, method="inverted_cdf")
    error = np.where(error > 0, error, np.nan)  # all images score alike: only what holds for any scores is left
    low = np.fmax(value - far[1] * error, _bound(ratios, asked, draws, rng, 0.0, LOW))
    high = np.fmin(value - far[0] * error, _bound(ratios, asked, draws, rng, 1.0, 1 - HIGH))
    return found | {s: Interval(*pair) for s, *pair in zip(asked, low.tolist(), high.tolist(), strict=True)}


def _chunks(draws: int, count: int) -> Iterator[int]:
    """How many draws to hold at once, until there are so many."""
    step = max(1, CHUNK // count)
    yield from (min(step, draws - start) for start in range(0, draws, step))


def _divided(sums: Ratios, columns: Sequence[int] | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Ratios (d, k) of sums, 0 where there is nothing to divide by, and which are defined."""
    above, below, there = (part[:, columns] for part in sums)
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0), there > 0


def _valued(weights: np.ndarray, ratios: Ratios, scores: Sequence[Columns]) -> tuple[np.ndarray, np.ndarray]:
    """Each score (d, scores) of draws from their weights (d, groups), NaN where none of its ratios is defined; errors.

    An error is the length of the score's linear part over the groups drawn: the standard error but for a factor of the
    number of groups, which that of the whole set has as well.
    """
    sums = Ratios(*(weights @ part for part in ratios))
    values, errors = np.full((2, len(weights), len(scores)), np.nan)
    for place, columns in enumerate(map(list, scores)):
        of_class, defined = _divided(sums, columns)
        count, below = defined.sum(1, keepdims=True), sums.below[:, columns]
        share = np.divide(defined, count * below, out=np.zeros(below.shape), where=below > 0)
        linear = share @ ratios.above[:, columns].T - (share * of_class) @ ratios.below[:, columns].T
        np.divide((of_class * defined).sum(1), count[:, 0], out=values[:, place], where=count[:, 0] > 0)
        errors[:, place] = np.sqrt((weights * linear**2).sum(1))
    return values, errors


def _studentised(apart: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """By how many of its errors each draw's score lies from the set's; infinite where it has none and lies apart."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(errors > ROUNDING, apart / errors, np.sign(apart) * np.inf)
    return np.where(np.isnan(found) | (np.abs(apart) <= ROUNDING), 0.0, found)  # a draw without the score says nothing


def _bound(
    ratios: Ratios, scores: Sequence[Columns], draws: int, rng: np.random.Generator, unseen: float, tail: float
) -> np.ndarray:
    """The quantile `tail` (scores,) of the groups weighted at random, with one more of the score `unseen`.

    That one is as large as the group that a pixel (or an image) is in on average: large ones count more often.
    """
    size = (ratios.below**2).sum(0) / np.maximum(ratios.below.sum(0), np.finfo(np.float64).tiny)
    more = Ratios(unseen * size, size, np.minimum(ratios.there.sum(0), 1))
    whole = Ratios(*(np.concatenate((part, row[None])) for part, row in zip(ratios, more, strict=True)))
    count = len(whole.above)
    drawn = [_valued(rng.exponential(size=(n, count)), whole, scores)[0] for n in _chunks(draws, count)]
    return np.asarray(np.quantile(np.concatenate(drawn), tail, axis=0))
