"""Shows what a network says of a file that was dropped on serve's page: pictures, legend and words."""

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
from segtrain.counted import counted
from segtrain.data.files.large_tiff import pages_and_pixels
from segtrain.data.files.nifti import open_nifti
from segtrain.data.files.pixels import read_header
from segtrain.data.files.tiff_pages import SUFFIXES, read_page_layout
from segtrain.draw.pictures import overlay, shown_range, to_rgb
from segtrain.errors import UserError
from segtrain.parts.computed_size import Computable
from segtrain.parts.input_images import NIFTI, Images
from segtrain.parts.policy import Shifts
from segtrain.printable import in_html

Pixels = np.ndarray[Any, Any]
Rgb = np.ndarray[Any, np.dtype[np.uint8]]
RGB = tuple[int, int, int]

SIDE = 1024  # pixels: the longest side of a picture; smaller images grow by whole numbers, so that pixels stay squares
DEEPEST = 16  # times the pixels of the largest image in all pages or slices of a file: 1000 slices of 512 x 512
NONE = "none"


class Predicted(Protocol):
    """Stands for what a predictor gives."""

    @property
    def labels(self) -> Pixels:
        """Gives the labels (H, W) uint8."""

    @property
    def probabilities(self) -> Pixels:
        """Gives the probabilities (K, H, W) float32 in 0..1."""


class Question(NamedTuple):
    """Holds what the page's controls say."""

    path: str
    page: int | None = None  # of a stack or scan; None: the middle one
    views: str = NONE
    shift: str = NONE
    strength: float = 1.0
    draw: int = 0
    fires: bool = True


class Shown(NamedTuple):
    """Holds pictures (h, w, 3) uint8 of one size, and what stands beside them."""

    image: Rgb  # shifted, as the network saw it
    mask: Rgb  # the classes' colours
    overlay: Rgb
    probabilities: tuple[Rgb, ...]  # a picture a class: from dark, 0, to bright, 1
    legend: str  # HTML: each class's colour, name and share of the pixels
    facts: str  # HTML
    png: bytes  # the labels (H, W) at full size, with the palette


class PredictionView:
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
        """Computes nothing yet.

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

    def _show(self, asked: Question) -> Shown:
        """Returns what there is to see.

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
        """Returns the colour of every label, (256, 3)."""
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
    """Returns a probability (H, W) in 0..1 as a picture, black through purple to yellow: matplotlib's inferno."""
    values = np.rint(np.clip(_sized(plane, smooth=True), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(values, cv2.COLORMAP_INFERNO)[..., ::-1])


def _sized(pixels: Pixels, smooth: bool | None = None) -> Pixels:
    """Returns pixels at the size at which they are shown: their means, of labels (H, W) that with the largest share."""
    height, width = pixels.shape[:2]
    smooth = pixels.ndim == 3 if smooth is None else smooth
    scale = SIDE / max(height, width)
    if scale >= 1:
        return pixels.repeat(int(scale), 0).repeat(int(scale), 1)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)) if smooth else shrink_labels(pixels, size)


class UploadReader:
    """Reads a page of a file, if neither is too large."""

    def __init__(self, images: Images, computable: Computable, most_pixels: int) -> None:
        """Keeps them.

        Args:
            images: opens the file.
            computable: which sizes may be computed.
            most_pixels: of the largest image; all pages together may have `DEEPEST` times as many.
        """
        self._images, self._computable, self._most = images, computable, most_pixels

    def read(self, path: Path, page: int | None = None) -> tuple[np.ndarray[Any, Any], str]:
        """Returns the image (H, W, C) as stored, and which page of how many in words; none of a single one.

        Args:
            path: the file.
            page: of a stack, or slice of a scan, from 0; None: the middle one.

        Raises:
            UserError: a broken file, too many pixels, no such page, or not what the network takes.
        """
        self._check(path)
        opened = self._images.open(path)
        number = opened.pages // 2 if page is None else page
        if not 0 <= number < opened.pages:
            raise UserError(
                f"'{path}' has {counted(opened.pages, 'page')}; expected a page from 0 to {opened.pages - 1}"
            )
        words = [f"page {number} of 0 to {opened.pages - 1}"] if opened.pages > 1 else []
        missing = opened.missing(number, 0, opened.height)
        if missing is not None:
            words.append(f"{missing.mean():.1%} hold nothing (nodata): what is shown there says nothing")
        return opened.rows(number, 0, opened.height), "; ".join(words)

    def _check(self, path: Path) -> None:
        """Refuses sizes by the headers, before anything is decoded."""
        height, width, pages = _size_of(path)
        self._computable.require(path, (height, width))
        if height * width * pages > DEEPEST * self._most:
            raise UserError(
                f"'{path}' is {width} x {height} x {pages} pixels; expected up to {DEEPEST * self._most:,} in all "
                "pages together; cut it into parts, or start with max_pixels=…; `python -m segtrain predict` takes more"
            )


def _size_of(path: Path) -> tuple[int, int, int]:
    """Returns height, width and pages; of a scan its largest slice, whatever the axis."""
    name = path.name.lower()
    if name.endswith(NIFTI):
        low, middle, high = sorted(open_nifti(path).grid.shape)
        return middle, high, low
    if name.endswith(SUFFIXES) and pages_and_pixels(path)[0] > 1:
        layout = read_page_layout(path, "samples")
        return layout.height, layout.width, layout.samples
    header = read_header(path)
    return header.height, header.width, 1
