"""95 % intervals over images of every score, images of one group (patient) drawn together, and why one has none."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segtrain.app.evaluate.data import Data
from segtrain.app.evaluate.details import Table
from segtrain.model.bootstrap import LEAST, Interval
from segtrain.model.intervals import of_distances, of_means, of_scores
from segtrain.model.metrics import seen_on_empty
from segtrain.parts.data import build_groups

Intervals = dict[str, Interval]


def intervals(
    matrices: Sequence[Tensor],
    surfaces: Table,
    farthest: float,
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> Intervals:
    """Returns them by key as in `metrics.scores`, `averages` and `surface_scores`; none without draws.

    A score that too few groups carry has an interval of NaN: `without` says so. Rates of false positives, whose number
    of images stands beside them, have one where enough images are empty.

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


def without(found: Intervals, scores: Mapping[str, float], groups: int) -> list[str]:
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
