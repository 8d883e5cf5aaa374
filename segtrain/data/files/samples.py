"""Holds what a sample is, which label counts nowhere, and the colours in which classes are shown."""

import colorsys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Pixels = np.ndarray[Any, Any]
RGB = tuple[int, int, int]

PARTS = ("train", "val", "test")  # of a split

IGNORE_INDEX = 255  # the label that no loss and no metric counts; the highest that uint8 holds

# Source: Okabe and Ito, "Color Universal Design" (2008): told apart under the common colour blindnesses.
OKABE_ITO: tuple[RGB, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


class Sample(NamedTuple):
    """Holds one image and its labels.

    `image` is (H, W, C), uint8, uint16 or float32, RGB order; `mask` is (H, W) uint8 with labels 0..n-1 in
    the order of the dataset's `classes`, or its `ignore_index`.
    """

    image: Pixels
    mask: np.ndarray[Any, np.dtype[np.uint8]]


def colours(classes: Sequence[str]) -> tuple[RGB, ...]:
    """Returns a colour for each class: black for "background", Okabe and Ito's seven, then spaced hues."""
    palette: list[RGB] = []
    drawn = 0
    for name in classes:
        palette.append((0, 0, 0) if name == "background" else _colour(drawn))
        drawn += name != "background"
    return tuple(palette)


def _colour(number: int) -> RGB:
    if number < len(OKABE_ITO):
        return OKABE_ITO[number]
    hue = number * 0.618034 % 1  # golden ratio: any run of hues lies nearly evenly on the circle
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
