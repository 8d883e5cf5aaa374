"""Says what a policy's transforms are called, which may be listed, and what they do to masks."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np

from segtrain.errors import UserError

# What resizes by cv2.resize, whose nearest neighbour is the first pixel of each area, up to half a pixel off.
RESIZING = (
    *(A.Resize, A.RandomScale, A.LongestMaxSize, A.SmallestMaxSize, A.CropAndPad),
    *(A.RandomResizedCrop, A.RandomSizedCrop),
)


def stream_names(transforms: Sequence[Any]) -> list[str]:
    """Returns the stream of each transform: its class, and how often the class came before."""
    seen: Counter[str] = Counter()
    names = []
    for transform in transforms:
        kind = type(transform).__name__
        names.append(f"{kind}.{seen[kind]}")
        seen[kind] += 1
    return names


def require_transform(transform: Any) -> None:
    """Raises UserError for what is no transform."""
    ours = all(hasattr(transform, name) for name in ("p", "draw", "act"))
    if not ours and not isinstance(transform, A.BasicTransform | A.BaseCompose):
        raise UserError(
            "transforms lists what changes a sample; expected albumentations transforms, or objects with p, draw and "
            f"act; got {transform!r}"
        )


def tie_mask(transform: Any, ignore_index: int) -> None:
    """Makes a transform, and those inside it, keep the mask beside the image, and ignore_index where it has no label.

    Raises:
        UserError: a mask that is not resampled by nearest neighbour, or filled with a label.
    """
    if isinstance(transform, A.BaseCompose):
        for inner in transform.transforms:
            tie_mask(inner, ignore_index)
        return
    if hasattr(transform, "act") and hasattr(transform, "ignore_index"):  # ours
        transform.ignore_index = ignore_index
        return
    kind = type(transform).__name__
    if isinstance(transform, RESIZING):
        transform._key2func["mask"] = functools.partial(resize_labels, transform, ignore_index)
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


def resize_labels(transform: Any, ignore_index: int, mask: np.ndarray, **params: Any) -> np.ndarray:
    """Returns the mask of a transform that resizes: the label that has most of what each pixel reads.

    Each label's own picture, 1 where it is, goes the image's way, by whatever interpolation; so labels and image stay
    registered at every factor, which no nearest neighbour does at even ones. Where no label is, outside, ignore_index.
    """
    found = np.unique(mask)
    shares = np.stack([transform.apply((mask == label).astype(np.float32), **params) for label in found])
    inside = np.abs(shares.sum(0) - 1) < 0.5
    return np.where(inside, found[shares.argmax(0)], ignore_index).astype(mask.dtype)


def require_chances(owner: str, chances: Mapping[str, float], names: tuple[str, ...], **others: float) -> None:
    """Raises UserError for a chance outside 0..1 or of an op that does not exist."""
    for name, chance in {**chances, **others}.items():
        if name not in names and name not in others:
            raise UserError(f"{owner}.chances names the op {name!r}; expected some of {', '.join(names)}")
        if not 0 <= chance <= 1:
            raise UserError(f"{owner}: the chance of {name} must be in 0..1; got {chance}")


def as_json(draw: Any) -> dict[str, Any]:
    """Returns a draw as a JSON-ready dict; `from_json` of its class gives it back bit for bit."""
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in draw._asdict().items()}
