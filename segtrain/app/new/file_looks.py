"""What the pixels of a few files look like: an image, labels, or a field of view."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from segtrain.errors import UserError

FILES = 5  # enough to tell labels from an image
MANY = 64  # labels beyond which a mask is no mask of classes, but may hold instance numbers
CHANNEL = 16  # values of a channel that may be labels
AREAS = 0.9  # share of its pixels that equal their neighbour
PEAKS = 0.85  # share of the pixels that the 8 commonest values of a JPEG of labels hold

Pixels = np.ndarray[Any, Any]


class Look(NamedTuple):
    """What a sample of files shows; `error` is why none could be read."""

    distinct: int = 0  # values, or colours, of all together
    few: bool = False  # so few that they may be labels
    numbered: bool = False  # whole numbers 0, 1, 2, … without gaps: instances
    smeared: bool = False  # few but for the noise that JPEG adds
    is_view: bool = False  # one round or square region in a dark frame
    error: str = ""


def look(root: Path, paths: Sequence[str], read: Callable[[Path], Pixels]) -> Look:
    """What those files, read by `read`, show together."""
    seen, error = [], ""
    for path in paths:
        try:
            seen.append(codes_of(read(root / path)))
        except UserError as refused:
            error = str(refused)
    if not seen:
        return Look(error=error)
    if any(codes.dtype.kind == "f" for codes in seen):
        return Look(distinct=len(np.unique(np.concatenate([codes.ravel() for codes in seen]))))
    values, counts = np.unique(np.concatenate([codes.ravel() for codes in seen]), return_counts=True)
    top = np.sort(counts)[::-1][:8].sum() / counts.sum()
    return Look(
        distinct=len(values),
        few=len(values) <= MANY,
        numbered=_are_numbers(values),
        smeared=len(values) > 2 and top >= PEAKS and all(p.lower().endswith((".jpg", ".jpeg")) for p in paths),
        is_view=len(values) == 2 and all(_is_view(codes) for codes in seen),
    )


def label_channels(root: Path, paths: Sequence[str], read: Callable[[Path], Pixels]) -> list[int]:
    """Returns the channels of images (H, W, C) that hold areas of few whole values, as labels do, in all that are read.

    A channel of one value throughout is none: it may be a band without light.
    """
    values: dict[int, set[int]] = {}
    count = 0
    for path in paths:
        try:
            image = read(root / path)
        except UserError:
            continue
        count = max(count, image.shape[2])
        for channel in range(image.shape[2]):
            plane = _whole(image[..., channel])
            found = np.unique(plane) if plane.dtype.kind in "iub" else np.arange(CHANNEL + 1)
            areas = (plane[:, 1:] == plane[:, :-1]).mean() >= AREAS
            values.setdefault(channel, set()).update(found.tolist() if areas else range(CHANNEL + 1))
    alike = [channel for channel, found in values.items() if 1 < len(found) <= CHANNEL]
    return alike if len(alike) < count else []


def codes_of(pixels: Pixels) -> Pixels:
    """The value of each pixel (H, W); colours as 0xrrggbb with 2²⁴ added, so that none is taken for a value."""
    if pixels.ndim == 2:
        return _whole(pixels)
    if (pixels == pixels[..., :1]).all():
        return _whole(np.ascontiguousarray(pixels[..., 0]))
    if pixels.dtype != np.uint8:
        return pixels[..., 0].astype(np.float32)  # colour of 16 bits is no mask
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    return (red << 16 | green << 8 | blue) + (1 << 24)


def _whole(values: Pixels) -> Pixels:
    """Whole numbers that are stored as others as whole numbers; all others as they are."""
    if values.dtype.kind != "f" or not (np.abs(values) < 1 << 16).all() or (np.rint(values) != values).any():
        return values
    return values.astype(np.int32)


def _are_numbers(values: Pixels) -> bool:
    """Whether nearly all of 0..highest occur, and not just because every grey level does."""
    highest = int(values[-1])
    return values[0] == 0 and len(values) > 2 and len(values) >= 0.8 * (highest + 1) and highest < 1 << 16


def _is_view(codes: Pixels) -> bool:
    """One piece, filled, of at least a third of the picture, with what is outside at the edges."""
    inside = (codes == codes.max()).astype(np.uint8)
    if not 1 / 3 <= inside.mean() < 1:
        return False
    count, labels = cv2.connectedComponents(inside)
    if count != 2:
        return False
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(contours)))
    return bool(hull and 0.95 <= labels.sum() / hull <= 1.1)
