"""Measures images beside their confusion matrices: surfaces, calibration, and how sure each score is."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from segtrain.app.evaluate.data import Data
from segtrain.config.run_config import Section
from segtrain.model.bootstrap import LEAST, Interval
from segtrain.model.calibration import Calibration
from segtrain.model.ensemble import log_probabilities
from segtrain.model.intervals import of_distances, of_means, of_scores
from segtrain.model.metrics import as_counted, seen_on_empty
from segtrain.model.ranks import Ranks
from segtrain.model.surface import DISTANCES, surface_scores
from segtrain.parts.data import build_groups
from segtrain.parts.evaluation import Image
from segtrain.parts.network import Loaded

Labels = np.ndarray[Any, np.dtype[np.uint8]]
Intervals = dict[str, Interval]


class Details:
    """Measures image after image; predicted labels are kept deflated, a few KB an image."""

    def __init__(self, loaded: Loaded, wanted: Section, spacing: Callable[[int], Sequence[float]] | None) -> None:
        """Begins with nothing measured; `spacing` is the dataset's own, in mm, and one that is typed goes before it."""
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
        """Measures one image."""
        pred, mask = image.pred.numpy(), image.mask.numpy()
        probabilities = log_probabilities(image.logits[None])[0].exp().numpy()
        self.calibration.add(probabilities, mask, self.ignore_index, image.sample)
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

    def gather(self, ranks: Ranks, order: Sequence[int]) -> None:
        """Takes in what every rank has measured, as if it had been measured here, in that order of the samples."""
        if ranks.is_alone:
            return
        found = ranks.gather((self.calibration.images, self.surfaces, self.farthest, self._preds))
        images, surfaces, farthest, preds = zip(*found, strict=True)
        self.calibration.images = _in_order(images, order)
        self.surfaces, self._preds = _in_order(surfaces, order), _in_order(preds, order)
        self.farthest = max(farthest)

    def pred(self, index: int) -> Labels:
        """Returns the predicted labels (H, W) of a sample."""
        packed, shape = self._preds[index]
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


def _in_order(parts: Sequence[Mapping[int, Any]], order: Sequence[int]) -> dict[int, Any]:
    """Returns the items of all, by sample, in that order of the samples."""
    whole = {index: value for part in parts for index, value in part.items()}
    return {index: whole[index] for index in order if index in whole}


class Table(NamedTuple):
    """Holds surface scores as they count in means over images: the score of a rightly empty image, or class, is 1.

    Distances have no such value, as there is no outline: they are NaN there, and left out, as MONAI does. A network
    that predicts what is not there gains nothing by it: its distance is the image's diagonal. An image without a
    counted pixel is NaN throughout.
    """

    keys: tuple[str, ...]
    values: np.ndarray  # (images, keys)

    @property
    def distances(self) -> np.ndarray:
        """Says which of the keys are distances, (keys,) bool."""
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


def score_intervals(
    matrices: Sequence[Tensor],
    surfaces: Table,
    farthest: float,
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> Intervals:
    """Returns intervals by key as in `metrics.scores`, `averages` and `surface_scores`; none without draws.

    A score that too few groups carry has an interval of NaN: `missing_intervals` says so. Rates of false positives,
    whose number of images stands beside them, have one where enough images are empty.

    Args:
        matrices: confusion matrices (C, C) of images, rows truth.
        surfaces: of the same images; no key where they were not measured.
        farthest: largest distance that an image has room for.
        classes: C names.
        groups: of each image.
        draws, seed: of the images.
    """
    if not draws:
        return {}
    options: dict[str, Any] = {"draws": draws, "seed": seed, "groups": groups}
    whole = torch.stack(list(matrices))
    found = of_scores(whole.numpy(), classes, **options)
    seen = seen_on_empty(whole, classes)
    rates = of_distances(np.stack(list(seen.values()), 1), 1.0, **options)  # a high one is the failure
    found |= {f"false_positive_rate{end}": rate for end, rate in zip(seen, rates, strict=True) if rate.low == rate.low}
    if surfaces.keys:
        far = surfaces.distances
        keys = np.array(surfaces.keys)
        found |= dict(zip(keys[~far].tolist(), of_means(surfaces.values[:, ~far], **options), strict=True))
        found |= dict(zip(keys[far].tolist(), of_distances(surfaces.values[:, far], farthest, **options), strict=True))
    return found


def missing_intervals(found: Intervals, scores: Mapping[str, float], groups: int) -> list[str]:
    """Returns one sentence about the scores that are known and have no interval; none where there is no such score."""
    lacking = [key for key, pair in found.items() if math.isnan(pair.low) and not math.isnan(scores[key])]
    if not lacking:
        return []
    if groups < LEAST:
        which = "No score has an interval"
    else:
        of = dict.fromkeys(key.partition("/")[2] or "the mean of classes" for key in lacking)
        which = f"{len(lacking)} scores have no interval ({', '.join(of)})"
    return [
        f"{which}: fewer than {LEAST:g} independent images or groups (patients) carry it, of {groups} in "
        "all; of so few no method holds the truth as often as it says."
    ]


def groups_of(data: Data, indices: Sequence[int]) -> list[str]:
    """Returns the group of each sample, as the run's split.json has it of test samples."""
    groups = build_groups(data.config, data.dataset)
    return [str(groups[index]) for index in indices]
