"""Scores from streaming confusion matrices: count per image, add, score once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from segtrain.errors import UserError


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
    """Predicted labels (N, H, W) uint8 of logits (N, C, H, W): the largest; for C = 1, is it above 0."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.max(1).indices.to(torch.uint8)  # argmax(1) takes seven times as long on a CPU in NCHW


def per_image(pred: Tensor, mask: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Confusion matrices (N, classes, classes) int64 of pred and mask (N, H, W); rows truth, columns pred.

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
    """Confusion matrix (classes, classes) int64 over all pixels; see `per_image`."""
    return per_image(pred.reshape(1, -1, 1), mask.reshape(1, -1, 1), classes, ignore_index)[0]


def scores(matrix: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Scores in [0, 1] of a confusion matrix (C, C), rows truth, as flat keys.

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
