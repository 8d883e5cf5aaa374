"""The transforms that a policy lists: what they are called, which may be listed, and what they fill masks with."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import albumentations as A
import cv2

from segtrain.errors import UserError


def names_of(transforms: Sequence[Any]) -> list[str]:
    """The stream of each transform: its class, and how often the class came before."""
    seen: Counter[str] = Counter()
    names = []
    for transform in transforms:
        kind = type(transform).__name__
        names.append(f"{kind}.{seen[kind]}")
        seen[kind] += 1
    return names


def require_transform(transform: Any) -> None:
    """Raise UserError for what is no transform."""
    ours = all(hasattr(transform, name) for name in ("p", "draw", "act"))
    if not ours and not isinstance(transform, A.BasicTransform | A.BaseCompose):
        raise UserError(
            "transforms lists what changes a sample; expected albumentations transforms, or objects with p, draw and "
            f"act; got {transform!r}"
        )


def tie_mask(transform: Any, ignore_index: int) -> None:
    """Make a transform, and those inside it, fill the mask with ignore_index instead of class 0."""
    if isinstance(transform, A.BaseCompose):
        for inner in transform.transforms:
            tie_mask(inner, ignore_index)
        return
    if hasattr(transform, "act") and hasattr(transform, "ignore_index"):  # ours
        transform.ignore_index = ignore_index
        return
    kind = type(transform).__name__
    if getattr(transform, "mask_interpolation", cv2.INTER_NEAREST) != cv2.INTER_NEAREST:
        raise UserError(f"{kind}: mask_interpolation must be 0 (nearest): any other invents labels")
    fill = getattr(transform, "fill_mask", None)
    if fill is None:  # no such argument, or a dropout told to leave the mask alone
        return
    if fill not in (0, ignore_index):
        raise UserError(
            f"{kind}: fill_mask={fill} would paint a label; segtrain fills with ignore_index {ignore_index}: "
            "leave it out"
        )
    transform.fill_mask = float(ignore_index)
