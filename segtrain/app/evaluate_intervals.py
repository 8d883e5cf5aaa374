"""95 % intervals over images of every score, images of one group (patient) drawn together."""

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from segtrain.app.evaluate_data import Data
from segtrain.model.intervals import Interval, of_means, of_scores

Intervals = dict[str, Interval]


def intervals(
    matrices: Sequence[Tensor],
    surfaces: Sequence[dict[str, float]],
    classes: Sequence[str],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> Intervals:
    """By key as in `metrics.scores`, `averages` and `surface_scores`; none without draws, or of a single group."""
    if not draws or len(set(groups)) < 2:
        return {}
    options = {"draws": draws, "seed": seed, "groups": groups}
    found = of_scores(torch.stack(list(matrices)).numpy(), classes, **options)  # type: ignore[arg-type]
    if surfaces:
        values = np.array([list(row.values()) for row in surfaces])
        found |= dict(zip(surfaces[0], of_means(values, **options), strict=True))  # type: ignore[arg-type]
    return found


def groups_of(data: Data, indices: Sequence[int]) -> list[str]:
    """The group of each sample: the data's own, or by the split's `group` expression; itself without one."""
    ids = data.dataset.ids
    own = getattr(data.dataset, "groups", None)
    if own is not None:
        return [str(own[index] if own[index] is not None else ids[index]) for index in indices]
    pattern = (data.config.dataset.get("split") or {}).get("group")
    if pattern is None:
        return [ids[index] for index in indices]
    expression = re.compile(str(pattern))
    matches = [expression.search(ids[index]) for index in indices]
    return [m[1 if expression.groups else 0] if m else ids[i] for m, i in zip(matches, indices, strict=True)]
