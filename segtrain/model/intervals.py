"""Says how far a score may be off by the chance of which images are in the test set: 95 % intervals over images.

`segtrain.model.bootstrap` says how they are made, and of what there is none; here is which sums each score is made of.
Images of one patient or one scene are not independent: draw them together by `groups`, or the interval is too short.
Training anew is another source of chance, which one run cannot show: `segtrain.app.report.paired` has it for sweeps.
"""

from collections.abc import Sequence

import numpy as np

from segtrain.model.bootstrap import DRAWS, Columns, Interval, SumRatios, divided, grouped, intervals
from segtrain.model.metrics import METRICS, as_counted


def of_means(
    values: np.ndarray, *, draws: int = DRAWS, seed: int = 0, groups: Sequence[object] | None = None
) -> list[Interval]:
    """Returns those of the means of k columns (images, k) of scores in [0, 1]; NaN is an image that is left out.

    Args:
        values: a score an image; of a rightly empty one it is 1 (`segtrain.model.metrics.as_counted`).
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
    found = intervals(grouped(SumRatios(above, below, below), groups), columns, draws, seed)
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
    ratios = SumRatios(*(np.concatenate((a, np.stack(b, 1)), 1) for a, *b in zip(ratios, *means.values(), strict=True)))
    found = intervals(grouped(ratios, groups), [*scores.values()], draws, seed)
    return {key: found[columns] for key, columns in scores.items()}


def _of_pixels(parts: np.ndarray, names: Sequence[str]) -> tuple[SumRatios, dict[str, Columns]]:
    """Returns the scores of the pixels of all images together, of `_parts`."""
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
    return SumRatios(*(np.concatenate(part, 1) for part in zip(*ratios, strict=True))), scores


def _of_images(parts: np.ndarray, front: Sequence[int]) -> dict[str, SumRatios]:
    """Means over images, each (images,), of each image's mean over the classes it has; the rule is `empties`'."""
    pixels = parts[:, 1].sum(1)
    known = (pixels > 0).astype(np.float64)
    found = {}
    for metric in METRICS:
        values, defined = divided(_ratios(metric, parts[:, :, front]))
        of_image = np.full(len(parts), np.nan)
        np.divide((values * defined).sum(1), defined.sum(1), out=of_image, where=defined.any(1))
        found[f"{metric}_image_mean"] = SumRatios(np.where(known > 0, as_counted(of_image, pixels), 0.0), known, known)
    return found


def _parts(matrices: np.ndarray) -> np.ndarray:
    """Returns TP, pixels of the truth and pixels of the prediction of each class, (images, 3, C)."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return np.stack((right, matrices.sum(2), matrices.sum(1)), 1)


def _ratios(metric: str, parts: np.ndarray) -> SumRatios:
    """Returns the ratios by the definitions of `metrics.scores`, of `_parts` (images, 3, k)."""
    right, truth, pred = parts.swapaxes(0, 1)
    both = truth + pred
    below = {"dice": both, "iou": both - right, "precision": pred, "recall": truth, "accuracy": truth}[metric]
    return SumRatios(2 * right if metric == "dice" else right, below, both)
