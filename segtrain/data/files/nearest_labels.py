"""Codes of masks that are near those of the classes, as JPEG leaves them: which class they are taken for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Labels = np.ndarray[Any, np.dtype[np.uint8]]


def spread_codes(table: Labels, label_of: Mapping[int, int], tolerance: int) -> None:
    """Fills a table of labels with that of the nearest code, up to so many levels off it.

    Args:
        table: (65536,) of values, or (256, 256, 256) of colours, whose distance is that of the channel furthest off.
        label_of: code, of a colour 0xrrggbb, -> label.
        tolerance: levels.
    """
    best = np.full(table.shape, tolerance + 1, np.int32)
    for code, label in sorted(label_of.items()):
        centre = _numbers(code, table.ndim == 3)
        lows = [max(0, at - tolerance) for at in centre]
        box = tuple(slice(low, at + tolerance + 1) for low, at in zip(lows, centre, strict=True))
        sides = [np.abs(np.arange(low, low + n) - at) for low, at, n in zip(lows, centre, best[box].shape, strict=True)]
        far = sides[0] if len(sides) == 1 else np.maximum.reduce(np.meshgrid(*sides, indexing="ij"))
        nearer = far < best[box]
        best[box][nearer], table[box][nearer] = far[nearer], label


def of_jpeg(found: Sequence[int], known: Sequence[int], in_colour: bool) -> str:
    """Returns the way out of a JPEG mask: how far the codes in it are off the nearest that are known."""
    of, those = (np.array([_numbers(code, in_colour) for code in codes]) for codes in (found, known))
    off = np.abs(of[:, None] - those[None]).max(2).min(1).max()
    return (
        f"; JPEG changes values (here by up to {off}): save masks as PNG, or, to take each for the nearest class, give "
        f"dataset.tolerance={off} or more"
    )


def _numbers(code: int, in_colour: bool) -> list[int]:
    """Red, green and blue of a colour 0xrrggbb, or the value."""
    return [code >> 16, code >> 8 & 255, code & 255] if in_colour else [code]
