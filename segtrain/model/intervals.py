"""How far a score over the images of a test set may be off by the chance of which images are in it.

Images are drawn again with replacement, the score is taken of each draw, and the interval lies between its quantiles:
the percentile bootstrap (Efron and Tibshirani 1993, chapter 13). Training anew is another source of chance, which one
run cannot show: `segtrain.sweeps.paired` has it for sweeps. Images of one patient or one scene are not independent:
draw them together by `groups`, or the interval is too short.

With few images it is too short as well, as what a set lacks no draw can hold: 95 % intervals of a mean Dice held the
truth in 88 of 100 simulated sets of 8 images, 90 to 92 of 15, 93 of 30, 94 of 60; where one image in twenty scores 0,
in 79 of 8, 87 of 30, 91 of 60, 93 of 120 (`python scripts/validate_intervals.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from segtrain.model.averages import METRICS

LEVEL = 0.95
DRAWS = 2000
CHUNK = 4_000_000  # weights held at once


class Interval(NamedTuple):
    """NaN where the score is defined in no draw."""

    low: float
    high: float


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    images: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
    groups: Sequence[object] | None = None,
) -> np.ndarray:
    """Low and high (2, k) of k scores; the same seed gives the same draws.

    Args:
        statistic: scores (d, k) of d draws from their weights (d, images) float64: how often each image is in each
            draw. A score that a draw leaves undefined is NaN, and left out.
        images: how many there are, at least 1.
        draws: how many.
        seed: of the draws.
        level: share of the truths that the interval is to hold.
        groups: of each image; images of one group are drawn together.
    """
    values = np.concatenate([statistic(weights) for weights in _weights(images, draws, seed, groups)])
    known = ~np.isnan(values).all(0)
    found = np.full((2, values.shape[1]), np.nan)
    found[:, known] = np.nanquantile(values[:, known], ((1 - level) / 2, (1 + level) / 2), axis=0)
    return found


def of_means(
    values: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
    groups: Sequence[object] | None = None,
) -> list[Interval]:
    """Of the means of k columns (images, k) of scores, one an image; NaN is an image without that score."""

    def means(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray(weights @ filled / (weights @ known))

    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    bounds = bootstrap(means, len(values), draws=draws, seed=seed, level=level, groups=groups)
    return [Interval(low, high) for low, high in bounds.T.tolist()]


def of_scores(
    matrices: np.ndarray,
    names: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
    groups: Sequence[object] | None = None,
) -> dict[str, Interval]:
    """Of the scores by `metrics.scores`, but absent_classes, and by `averages`, of matrices (images, C, C); their keys.

    Scores of pixels that are pooled over images are those of the drawn images' summed matrices.
    """
    parts = _parts(np.asarray(matrices, np.float64))
    front = np.array([name != "background" for name in names])
    keys: list[str] = []

    def scores(weights: np.ndarray) -> np.ndarray:
        found = _pooled(np.tensordot(weights, parts, 1), names, front)
        keys[:] = found
        return np.stack(list(found.values()), 1)

    options = {"draws": draws, "seed": seed, "level": level, "groups": groups}
    bounds = bootstrap(scores, len(matrices), **options)  # type: ignore[arg-type]
    found = {key: Interval(*bound) for key, bound in zip(keys, bounds.T.tolist(), strict=True)}
    of_image = _pooled(parts, names, front)
    means = of_means(np.stack([of_image[metric] for metric in METRICS], 1), **options)  # type: ignore[arg-type]
    return found | {f"{metric}_image_mean": mean for metric, mean in zip(METRICS, means, strict=True)}


def _weights(images: int, draws: int, seed: int, groups: Sequence[object] | None) -> Iterator[np.ndarray]:
    """How often each image is in each draw, (some draws, images), until there are so many draws."""
    names = list(range(images)) if groups is None else list(groups)
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    member, count = np.array([place[name] for name in names]), len(place)
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // images)
    for start in range(0, draws, step):
        drawn = rng.multinomial(count, np.full(count, 1 / count), min(step, draws - start))
        yield drawn[:, member].astype(np.float64)


def _parts(matrices: np.ndarray) -> np.ndarray:
    """TP, pixels of the truth and pixels of the prediction of each class, (images, 3, C)."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return np.stack((right, matrices.sum(2), matrices.sum(1)), 1)


def _pooled(parts: np.ndarray, names: Sequence[str], front: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of each of d sums (d, 3, C) of `_parts`, a row (d,) a key."""
    found: dict[str, np.ndarray] = {}
    micro = _scores(parts[:, :, front].sum(2))
    for metric, values in _scores(parts.swapaxes(1, 2)).items():
        mean = _mean(values[:, front])
        found |= {metric: mean, f"{metric}_all": _mean(values)}
        found |= {f"{metric}_macro": mean, f"{metric}_micro": micro[metric]}
        found |= {f"{metric}/{name}": values[:, c] for c, name in enumerate(names)}
    right, truth, _ = parts.sum(2).T
    return found | {"pixel_accuracy": _ratio(right, truth)}


def _scores(parts: np.ndarray) -> dict[str, np.ndarray]:
    """By the definitions of `metrics.scores`, of any array whose last axis is TP, truth, prediction."""
    right, truth, pred = np.moveaxis(parts, -1, 0)
    absent = truth + pred == 0
    scores = {
        "dice": _ratio(2 * right, truth + pred),
        "iou": _ratio(right, truth + pred - right),
        "precision": right / np.maximum(pred, 1),
        "recall": right / np.maximum(truth, 1),
    }
    return {metric: np.where(absent, np.nan, values) for metric, values in scores.items()}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the columns that are known; NaN where none is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(1), known.sum(1).astype(np.float64))
