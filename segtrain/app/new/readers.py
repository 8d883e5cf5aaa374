"""How files are read for a guess: as pictures, or as TIFF of any channels and pages."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from segtrain.data.files.pixels import FORMATS, Header, Pixels, read_header, read_image, read_mask
from segtrain.data.files.tiff_pages import read_codes, read_layout, read_pixels
from segtrain.data.files.tiff_places import count_pages
from segtrain.files import opened
from segtrain.spread import spread

LOOKED = 8  # TIFF files whose tags are read
PAGES = 8  # pages of a file whose labels are read, evenly spread
SAMPLES_PER_PIXEL, EXTRA_SAMPLES, ALPHA = 277, 338, (1, 2)  # Source: TIFF 6.0, pages 31 and 39


class Reader(NamedTuple):
    """The format that reads so, and whether pages are samples; what it says of a file's size, labels and pixels."""

    format: str
    pages: str
    header: Callable[[Path], Header]
    codes: Callable[[Path], Pixels]
    image: Callable[[Path], Pixels]


PICTURES = Reader("folder", "", read_header, read_mask, read_image)


def reader_of(root: Path, paths: Sequence[str]) -> Reader:
    """Pictures, unless TIFF files among them are none: of several pages, or channels beside grey and RGB."""
    tiffs = spread([path for path in paths if path.lower().endswith((".tif", ".tiff"))], LOOKED)
    kinds = [_kind(root / path) for path in tiffs]
    if not any(kinds):
        return PICTURES
    return _tiff_reader("samples" if all(kind == "pages" for kind in kinds) else "channels")


def _kind(path: Path) -> str:
    """`pages` or `channels` for what no picture has; empty for pictures."""
    try:
        with opened(path) as file, Image.open(file, formats=FORMATS) as image:
            if image.format == "TIFF" and count_pages(path) > 1:
                return "pages"
            tags = getattr(image, "tag_v2", {})
            channels, extra = tags.get(SAMPLES_PER_PIXEL, 1), tags.get(EXTRA_SAMPLES, (0,))
            return "" if channels in (1, 3) or (channels in (2, 4) and extra[0] in ALPHA) else "channels"
    except Exception:  # PIL knows no such pixels; what is broken, the check will say
        return "channels"


def _tiff_reader(pages: str) -> Reader:
    def header(path: Path) -> Header:
        return Header(*read_layout(path, pages)[1:])

    def codes(path: Path) -> Pixels:
        numbers = spread(range(read_layout(path, pages).samples), PAGES)
        return np.concatenate([read_codes(path, pages, number, False).codes for number in numbers])

    def image(path: Path) -> Pixels:
        return read_pixels(path, pages, 0).pixels

    return Reader("tiff", pages, header, codes, image)
