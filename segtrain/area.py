"""Keeps labels beside their image when both are made smaller."""

from typing import Any

import cv2
import numpy as np

Labels = np.ndarray[Any, np.dtype[Any]]

SAME = 1e-4  # of shares of an area, whose sums in float32 hang on the order of their pixels


def shrink_labels(mask: Labels, size: tuple[int, int]) -> Labels:
    """Returns the label with the largest share of the area of each pixel of a smaller mask, (height, width).

    It belongs beside an image that `cv2.resize` shrinks with INTER_AREA: both are read off the same areas. OpenCV's
    INTER_NEAREST takes the first pixel of each area instead, which lies half a pixel towards the top left at a factor
    of two. Of labels with equal shares (to `SAME`) the lowest wins, so that a mirrored mask gives the mirrored labels.

    Args:
        mask: (H, W) of any integer dtype, which is kept; every value is a label of its own, the ignore index too.
        size: width and height of what is returned, each at most that of the mask.
    """
    if size == mask.shape[::-1]:
        return mask.copy()
    found = np.unique(mask)
    shares = [cv2.resize((mask == label).astype(np.float32), size, interpolation=cv2.INTER_AREA) for label in found]
    stacked = np.stack(shares)
    labels: Labels = found[(stacked >= stacked.max(0) - SAME).argmax(0)]
    return labels
