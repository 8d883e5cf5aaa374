"""What is measured of an image beside its confusion matrix: surfaces, calibration, and the labels for its picture."""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from omegaconf import DictConfig

from segtrain.app.loaded import Loaded
from segtrain.app.scoring import Image
from segtrain.model.calibration import Calibration
from segtrain.model.ensemble import log_probabilities
from segtrain.model.surface import surface_scores

Labels = np.ndarray[Any, np.dtype[np.uint8]]


class Details:
    """Image after image; predicted labels are kept deflated, a few KB an image."""

    def __init__(self, loaded: Loaded, wanted: DictConfig, spacing: Callable[[int], Sequence[float]] | None) -> None:
        """Nothing measured yet; `spacing` is the dataset's own, in mm, which the one that is typed goes before."""
        self.classes, self.ignore_index = loaded.classes, loaded.ignore_index
        self.calibration = Calibration(wanted.bins)
        typed = None if wanted.spacing is None else list(wanted.spacing)
        self.unit = "pixels" if typed is None and spacing is None else "mm"
        self._spacing = (lambda _: typed) if typed else spacing or (lambda _: (1.0, 1.0))
        self._surface, self._tolerance = bool(wanted.surface), float(wanted.tolerance)
        self.surfaces: dict[int, dict[str, float]] = {}  # sample index to `surface_scores`
        self._preds: dict[int, tuple[bytes, tuple[int, ...]]] = {}

    def add(self, image: Image) -> None:
        """Measure one."""
        pred, mask = image.pred.numpy(), image.mask.numpy()
        probabilities = log_probabilities(image.logits[None])[0].exp().numpy()
        self.calibration.add(probabilities, mask, self.ignore_index)
        self._preds[image.sample] = zlib.compress(np.ascontiguousarray(pred).tobytes(), 1), pred.shape
        if self._surface:
            down, across = self._spacing(image.sample)
            self.surfaces[image.sample] = surface_scores(
                pred,
                mask,
                self.classes,
                ignore_index=self.ignore_index,
                spacing=(float(down), float(across)),
                tolerance=self._tolerance,
            )

    def pred(self, index: int) -> Labels:
        """The predicted labels (H, W) of a sample."""
        packed, shape = self._preds[index]
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


def mean_over_images(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over the images that have it; NaN where none has."""
    found = {}
    for key in rows[0] if rows else ():
        known = [row[key] for row in rows if not math.isnan(row[key])]
        found[key] = sum(known) / len(known) if known else math.nan
    return found
