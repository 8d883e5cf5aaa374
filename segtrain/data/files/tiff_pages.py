"""Reads samples out of TIFF files that PIL cannot give: any number of channels, types and pages; by tifffile."""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.files.extras import need
from segtrain.data.files.picture_files import refuse_lost_alpha
from segtrain.data.files.pixels import MOST_PIXELS, Coded, Picture, read_coded, read_header, read_picture
from segtrain.data.files.samples import Pixels
from segtrain.data.files.tiff_tags import (
    NODATA,
    WHITE_IS_ZERO,
    Where,
    count_pages,
    fill_missing,
    find_nodata,
    is_nodata,
    mean_elsewhere,
    parse_nodata,
    refuse_inverted,
    require_page,
)
from segtrain.errors import UserError
from segtrain.files import require_regular
from segtrain.padding import refusal_of_grown

SUFFIXES = (".tif", ".tiff")
PAGES = ("channels", "samples")
MOST_VALUES = 2**31  # in a file, over all channels and pages
EXACT = 2**24  # whole numbers up to here are float32 without rounding


class PageLayout(NamedTuple):
    """Holds how many samples a file has, and shape and dtype's name of each as `read_pixels` gives it."""

    samples: int
    height: int
    width: int
    channels: int
    dtype: str = ""


def read_page_layout(path: Path, pages: str, of_mask: bool = False) -> PageLayout:
    """Returns what a file holds, by its tags; any but a TIFF is one sample.

    Raises:
        UserError: the file is broken, of a kind that is not read, or, `of_mask`, a mask whose labels might be inverted.
    """
    if path.suffix.lower() not in SUFFIXES:
        return PageLayout(1, *read_header(path, of_mask))
    with _series(path, of_mask) as series:
        shape = dict(zip(series.keyframe.axes, series.keyframe.shape, strict=True))
        numbers = _numbers(series, pages)
        stored = series.keyframe.dtype.name
        dtype = {"bool": "uint8", "uint8": "uint8", "uint16": "uint16"}.get(stored, "float32")
        return PageLayout(len(numbers), shape["Y"], shape["X"], numbers.shape[1] * shape.get("S", 1), dtype)


def read_pixels(path: Path, pages: str, number: int) -> Picture:
    """Returns an image (H, W, C) by its number, uint8, uint16 or float32, filled where it holds nothing, and where.

    1-bit pixels become 0 and 255, other types float32, which rounds float64. Where 0 is white, unsigned numbers are
    turned about, so that it is black.

    Raises:
        UserError: the file is broken, holds what is no finite number, or numbers too large for float32.
    """
    if path.suffix.lower() not in SUFFIXES:
        return read_picture(path)
    with _series(path) as series:
        stored, page = _stored(series, pages, number), series.keyframe
        missing = find_nodata(stored, parse_nodata(page.tags.valueof(NODATA), path))
        if page.photometric == WHITE_IS_ZERO:
            stored = ~stored if stored.dtype == np.bool_ else (2**page.bitspersample - 1 - stored).astype(stored.dtype)
        if missing is not None and stored.dtype != np.bool_:
            stored = fill_missing(stored, missing, mean_elsewhere([(stored, missing)]))
        return Picture(_contract(stored, path), missing)


def read_codes(path: Path, pages: str, number: int, in_colour: bool) -> Coded:
    """Returns a mask as stored by its number: (H, W), or (H, W, 3) for colour; a palette's indices, or its colours.

    Raises:
        UserError: the file is broken, has a number of channels that no mask has, is one whose 0 is white, or says by
            its alpha what its colours do not say.
    """
    if path.suffix.lower() not in SUFFIXES:
        return read_coded(path, in_colour)
    with _series(path, of_mask=True) as series:
        codes, colours = _stored(series, pages, number), series.keyframe.colormap
        nodata = parse_nodata(series.keyframe.tags.valueof(NODATA), path)
        has_alpha = any(kind in (1, 2) for kind in series.keyframe.extrasamples)  # associated, unassociated
    if codes.shape[2] not in (1, 3, 4):
        raise UserError(
            f"mask '{path}' has {codes.shape[2]} channels; expected one value a pixel, or a colour; save it so, or "
            "give dataset.pages=samples where its pages are samples"
        )
    missing: Where | None = None if nodata is None else np.asarray(is_nodata(codes[..., :3], nodata).all(2))
    if codes.dtype == np.bool_:
        codes = codes.astype(np.uint8)
    if codes.shape[2] > 1:
        refuse_lost_alpha(codes[..., :3], codes[..., 3] if codes.shape[2] == 4 and has_alpha else None, path)
        return Coded(codes[..., :3], missing)
    flat = codes[..., 0]
    return Coded((colours.T >> 8).astype(np.uint8)[flat] if in_colour and colours is not None else flat, missing)


@contextmanager
def _series(path: Path, of_mask: bool = False) -> Iterator[Any]:
    """Yields the one series of pages of equal shape that a file holds."""
    tifffile = need("tifffile", "tiff")
    try:  # _multifile: the text of an OME-TIFF may name any other file as the place of its pixels
        require_regular(path)
        count_pages(path)
        with _heeded(), tifffile.TiffFile(path, _multifile=False) as file:
            _check(file.series, path, of_mask)
            yield file.series[0]
    except (UserError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on a broken file
        if "imagecodecs" in str(error):
            raise UserError(
                f"'{path}' is compressed ({error}); expected imagecodecs to be installed; got none; pip install "
                '"segtrain[tiff]"'
            ) from error
        raise UserError(
            f"'{path}' cannot be read; expected a whole TIFF file; got {type(error).__name__}: {error}; replace the "
            "file, or remove it together with its partner"
        ) from error


class _Complaints(logging.Handler):
    """Hears what a library logs as an error in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Notes it."""
        if record.thread == self._thread:
            self.heard.append(record.getMessage())


@contextmanager
def _heeded() -> Iterator[None]:
    """Makes a block end in an error where tifffile complained: it logs broken tags and lost pages, and goes on."""
    complaints, logger = _Complaints(), logging.getLogger("tifffile")
    logger.addHandler(complaints)
    try:
        yield
    finally:
        logger.removeHandler(complaints)
    if complaints.heard:
        raise ValueError(complaints.heard[0])


def _check(series: Any, path: Path, of_mask: bool) -> None:
    shapes = [f"{one.axes} {' x '.join(map(str, one.shape))}" for one in series]
    if len(series) != 1:
        raise UserError(
            f"'{path}' holds pages of several kinds; expected all of one shape and type; got {', '.join(shapes[:4])}; "
            "save what is to be read as a file of its own"
        )
    page = series[0].keyframe
    if not {"Y", "X"} <= set(page.axes) <= set("YXS") or not series[0].axes.endswith(page.axes):
        raise UserError(f"'{path}' has the axes {series[0].axes}; expected pages of rows and columns; save it as such")
    if math.prod(page.shape) > MOST_VALUES or math.prod(series[0].shape) > MOST_VALUES:
        raise UserError(
            f"'{path}' has {shapes[0]} values by its header; expected up to {MOST_VALUES}; replace it, or cut it "
            "into tiles"
        )
    if page.imagelength * page.imagewidth > MOST_PIXELS:
        raise UserError(
            f"'{path}' is {page.imagewidth} x {page.imagelength} pixels by its header; expected up to {MOST_PIXELS}; "
            "replace it, or cut it into tiles"
        )
    if refused := refusal_of_grown((page.imagelength, page.imagewidth)):
        raise UserError(f"'{path}' {refused}; cut it into tiles, or remove it together with its partner")
    if page.photometric == WHITE_IS_ZERO:
        refuse_inverted(path, of_mask, page.dtype is not None and page.dtype.kind in "ub" and page.dtype.itemsize <= 2)
    orientation = page.tags.valueof(274, 1)
    if orientation != 1:
        raise UserError(
            f"'{path}' says orientation {int(orientation)}, which readers take in different ways; expected the first "
            "row on top; save it so"
        )


def _numbers(series: Any, pages: str) -> Pixels:
    """Returns the numbers of the pages of each sample: (samples, pages a sample).

    Axes that the file calls channels (C, S) are never samples.
    """
    leading = series.axes[: -len(series.keyframe.axes)]
    sides = series.shape[: len(leading)]
    numbers = np.arange(math.prod(sides)).reshape(sides)
    apart = [i for i, axis in enumerate(leading) if pages == "samples" and axis not in "CS"]
    samples = math.prod(sides[i] for i in apart)
    return np.moveaxis(numbers, apart, range(len(apart))).reshape(samples, -1)


def _stored(series: Any, pages: str, number: int) -> Pixels:
    """Returns one sample (H, W, C) as stored: pages in turn, and in each its channels."""
    numbers = _numbers(series, pages)
    require_page(series.keyframe)
    if len(series.pages) == numbers.size:
        for page in numbers[number]:
            require_page(series.pages[int(page)])
        found = np.stack([series.pages[int(page)].asarray(maxworkers=1) for page in numbers[number]])
    else:  # some writers describe one page and put the others behind it
        found = series.asarray(maxworkers=1).reshape(numbers.size, *series.keyframe.shape)[numbers[number]]
    axes = f"N{series.keyframe.axes}"
    upright = np.moveaxis(found, (axes.index("Y"), axes.index("X")), (0, 1))
    return np.ascontiguousarray(upright.reshape(*upright.shape[:2], -1))


def _contract(pixels: Pixels, path: Path) -> Pixels:
    kind = pixels.dtype
    if kind == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind in (np.uint8, np.uint16):
        return pixels
    large = kind.kind in "iu" and kind.itemsize > 2 and max(int(pixels.max()), -int(pixels.min())) > EXACT
    with np.errstate(over="ignore"):
        found = pixels.astype(np.float32) if kind.kind in "iuf" else None
    if found is None or large or not np.isfinite(found).all():
        raise UserError(
            f"image '{path}' has {kind.name} pixels, some of them NaN, infinite or beyond ±{EXACT}; expected numbers "
            "that float32 holds; save it with other values, or scaled"
        )
    return found
