"""One number for many images and classes: three ways to average, which disagree where sizes differ.

Macro counts every class alike and within a class every pixel; micro counts every pixel of the foreground alike, so that
large classes rule; the mean over images counts every image alike, so that small objects in few pixels weigh as much.

Source: macro and micro, van Rijsbergen's contingency tables as in scikit-learn's `average=`; Maier-Hein et al. 2024
(Nature Methods 21:195) for pooling over pixels against aggregating over images.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from segtrain.model.empties import as_counted
from segtrain.model.metrics import scores

METRICS = ("dice", "iou", "precision", "recall")


def averages(matrices: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Three averages of dice, iou, precision and recall over the classes not named background.

    `dice_macro`: the mean of the class scores of all images' pixels together, which `metrics.scores` calls dice;
    `dice_micro`: the score of TP, FP and FN summed over images and classes; `dice_image_mean`: the mean over images of
    each image's mean over the classes that its truth or its prediction has. An image in which neither has any is
    rightly empty and counts as 1, in all four (`segtrain.model.empties`); one without a counted pixel is left out, and
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
    """(2, 2) with the FN, FP and TP of the counted classes summed: one pixel may be FN of one class, FP of another."""
    front = torch.tensor([name != "background" for name in names])
    counts = matrix.cpu()
    right, truth, pred = counts.diagonal()[front].sum(), counts.sum(1)[front].sum(), counts.sum(0)[front].sum()
    return torch.stack((torch.stack((torch.zeros_like(right), pred - right)), torch.stack((truth - right, right))))
