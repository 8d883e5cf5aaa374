"""Segmentations of COCO's kind, polygons and run lengths, to pixels."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtrain.data.files.extras import need
from segtrain.errors import UserError

Region = NDArray[np.bool_]

LEAST = 6  # numbers of a polygon: three corners
NUMBERS, LONGEST = 6, 60  # numbers of a list, and characters of anything else, that a message shows
OUTSIDE = 1.0  # pixels that a corner may lie outside the image: annotators' rounding and pixel corners, no more
# Six bits a letter, the upper one says that more follow, of which a length has no more than 13: not in the last.
COMPRESSED = re.compile("(?:[P-o]{0,12}[0-O])*")


def region(segmentation: Any, height: int, width: int, name: str) -> Region:
    """Where an object is, (H, W): the union of its polygons, or its run lengths, plain or compressed.

    Raises:
        UserError: it is neither, does not fit the image, or is broken; says `name`.
    """
    if isinstance(segmentation, dict):
        return _runs(segmentation, height, width, name)
    if not isinstance(segmentation, list) or not segmentation:
        got = "none" if not segmentation else _shown(segmentation)
        more = "" if segmentation else "; dataset.shapeless=skip leaves such objects out"
        raise _wrong(name, "segmentation", "polygons [[x, y, x, y, …], …] or {size, counts}", got, more)
    if is_numbers(segmentation):
        got = f"the numbers {_shown(segmentation)}, which stand in no list of their own"
        raise _wrong(name, "segmentation", "a list of polygons, each a list: [[x, y, x, y, …], …]", got)
    for polygon in segmentation:
        _check_polygon(polygon, height, width, name)
    masks = need("pycocotools.mask", "coco")
    packed = masks.merge(masks.frPyObjects(segmentation, height, width))
    return _filled(_unpacked(packed["counts"].decode()), height, width)


def _shown(found: Any) -> str:
    """The value for a message: of many numbers the first, whole, and of what is long else the beginning."""
    if is_numbers(found):
        return f"[{', '.join(map(repr, found[:NUMBERS]))}{', …' * (len(found) > NUMBERS)}]"
    text = repr(found)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def is_numbers(found: Any) -> bool:
    """Returns whether it is a list of numbers, at least one."""
    return isinstance(found, list) and bool(found) and all(type(value) in (int, float) for value in found)


def is_shapeless(polygon: Any) -> bool:
    """Returns whether a polygon has fewer than three corners."""
    return polygon == [] or (is_numbers(polygon) and len(polygon) < LEAST)


def _check_polygon(polygon: Any, height: int, width: int, name: str) -> None:
    if not is_numbers(polygon) or len(polygon) < LEAST or len(polygon) % 2:
        more = "; dataset.shapeless=skip leaves such polygons out" if is_shapeless(polygon) else ""
        raise _wrong(name, "polygon", "x, y of at least three corners", _shown(polygon), more)
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    inside = (corners >= -OUTSIDE) & (corners <= np.array([width, height]) + OUTSIDE)  # false for what is no number
    if not inside.all():
        x, y = corners[~inside.all(1)][0]
        more = "; dataset.outside=clip cuts polygons at the image's edge" if np.isfinite(corners).all() else ""
        expected = f"corners inside the image, {width} x {height} pixels"
        raise _wrong(name, "polygon", expected, f"a corner at ({x:g}, {y:g})", more)


def _runs(segmentation: dict[str, Any], height: int, width: int, name: str) -> Region:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise _wrong(name, "size", f"[{height}, {width}], height and width of the image", repr(size)[:60])
    runs = _unpacked(counts) if isinstance(counts, str) and COMPRESSED.fullmatch(counts) else counts
    if not isinstance(runs, list) or not all(type(run) is int and 0 <= run <= height * width for run in runs):
        raise _wrong(name, "counts", "lengths of runs, from 0", repr(counts)[:60])
    if sum(runs) != height * width:
        raise _wrong(name, "counts", f"runs over all {height * width} pixels", f"runs over {sum(runs)}")
    return _filled(runs, height, width)


def _filled(runs: Sequence[int], height: int, width: int) -> Region:
    """Runs outside and inside the object in turn, down the columns, as pixels.

    Not by pycocotools 2.0.11: its decode warns under numpy 2, and returns what was in memory where runs end early.
    """
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def _unpacked(letters: str) -> list[int]:
    """Lengths out of letters: five bits each, low ones first, signed; from the fourth on less the one before last.

    Source: rleFrString in pycocotools' maskApi.c.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _wrong(name: str, what: str, expected: str, got: str, more: str = "") -> UserError:
    return UserError(
        f"{name} has no right {what}; expected {expected}; got {got}; correct it, or remove the object{more}"
    )


def drawn(regions: Sequence[tuple[int, Region]], height: int, width: int) -> NDArray[np.uint8]:
    """Labels (H, W): 0, and over it each region's label in turn."""
    labels = np.zeros((height, width), np.uint8)
    for label, where in regions:
        labels[where] = label
    return labels
