"""Scores predictions by streaming confusion matrices: counts per image, adds, scores once.

Three ways to average many images and classes into one number disagree where sizes differ. Macro counts every class
alike and within a class every pixel; micro counts every pixel of the foreground alike, so that large classes rule; the
mean over images counts every image alike, so that small objects in few pixels weigh as much.

Source: macro and micro, van Rijsbergen's contingency tables as in scikit-learn's `average=`; Maier-Hein et al. 2024
(Nature Methods 21:195) for pooling over pixels against aggregating over images.

An image, or a class in an image, is empty when its truth holds no counted pixel of it (of an image: none of a class not
named background). Where nothing is predicted there either it is rightly empty, and counts as 1 in every mean over
images; where something is, that is a false positive, and it scores 0. An image without any counted pixel, all of them
ignored, has no score and is left out. Leaving out what is rightly empty, as an undefined score invites to, would
compare a network that predicts too much on other images than one that does not.

Source: the evaluation of the BraTS challenges as Isensee et al. 2020 (arXiv 2011.00848) describe it: where the truth
has no pixel of a class, Dice is 1 for an empty prediction and 0 for any other. MONAI 1.6's DiceMetric does so with
`ignore_empty=False`. Maier-Hein et al. 2024 (Nature Methods 21:195) on metrics that are undefined for empty images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model.ranks import Ranks

METRICS = ("dice", "iou", "precision", "recall")


class Evaluation:
    """Counts what a network predicts, batch after batch: training's validation and test, and `evaluate`."""

    def __init__(self, classes: Sequence[str], ignore_index: int) -> None:
        """Begins with nothing counted; `ignore_index` is the label that counts nowhere."""
        self.classes, self.ignore_index = tuple(classes), ignore_index
        self.matrices: dict[int, Tensor] = {}  # sample index -> (classes, classes) confusion matrix, rows truth
        self._losses: list[tuple[Tensor, int, int]] = []  # of a batch, its images, and the first one's index

    def predict(
        self, model: Callable[[Tensor], Tensor], batch: dict[str, Tensor], loss: nn.Module | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predicts a batch, counts it, and takes its loss where there is one to take.

        Args:
            model: images (N, C, H, W) as stored to logits.
            batch: image, mask (N, H, W) and index (N,), which may lie elsewhere than the other two.
            loss: (logits, mask) to a scalar.

        Returns:
            Logits (N, K, H, W) and predicted labels (N, H, W) uint8.
        """
        logits, mask = model(batch["image"]), batch["mask"]
        if loss is not None:
            self._losses.append((loss(logits, mask), len(mask), int(batch["index"][0])))
        pred = prediction(logits)
        matrices = per_image(pred, mask, len(self.classes), self.ignore_index)
        self.matrices.update(zip(batch["index"].tolist(), matrices.cpu(), strict=True))
        return logits, pred

    def add(self, other: "Evaluation") -> None:
        """Takes in what was counted of other images."""
        self.matrices |= other.matrices
        self._losses += other._losses

    def gather(self, ranks: Ranks, order: Sequence[int]) -> None:
        """Takes in what every rank has counted, as if it had been counted here, in that order of the samples."""
        mine = {index: matrix.numpy() for index, matrix in self.matrices.items()}
        losses = [(float(value), *rest) for value, *rest in self._losses]
        place = {index: number for number, index in enumerate(order)}
        found = ranks.gather((mine, losses))
        counted = {index: matrix for matrices, _ in found for index, matrix in matrices.items()}
        self.matrices = {index: torch.from_numpy(counted[index]) for index in sorted(counted, key=place.__getitem__)}
        pooled = sorted((one for _, losses in found for one in losses), key=lambda one: place[one[2]])
        self._losses = [(torch.tensor(value, dtype=torch.float64), *rest) for value, *rest in pooled]

    def scores(self) -> dict[str, float]:
        """Returns `loss`, the mean over images, where it was taken, and the `scores` of all pixels together."""
        images = sum(n for _, n, _ in self._losses)
        loss = {"loss": sum(float(value) * n for value, n, _ in self._losses) / images} if images else {}
        return {**loss, **scores(torch.stack(list(self.matrices.values())).sum(0), self.classes)}


def require_logits(logits: int, classes: Sequence[str]) -> None:
    """Raises UserError unless there are as many logits a pixel as classes, or one, the second's, for two classes."""
    if logits == len(classes) or (logits, len(classes)) == (1, 2):
        return
    one = ", or 1: that of the second class against the first" if len(classes) == 2 else ""
    raise UserError(
        f"the network gives {logits} logits a pixel, and the data have the classes {', '.join(classes)}; expected "
        f"{len(classes)}{one}; got {logits}: predictions would be counted as other classes; leave model.classes out"
    )


def prediction(logits: Tensor) -> Tensor:
    """Returns predicted labels (N, H, W) uint8 of logits (N, C, H, W): the largest; for C = 1, is it above 0."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.max(1).indices.to(torch.uint8)  # argmax(1) takes seven times as long on a CPU in NCHW


def per_image(pred: Tensor, mask: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Returns confusion matrices (N, classes, classes) int64 of pred and mask (N, H, W); rows truth, columns pred.

    Pixels whose mask is ignore_index are left out. Precondition: any other label of mask, and every label of
    pred that is not left out, is in 0..classes-1 (datasets check theirs, `prediction` makes its own); else
    the counts are undefined. Fastest for uint8.
    """
    images, cells = len(pred), classes * classes + 1  # the last cell takes the ignored pixels
    small = torch.uint8 if cells <= 256 else torch.int32
    cell = (mask.to(small) * classes + pred.to(small)).masked_fill_(mask == ignore_index, cells - 1)
    if images > 1:
        wide = torch.int16 if images * cells < 2**15 else torch.int64
        start = torch.arange(0, images * cells, cells, dtype=wide, device=cell.device)
        cell = cell.to(wide) + start.view(-1, 1, 1)
    counts = torch.bincount(cell.flatten(), minlength=images * cells)
    return counts.view(images, cells)[:, :-1].reshape(images, classes, classes)


def confusion(pred: Tensor, mask: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Returns confusion matrix (classes, classes) int64 over all pixels; see `per_image`."""
    return per_image(pred.reshape(1, -1, 1), mask.reshape(1, -1, 1), classes, ignore_index)[0]


def scores(matrix: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Returns scores in [0, 1] of a confusion matrix (C, C), rows truth, as flat keys.

    For dice, iou, precision and recall: `dice/<class>`; `dice`, the mean over the classes not named
    background; `dice_all`, the mean over all. A class absent from truth and prediction is NaN and left out of
    the means, and absent_classes counts such classes; where only one of the two lacks it, all four scores are
    0. pixel_accuracy is the share of right pixels. A mean over no class, an accuracy over no pixel, is NaN.

    Source: dice = 2 TP / (2 TP + FP + FN), iou = TP / (TP + FP + FN), precision = TP / (TP + FP),
    recall = TP / (TP + FN).
    """
    counts = matrix.to("cpu", torch.float64)
    right, truth, pred = counts.diagonal().tolist(), counts.sum(1).tolist(), counts.sum(0).tolist()
    found: dict[str, float] = {}
    for metric, of_class in _of_class(right, truth, pred).items():
        front = [value for value, name in zip(of_class, names, strict=True) if name != "background"]
        found |= {metric: _mean(front), f"{metric}_all": _mean(of_class)}
        found |= {f"{metric}/{name}": value for name, value in zip(names, of_class, strict=True)}
    found["pixel_accuracy"] = sum(right) / sum(truth) if sum(truth) else math.nan
    found["absent_classes"] = float(sum(t + p == 0 for t, p in zip(truth, pred, strict=True)))
    return found


def _of_class(right: list[float], truth: list[float], pred: list[float]) -> dict[str, list[float]]:
    each = list(zip(right, truth, pred, strict=True))
    return {
        "dice": [2 * r / (t + p) if t + p else math.nan for r, t, p in each],
        "iou": [r / (t + p - r) if t + p else math.nan for r, t, p in each],
        "precision": [r / max(p, 1) if t + p else math.nan for r, t, p in each],  # max: no pixel, none right
        "recall": [r / max(t, 1) if t + p else math.nan for r, t, p in each],
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def image_rows(matrices: Mapping[int, Tensor], ids: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the rows of per_image.csv, in the order of the samples: id, Dice and IoU, pixels counted, those a class.

    Dice and IoU are NaN where neither truth nor prediction has the class, whether the image is rightly empty or has no
    counted pixel; `truth/<class>`, the counted pixels of a class in the truth, tells a false positive from a miss.
    """
    rows = []
    for index, matrix in sorted(matrices.items()):
        kept = {k: v for k, v in scores(matrix, classes).items() if k.split("/")[0] in ("dice", "iou")}
        truth = {f"truth/{name}": int(n) for name, n in zip(classes, matrix.sum(1).tolist(), strict=True)}
        rows.append({"id": ids[index], **kept, "pixels": int(matrix.sum()), **truth})
    return rows


def averages(matrices: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Returns three averages of dice, iou, precision and recall over the classes not named background.

    `dice_macro`: the mean of the class scores of all images' pixels together, which `scores` calls dice;
    `dice_micro`: the score of TP, FP and FN summed over images and classes; `dice_image_mean`: the mean over images of
    each image's mean over the classes that its truth or its prediction has. An image in which neither has any is
    rightly empty and counts as 1, in all four (`as_counted`); one without a counted pixel is left out, and
    `images_counted` says how many are not. NaN where nothing is counted.

    Args:
        matrices: (n, C, C) confusion matrices, one an image, rows truth.
        names: of the C classes.
    """
    total, of_image = scores(matrices.sum(0), names), [scores(matrix, names) for matrix in matrices]
    pooled = scores(_pooled(matrices.sum(0), names), ("background", "foreground"))
    pixels = matrices.sum((1, 2)).cpu().numpy()
    found = {"images_counted": float((pixels > 0).sum())}
    for metric in METRICS:
        counted = as_counted(np.array([image[metric] for image in of_image]), pixels)[pixels > 0].tolist()
        found[f"{metric}_macro"] = total[metric]
        found[f"{metric}_micro"] = pooled[metric]
        found[f"{metric}_image_mean"] = sum(counted) / len(counted) if counted else math.nan
    return found


def _pooled(matrix: Tensor, names: Sequence[str]) -> Tensor:
    """Returns (2, 2) with FN, FP and TP of the counted classes summed: a pixel may be FN of one and FP of another."""
    front = torch.tensor([name != "background" for name in names])
    counts = matrix.cpu()
    right, truth, pred = counts.diagonal()[front].sum(), counts.sum(1)[front].sum(), counts.sum(0)[front].sum()
    return torch.stack((torch.stack((torch.zeros_like(right), pred - right)), torch.stack((truth - right, right))))


def as_counted(scores: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Returns scores as they count in a mean over images: 1 for NaN where the image has a counted pixel.

    Args:
        scores: (images, ...) in [0, 1], NaN where neither truth nor prediction has what is scored.
        pixels: (images,) how many pixels of each image count.
    """
    scored = pixels.reshape(-1, *(1,) * (scores.ndim - 1)) > 0
    return np.where(np.isnan(scores) & scored, 1.0, scores)


def seen_on_empty(matrices: Tensor, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns for each image (n,): 1 where it is empty and something is predicted, 0 where rightly empty, NaN else.

    Of all classes not named background together under the key "", of each class under "/<class>".

    Args:
        matrices: (n, C, C) confusion matrices, one an image, rows truth.
        names: of the C classes.
    """
    counts = matrices.cpu().numpy()
    truth, pred = counts.sum(2), counts.sum(1)  # (n, C)
    wanted = {"": np.array([name != "background" for name in names])}
    wanted |= {f"/{name}": np.arange(len(names)) == c for c, name in enumerate(names)}
    found = {}
    for end, columns in wanted.items():
        empty = (truth[:, columns].sum(1) == 0) & (truth.sum(1) > 0)
        found[end] = np.where(empty, pred[:, columns].sum(1) > 0, np.nan)
    return found


def false_positives(matrices: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Returns how many images are empty, and on how many of those something is predicted.

    `empty_images`, `false_positive_images` and their ratio `false_positive_rate`, NaN where no image is empty: of the
    classes not named background together, and of each class, as `empty_images/<class>`. `unscored_images` have no
    counted pixel, and are none of these. The arguments are those of `seen_on_empty`.
    """
    found: dict[str, float] = {}
    for end, seen in seen_on_empty(matrices, names).items():
        empty, wrong = int((~np.isnan(seen)).sum()), int(np.nansum(seen))
        found |= {f"empty_images{end}": empty, f"false_positive_images{end}": wrong}
        found[f"false_positive_rate{end}"] = wrong / empty if empty else float("nan")
    return found | {"unscored_images": int((matrices.sum((1, 2)) == 0).sum())}
