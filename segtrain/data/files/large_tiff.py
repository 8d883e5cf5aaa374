"""TIFF files too large for memory, read by rows: only the tiles or strips that hold them are decoded."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segtrain.data.files.extras import need
from segtrain.data.files.pixels import FORMATS, Picture
from segtrain.data.files.tiff_tags import (
    NODATA,
    WHITE_IS_ZERO,
    count_pages,
    fill_missing,
    find_nodata,
    mean_elsewhere,
    parse_nodata,
    require_page,
)
from segtrain.errors import UserError
from segtrain.files import opened, require_regular

Array = np.ndarray[Any, Any]

TALLEST = 4096  # rows of a tile or strip: higher ones would have to be decoded whole
AT_ONCE = 256  # rows that are looked at together for the mean


def pages_and_pixels(path: Path) -> tuple[int, int]:
    """How many pages a TIFF has, and pixels the first; (1, 0) for what PIL does not open, so that it is read whole."""
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # only the header is read
    try:
        with warnings.catch_warnings(), opened(path) as file, Image.open(file, formats=FORMATS) as image:
            warnings.simplefilter("ignore")
            return count_pages(path) if image.format == "TIFF" else 1, image.width * image.height
    except Exception:  # whoever reads it says what is wrong
        return 1, 0
    finally:
        Image.MAX_IMAGE_PIXELS = most


class LargeTiff:
    """The first page of a file, as rows (n, W, C) uint8, uint16 or float32, read as smaller files are."""

    def __init__(self, path: Path, drops_alpha: bool) -> None:
        """Read the tags.

        Args:
            path: the file, which stays where it is.
            drops_alpha: leave out what the file calls alpha or extra, as the readers of pictures do.

        Raises:
            UserError: tifffile is not installed, or the file is broken or of a kind that is not read by rows.
        """
        tifffile = need("tifffile", "tiff")
        self._path = path
        try:
            require_regular(path)
            with tifffile.TiffFile(path) as file:
                self._page: Any = file.pages[0]
                require_page(self._page)
                separate, _, self.height, self.width, together = self._page.shaped
                self._offsets, self._lengths = self._page.dataoffsets, self._page.databytecounts
                self._tables, self._is_contiguous = self._page.jpegtables, bool(self._page.is_contiguous)
        except Exception as error:  # tags of a broken file raise nearly anything
            raise self._broken(error) from error
        self._refuse()
        self._kind = self._page.dtype.newbyteorder("=")
        self._stored = separate * together
        extra = len(self._page.extrasamples) if drops_alpha else 0
        self.channels = self._stored - extra
        self._nodata = parse_nodata(self._page.tags.valueof(NODATA), path)
        self._mean: Array | None = None  # of what holds something, where something does not
        self._decoded: dict[int, list[tuple[int, int, int, Array]]] = {}  # row of segments: plane, top, left, pixels

    def rows(self, top: int, end: int) -> Array:
        """Rows `top` to before `end`; see `picture`."""
        return self.picture(top, end).pixels

    def picture(self, top: int, end: int) -> Picture:
        """Rows `top` to before `end`, and where they hold nothing: filled with the mean of the whole page elsewhere.

        Raises:
            UserError: the file is broken there, or holds pixels that are no finite number.
        """
        pixels, missing = self._read(top, end)
        if missing is not None:
            if self._mean is None:
                tops = range(0, self.height, AT_ONCE)
                self._mean = mean_elsewhere(self._read(one, min(one + AT_ONCE, self.height)) for one in tops)
            pixels = fill_missing(pixels, missing, self._mean)
        if self._page.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise UserError(f"'{self._path}' holds pixels that are no finite number; replace NaN and infinity")
        return Picture(pixels, missing)

    def _read(self, top: int, end: int) -> Picture:
        """Rows as they are but for white and black, and where they hold nothing."""
        try:
            found = self._contiguous(top, end) if self._is_contiguous else self._segments(top, end)
        except UserError:
            raise
        except Exception as error:  # decoders raise nearly anything on a broken file
            raise self._broken(error) from error
        found = np.ascontiguousarray(found[..., : self.channels])
        missing = find_nodata(found, self._nodata)
        if self._page.photometric == WHITE_IS_ZERO:
            found = (2**self._page.bitspersample - 1 - found).astype(found.dtype)
        return Picture(found, missing)

    def _contiguous(self, top: int, end: int) -> Array:
        """Uncompressed rows, read from where they lie."""
        page, planes = self._page, self._page.shaped[0]
        kind, together = page.dtype.newbyteorder(page.parent.byteorder), page.shaped[4]
        row = self.width * together
        found = np.empty((end - top, self.width, self._stored), self._kind)
        for plane in range(planes):
            start = self._offsets[0] + (plane * self.height + top) * row * kind.itemsize
            read = np.fromfile(self._path, kind, (end - top) * row, offset=start)
            found[..., plane * together : (plane + 1) * together] = read.reshape(end - top, self.width, together)
        return found

    def _segments(self, top: int, end: int) -> Array:
        """Compressed rows, from their tiles or strips; those of the last call that still count are kept."""
        page = self._page
        tall = page.tilelength if page.is_tiled else page.rowsperstrip
        wanted = range(top // tall, -(-end // tall))
        self._decoded = {row: kept for row, kept in self._decoded.items() if row in wanted}
        found = np.zeros((end - top, self.width, self._stored), self._kind)
        for row in wanted:
            if row not in self._decoded:
                self._decoded[row] = self._decode(row, tall)
            for plane, first, left, pixels in self._decoded[row]:
                begin, stop = max(top, first), min(end, first + len(pixels), self.height)
                part = pixels[begin - first : stop - first, : self.width - left]
                channel = plane * part.shape[2]
                found[begin - top : stop - top, left : left + part.shape[1], channel : channel + part.shape[2]] = part
        return found

    def _decode(self, row: int, tall: int) -> list[tuple[int, int, int, Array]]:
        """The segments of one row of them."""
        page = self._page
        across = -(-self.width // page.tilewidth) if page.is_tiled else 1
        down, planes = -(-self.height // tall), page.shaped[0]
        found = []
        with opened(self._path) as file:
            for plane, column in itertools.product(range(planes), range(across)):
                number = (plane * down + row) * across + column
                file.seek(self._offsets[number])
                content = file.read(self._lengths[number])
                if len(content) != self._lengths[number]:
                    raise ValueError(f"the file ends in tile {number}")
                pixels, (_, _, first, left, _), _ = page.decode(content or None, number, jpegtables=self._tables)
                if pixels is not None:  # None: a tile that was left out, as all 0
                    found.append((plane, first, left, pixels[0]))
        return found

    def _refuse(self) -> None:
        page = self._page
        tall = page.tilelength if page.is_tiled else page.rowsperstrip
        plain = page.photometric in (1, 2) or (page.photometric == WHITE_IS_ZERO and page.dtype.kind == "u")
        plain = plain or (page.photometric == 6 and page.jpegtables is not None)
        got = None
        if page.dtype is None or page.dtype.name not in ("uint8", "uint16", "float32"):
            got = f"pixels of {page.dtype}"
        elif not plain or page.tags.valueof(274, 1) != 1:
            got = f"photometric {page.photometric}, orientation {page.tags.valueof(274, 1)}"
        elif not self._is_contiguous and tall > TALLEST:
            got = f"compressed strips of {tall} rows"
        if got is not None:
            raise UserError(
                f"'{self._path}' is too large to be read whole and is not stored so that it can be read by rows; "
                f"expected grey or RGB of uint8, uint16 or float32, uncompressed or in tiles; got {got}; save it as a "
                "tiled TIFF, or cut it"
            )

    def _broken(self, error: Exception) -> UserError:
        way_out = 'pip install "segtrain[tiff]"' if "imagecodecs" in str(error) else "replace the file"
        return UserError(
            f"'{self._path}' cannot be read; expected a whole TIFF file; got {type(error).__name__}: {error}; {way_out}"
        )
