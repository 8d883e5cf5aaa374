"""From a file of the user's to what serve's page shows of it: pictures, legend and words. Without a server."""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image

from segtrain.area import shrink_labels
from segtrain.draw.pictures import overlay, shown_range, to_rgb
from segtrain.parts.policy import Shifts
from segtrain.printable import in_html

Pixels = np.ndarray[Any, Any]
Rgb = np.ndarray[Any, np.dtype[np.uint8]]
RGB = tuple[int, int, int]

SIDE = 1024  # pixels: the longest side of a picture; smaller images grow by whole numbers, so that pixels stay squares
NONE = "none"


class Predicted(Protocol):
    """What a predictor gives."""

    @property
    def labels(self) -> Pixels:
        """(H, W) uint8."""

    @property
    def probabilities(self) -> Pixels:
        """(K, H, W) float32 in 0..1."""


class Asked(NamedTuple):
    """What the page's controls say."""

    path: str
    page: int | None = None  # of a stack or scan; None: the middle one
    views: str = NONE
    shift: str = NONE
    strength: float = 1.0
    draw: int = 0
    fires: bool = True


class Shown(NamedTuple):
    """Pictures (h, w, 3) uint8 of one size, and what stands beside them."""

    image: Rgb  # shifted, as the network saw it
    mask: Rgb  # the classes' colours
    overlay: Rgb
    probabilities: tuple[Rgb, ...]  # a picture a class: from dark, 0, to bright, 1
    legend: str  # HTML: each class's colour, name and share of the pixels
    facts: str  # HTML
    png: bytes  # the labels (H, W) at full size, with the palette


class Look:
    """Answers what the page asks, one question at a time; the last answers are kept, so that asking again is free."""

    def __init__(
        self,
        predict: Mapping[str, Callable[[Pixels], Predicted]],
        read: Callable[[Path, int | None], tuple[Pixels, str]],
        shifts: Shifts,
        classes: Sequence[str],
        palette: Sequence[RGB],
        ignore_index: int,
    ) -> None:
        """Nothing is computed yet.

        Args:
            predict: name of a test-time augmentation -> image (H, W, C) as stored to labels and probabilities.
            read: a file and a page of it to its image (H, W, C) and words; raises UserError where it cannot be one.
            shifts: what may be done to the image first.
            classes: names in label order, with `palette`.
            palette: RGB 0..255 of each class.
            ignore_index: the label that is no class.
        """
        self.predict, self.shifts = dict(predict), shifts
        self.classes, self.palette = tuple(classes), tuple(palette)
        self._read, self._ignore_index = read, ignore_index
        self.show = lru_cache(maxsize=4)(self._show)  # of this object; four results of `SIDE` are some 100 MB

    def _show(self, asked: Asked) -> Shown:
        """What there is to see.

        Raises:
            UserError: the file is no image that the network takes, or the shift cannot be made.
        """
        image, words = self._read(Path(asked.path), asked.page)
        limits = None if image.dtype == np.uint8 else shown_range([image])  # the unshifted image's: a shift is seen
        facts = [
            f"{image.shape[1]} × {image.shape[0]} pixels",
            f"{image.shape[2]} channel{'s' if image.shape[2] > 1 else ''}",
            str(image.dtype),
        ]
        facts += [words] if words else []
        if asked.shift != NONE:
            image, drawn = self.shifts.apply(image, asked.shift, asked.strength, asked.draw, asked.fires)
            facts.append(f"shift {asked.shift} at strength {asked.strength:g}: {drawn}")
        began = time.perf_counter()
        prediction = self.predict[asked.views](image)
        took = f"predicted in {time.perf_counter() - began:.2f} s"
        facts.append(took if asked.views == NONE else f"{took}, mean of {asked.views}")
        labels = prediction.labels
        small, under = _sized(to_rgb(image, limits)), _sized(labels)
        return Shown(
            small,
            self._colours()[under],
            overlay(small, under, self.palette, self._ignore_index),
            tuple(probability_picture(plane) for plane in prediction.probabilities),
            self._legend(labels),
            in_html("; ".join(facts)),
            self._png(labels),
        )

    def _colours(self) -> Rgb:
        """(256, 3): the colour of every label."""
        table = np.full((256, 3), 128, np.uint8)
        table[: len(self.palette)] = self.palette
        return table

    def _legend(self, labels: Pixels) -> str:
        counts = np.bincount(labels.ravel(), minlength=256)
        rows = [
            f'<li><span class="swatch" style="background: rgb{colour}"></span>{in_html(name)}'
            f'<span class="share">{counts[label] / labels.size:.2%}</span></li>'
            for label, (name, colour) in enumerate(zip(self.classes, self.palette, strict=True))
        ]
        return f'<ul class="legend">{"".join(rows)}</ul>'

    def _png(self, labels: Pixels) -> bytes:
        picture = Image.fromarray(labels.astype(np.uint8), "P")
        picture.putpalette(self._colours().tobytes())
        file = io.BytesIO()
        picture.save(file, "PNG")
        return file.getvalue()


def probability_picture(plane: Pixels) -> Rgb:
    """A probability (H, W) in 0..1 as a picture, black through purple to yellow: matplotlib's inferno."""
    values = np.rint(np.clip(_sized(plane, smooth=True), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(values, cv2.COLORMAP_INFERNO)[..., ::-1])


def _sized(pixels: Pixels, smooth: bool | None = None) -> Pixels:
    """At the size at which it is shown: means of pixels, of labels (H, W) that with the largest share of the area."""
    height, width = pixels.shape[:2]
    smooth = pixels.ndim == 3 if smooth is None else smooth
    scale = SIDE / max(height, width)
    if scale >= 1:
        return pixels.repeat(int(scale), 0).repeat(int(scale), 1)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)) if smooth else shrink_labels(pixels, size)
