"""Measures how far a network's confidence is from how often it is right, over pixels."""

from typing import NamedTuple

import numpy as np


class ReliabilityCurve(NamedTuple):
    """Holds a reliability curve, a value a bin, from the lowest confidence to the highest; NaN where a bin is empty."""

    confidence: np.ndarray  # (bins,) float64: mean confidence in the bin
    accuracy: np.ndarray  # (bins,) float64: share of right pixels in the bin
    pixels: np.ndarray  # (bins,) int64: how many


class Calibration:
    """Counts image after image, of which it keeps three numbers a bin.

    A pixel's confidence is the probability of its predicted class. Bin k of n holds confidences in (k/n, (k+1)/n].

    Source: expected calibration error, Guo et al. 2017 (arXiv 1706.04599), equations 2 to 5.
    """

    def __init__(self, bins: int = 15) -> None:
        """Starts with nothing counted."""
        self.bins = bins
        self.images: dict[int, np.ndarray] = {}  # by sample (3, bins): confidence, right pixels, pixels

    def add(self, probabilities: np.ndarray, mask: np.ndarray, ignore_index: int, sample: int | None = None) -> None:
        """Counts an image: probabilities (K, H, W) of K classes, or (1, H, W) of the second of two; mask (H, W).

        `sample` is its index; None: the next one.
        """
        if len(probabilities) == 1:
            label = probabilities[0] > 0.5
            confidence = np.where(label, probabilities[0], 1 - probabilities[0])
        else:
            label, confidence = probabilities.argmax(0), probabilities.max(0)
        counts = mask != ignore_index
        sure = confidence[counts].astype(np.float64)
        place = np.clip(np.ceil(sure * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        rows = [np.bincount(place, weights, self.bins) for weights in (sure, label[counts] == mask[counts], None)]
        self.images[len(self.images) if sample is None else sample] = np.stack(rows).astype(np.float64)

    def _sums(self) -> np.ndarray:
        """Returns (3, bins) of all images, added in the order in which they came."""
        return sum(self.images.values(), np.zeros((3, self.bins)))

    def error(self) -> float:
        """Returns the expected calibration error in [0, 1], mean |accuracy - confidence| of a pixel's bin, or NaN."""
        confidence, right, count = self._sums()
        total = float(count.sum())
        return float(np.abs(right - confidence).sum() / total) if total else float("nan")

    def curve(self) -> ReliabilityCurve:
        """Returns mean confidence and accuracy of each bin."""
        confidence, right, count = self._sums()
        pixels = np.where(count > 0, count, np.nan)
        return ReliabilityCurve(confidence / pixels, right / pixels, count.astype(np.int64))
