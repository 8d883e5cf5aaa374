"""A file that was dropped on serve's page, read as predict reads it, up to a size."""

from pathlib import Path
from typing import Any

import numpy as np

from segtrain.counted import counted
from segtrain.data.files.large_tiff import pages_and_pixels
from segtrain.data.files.nifti import open_nifti
from segtrain.data.files.pixels import read_header
from segtrain.data.files.tiff_pages import SUFFIXES, read_page_layout
from segtrain.errors import UserError
from segtrain.parts.computed_size import Computable
from segtrain.parts.input_images import NIFTI, Images

DEEPEST = 16  # times the pixels of the largest image in all pages or slices of a file: 1000 slices of 512 x 512


class Upload:
    """Reads a page of a file, if neither is too large."""

    def __init__(self, images: Images, computable: Computable, most_pixels: int) -> None:
        """Keep them.

        Args:
            images: opens the file.
            computable: which sizes may be computed.
            most_pixels: of the largest image; all pages together may have `DEEPEST` times as many.
        """
        self._images, self._computable, self._most = images, computable, most_pixels

    def read(self, path: Path, page: int | None = None) -> tuple[np.ndarray[Any, Any], str]:
        """The image (H, W, C) as stored, and which page of how many in words; empty of a single one.

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
        """Sizes by the headers, before anything is decoded."""
        height, width, pages = _shape(path)
        self._computable.require(path, (height, width))
        if height * width * pages > DEEPEST * self._most:
            raise UserError(
                f"'{path}' is {width} x {height} x {pages} pixels; expected up to {DEEPEST * self._most:,} in all "
                "pages together; cut it into parts, or start with max_pixels=…; `python -m segtrain predict` takes more"
            )


def _shape(path: Path) -> tuple[int, int, int]:
    """Height, width and pages; of a scan its largest slice, whatever the axis."""
    name = path.name.lower()
    if name.endswith(NIFTI):
        low, middle, high = sorted(open_nifti(path).grid.shape)
        return middle, high, low
    if name.endswith(SUFFIXES) and pages_and_pixels(path)[0] > 1:
        layout = read_page_layout(path, "samples")
        return layout.height, layout.width, layout.samples
    header = read_header(path)
    return header.height, header.width, 1
