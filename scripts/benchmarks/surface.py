"""Surface scores of one class of a 512 x 512 image against MONAI's.

Milliseconds an image, in turn, one thread. The masks are smoothed noise above a level, a dozen pieces that fill a tenth
to a third of the image; pred is the mask with smoother noise added, so that outlines part by some pixels. First HD95
alone against all that ours computes; then HD95, average distance and surface Dice of MONAI against the same and
boundary IoU, which MONAI lacks. Needs the test extra's monai.
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from monai import metrics

from benchmarks import Comparison
from segtrain.model.surface import class_scores

SIZE = 512
ALONE_AIM, TOGETHER_AIM = 0.5, 0.25  # times MONAI


def run(quick: bool) -> list[Comparison]:
    """HD95 alone, and all scores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pairs = [pair(seed) for seed in range(4 if quick else 16)]
    return [
        compared("HD95 of one class", "MONAI's HD95", ALONE_AIM, hd95, pairs),
        compared("all surface scores of one class", "MONAI's three", TOGETHER_AIM, three, pairs),
    ]


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(pred, mask) of 0 and 1."""
    rng = np.random.default_rng(seed)
    smooth, error = (cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE)), (0, 0), sigma) for sigma in (20, 8))
    smooth, error = smooth / smooth.std(), error / error.std()
    level = rng.uniform(0.5, 1.2)
    return (smooth + 0.15 * error > level).astype(np.uint8), (smooth > level).astype(np.uint8)


def compared(
    name: str,
    alternative_name: str,
    aim: float,
    monai: Callable[[torch.Tensor, torch.Tensor], object],
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> Comparison:
    times: dict[str, list[float]] = {"ours": [], "alternative": []}
    for repeat in range(4):
        for pred, mask in pairs:
            tensors = torch.from_numpy(pred)[None, None], torch.from_numpy(mask)[None, None]
            ours = milliseconds(lambda pred=pred, mask=mask: class_scores(pred, mask, 1, ignore_index=255))
            alternative = milliseconds(lambda tensors=tensors: monai(*tensors))
            if repeat:  # the first brings code and pages into memory
                times["ours"].append(ours)
                times["alternative"].append(alternative)
    return Comparison(
        name=name,
        setting=f"{SIZE} x {SIZE}, {len(pairs)} pairs of masks; ours: all four scores",
        alternative_name=alternative_name,
        unit="ms",
        figure="ratio",
        aim=aim,
        **times,
    )


def hd95(pred: torch.Tensor, mask: torch.Tensor) -> None:
    metrics.compute_hausdorff_distance(pred, mask, include_background=True, percentile=95)


def three(pred: torch.Tensor, mask: torch.Tensor) -> None:
    hd95(pred, mask)
    metrics.compute_average_surface_distance(pred, mask, include_background=True, symmetric=True)
    metrics.compute_surface_dice(pred, mask, class_thresholds=[2.0], include_background=True)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3
