"""Says how near a class's outlines in pred and mask lie: HD95, average distance, surface Dice, boundary IoU.

A class's outline is its pixels with at least one of their four neighbours outside the class; what lies beyond the image
is outside. Lengths are in pixels, or in the unit of `spacing`.

Ignored pixels are taken out of pred as they are out of the mask: a class that crosses them is cut alike in both, and
the cut agrees. Where a class is in neither, all four scores are NaN: no outline, no distance. Where only one of the two
has it, surface_dice and boundary_iou are 0 and both distances are the image's diagonal, the worst that can be: an
infinite one would make every mean infinite, and leaving it out, as MONAI's NaN does, would reward missing what is hard.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from scipy.spatial import cKDTree

DILATION = 0.02  # width of boundary IoU's band, in image diagonals
NEIGHBOURS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
DISTANCES = ("hd95", "asd")
SCORES = (*DISTANCES, "surface_dice", "boundary_iou")


def surface_scores(
    pred: np.ndarray,
    mask: np.ndarray,
    classes: Sequence[str],
    *,
    ignore_index: int,
    spacing: tuple[float, float] = (1.0, 1.0),
    tolerance: float = 2.0,
) -> dict[str, float]:
    """Returns `class_scores` as flat keys: `hd95/<class>`, and `hd95`, the mean over the classes not background.

    As in `metrics.scores`, NaN is left out of the mean, and a mean over no class is NaN. The outline of background also
    runs along the image's frame, mostly in both: its scores flatter.
    """
    options = {"ignore_index": ignore_index, "spacing": spacing, "tolerance": tolerance}
    each = [class_scores(pred, mask, label, **options) for label in range(len(classes))]  # type: ignore[arg-type]
    found: dict[str, float] = {}
    for score in SCORES:
        values = {name: of_class[score] for name, of_class in zip(classes, each, strict=True)}
        front = [v for name, v in values.items() if name != "background" and not math.isnan(v)]
        found[score] = sum(front) / len(front) if front else math.nan
        found |= {f"{score}/{name}": value for name, value in values.items()}
    return found


def class_scores(
    pred: np.ndarray,
    mask: np.ndarray,
    label: int,
    *,
    ignore_index: int,
    spacing: tuple[float, float] = (1.0, 1.0),
    tolerance: float = 2.0,
) -> dict[str, float]:
    """Returns scores of one class in one image, pred and mask (H, W) of any integer type.

    hd95: the larger of two 95th percentiles, of the distances from each pixel of pred's outline to the nearest of the
    mask's, and the other way round; asd: the mean of all those distances, of both ways; surface_dice: the share of
    them that are at most `tolerance`; boundary_iou: IoU of the two bands within the class that are DILATION diagonals
    wide from its edge. The module says what absent classes and ignored pixels score.

    Args:
        pred: predicted labels.
        mask: true labels.
        label: which class.
        ignore_index: label in mask of pixels that do not count.
        spacing: height and width of a pixel in any unit; lengths come out in that unit.
        tolerance: how far off, in the same unit, is still right.

    Source: hd95, asd and surface_dice (normalised surface distance, Nikolov et al. 2018, arXiv 1809.04430) over edge
    pixels as MONAI 1.6 counts them; boundary_iou: Cheng et al. 2021 (arXiv 2103.16562); the diagonal for a class in
    one of the two: Maier-Hein et al. 2024 (Nature Methods 21:195), worst value for missing results.
    """
    both = _cropped(pred, mask, label, ignore_index)
    if both is None:
        return dict.fromkeys(SCORES, math.nan)
    if not all(part.any() for part in both):
        farthest = math.hypot(mask.shape[0] * spacing[0], mask.shape[1] * spacing[1])
        return {"hd95": farthest, "asd": farthest, "surface_dice": 0.0, "boundary_iou": 0.0}
    there, back = distances(*both, spacing=spacing)
    every = np.concatenate((there, back))
    return {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "asd": float(every.mean()),
        # The product of a whole number and the spacing may miss the tolerance it is meant to equal by rounding.
        "surface_dice": float(np.count_nonzero(every <= tolerance * (1 + 1e-9)) / len(every)),
        "boundary_iou": _boundary_iou(*both, reach=_reach(mask.shape, spacing)),
    }


def distances(pred: np.ndarray, mask: np.ndarray, *, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Returns distances float64, in no order, from each pixel of pred's outline to the nearest of mask's, and back.

    Both are (H, W) uint8 of 0 and 1, neither empty. Exact: pixels of both outlines are 0, a k-d tree answers for the
    rest. Faster than distance transforms where outlines are thin in their box, slower on noise.
    """
    edges = _rim(pred, NEIGHBOURS), _rim(mask, NEIGHBOURS)
    return _nearest(*edges, spacing), _nearest(*edges[::-1], spacing)


def _cropped(pred: np.ndarray, mask: np.ndarray, label: int, ignore_index: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the class in both as uint8 of 0 and 1, within the box around both; None where neither has it."""
    counts = mask != ignore_index
    ours, truth = (pred == label) & counts, (mask == label) & counts
    x, y, width, height = cv2.boundingRect((ours | truth).view(np.uint8))
    if not width:
        return None
    box = np.s_[y : y + height, x : x + width]
    return np.ascontiguousarray(ours[box]).view(np.uint8), np.ascontiguousarray(truth[box]).view(np.uint8)


def _nearest(start: np.ndarray, goal: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Returns distance of each set pixel of start to the nearest set pixel of goal."""
    found = np.zeros(cv2.countNonZero(start))
    away = _points(cv2.subtract(start, goal), spacing)
    if len(away):
        # Built for a single query: a tree that is not balanced takes less than it saves.
        tree = cKDTree(_points(goal, spacing), leafsize=32, balanced_tree=False, compact_nodes=False)
        found[: len(away)] = tree.query(away)[0]
    return found


def _points(pixels: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Returns places (n, 2) float64 of the set pixels, x before y, in the unit of spacing."""
    places = cv2.findNonZero(pixels)
    if places is None:
        return np.empty((0, 2))
    return np.asarray(places.reshape(-1, 2) * np.array(spacing[::-1], np.float64))


def _reach(shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[int, int]:
    """Returns width of boundary IoU's band in pixels, down and across: at least 1."""
    width = DILATION * math.hypot(shape[0] * spacing[0], shape[1] * spacing[1])
    down, across = (max(1, round(width / size)) for size in spacing)
    return down, across


def _boundary_iou(pred: np.ndarray, mask: np.ndarray, *, reach: tuple[int, int]) -> float:
    down, across = reach
    kernel = np.ones((2 * down + 1, 2 * across + 1), np.uint8)
    bands = _rim(pred, kernel), _rim(mask, kernel)
    return cv2.countNonZero(np.bitwise_and(*bands)) / cv2.countNonZero(np.bitwise_or(*bands))


def _rim(part: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Returns the set pixels from which the kernel reaches one that is not set, or beyond the image."""
    inner = cv2.erode(part, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(np.bitwise_xor(part, inner))
