"""What is measured of an image beside its confusion matrix: surfaces, calibration, and the labels for its picture."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.config.run_config import Section
from segtrain.model.calibration import Calibration
from segtrain.model.empties import as_counted
from segtrain.model.ensemble import log_probabilities
from segtrain.model.surface import DISTANCES, surface_scores
from segtrain.parts.evaluation import Image
from segtrain.parts.trained_run import Loaded

Labels = np.ndarray[Any, np.dtype[np.uint8]]


class Details:
    """Image after image; predicted labels are kept deflated, a few KB an image."""

    def __init__(self, loaded: Loaded, wanted: Section, spacing: Callable[[int], Sequence[float]] | None) -> None:
        """Nothing measured yet; `spacing` is the dataset's own, in mm, which the one that is typed goes before."""
        self.classes, self.ignore_index = loaded.classes, loaded.ignore_index
        self.calibration = Calibration(wanted.bins)
        typed = None if wanted.spacing is None else list(wanted.spacing)
        self.unit = "pixels" if typed is None and spacing is None else "mm"
        self._spacing = (lambda _: typed) if typed else spacing or (lambda _: (1.0, 1.0))
        self._surface, self._tolerance = bool(wanted.surface), float(wanted.tolerance)
        self.surfaces: dict[int, dict[str, float]] = {}  # sample index to `surface_scores`
        self.farthest = 0.0  # largest distance that an image has room for, in the unit
        self._preds: dict[int, tuple[bytes, tuple[int, ...]]] = {}

    def add(self, image: Image) -> None:
        """Measure one."""
        pred, mask = image.pred.numpy(), image.mask.numpy()
        probabilities = log_probabilities(image.logits[None])[0].exp().numpy()
        self.calibration.add(probabilities, mask, self.ignore_index)
        self._preds[image.sample] = zlib.compress(np.ascontiguousarray(pred).tobytes(), 1), pred.shape
        if self._surface:
            down, across = self._spacing(image.sample)
            self.farthest = max(self.farthest, math.hypot(mask.shape[0] * down, mask.shape[1] * across))
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


class Table(NamedTuple):
    """Surface scores as they count in means over images: the score of a rightly empty image, or class, is 1.

    Distances have no such value, as there is no outline: they are NaN there, and left out, as MONAI does. A network
    that predicts what is not there gains nothing by it: its distance is the image's diagonal. An image without a
    counted pixel is NaN throughout.
    """

    keys: tuple[str, ...]
    values: np.ndarray  # (images, keys)

    @property
    def distances(self) -> np.ndarray:
        """Which of the keys are distances, (keys,) bool."""
        return np.array([key.partition("/")[0] in DISTANCES for key in self.keys], bool)

    def means(self) -> dict[str, float]:
        """Returns the mean of each over the images that have it, NaN where none has, and how many have a distance."""
        known = ~np.isnan(self.values)
        found: dict[str, float] = {}
        for key, column, has in zip(self.keys, self.values.T, known.T, strict=True):
            there = column[has].tolist()
            found[key] = sum(there) / len(there) if there else math.nan
        for key, count in zip(self.keys, known.sum(0).tolist(), strict=True):
            score, slash, name = key.partition("/")
            if score == DISTANCES[0]:
                found[f"distance_images{slash}{name}"] = count
        return found


def surface_table(surfaces: Sequence[Mapping[str, float]], pixels: Sequence[int]) -> Table:
    """Returns the rows of images, whose counted pixels are so many, as they count in means."""
    keys = tuple(surfaces[0]) if surfaces else ()
    table = Table(keys, np.array([[row[key] for key in keys] for row in surfaces]).reshape(len(surfaces), len(keys)))
    shares = ~table.distances
    table.values[:, shares] = as_counted(table.values[:, shares], np.array(pixels))
    return table
