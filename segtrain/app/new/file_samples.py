"""Reads samples of files for a guess, as pictures or as TIFF of any channels and pages, and says what they show."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from segtrain.data.files.pixels import FORMATS, Header, read_header, read_image, read_mask
from segtrain.data.files.tiff_pages import read_codes, read_page_layout, read_pixels
from segtrain.data.files.tiff_tags import count_pages
from segtrain.errors import UserError
from segtrain.files import opened, text_of
from segtrain.padding import STRIDE
from segtrain.spread import spread

LOOKED = 8  # TIFF files whose tags are read
PAGES = 8  # pages of a file whose labels are read, evenly spread
SAMPLES_PER_PIXEL, EXTRA_SAMPLES, ALPHA = 277, 338, (1, 2)  # Source: TIFF 6.0, pages 31 and 39
FILES = 5  # enough to tell labels from an image
MANY = 64  # labels beyond which a mask is no mask of classes, but may hold instance numbers
CHANNEL = 16  # values of a channel that may be labels
AREAS = 0.9  # share of its pixels that equal their neighbour
PEAKS = 0.85  # share of the pixels that the 8 commonest values of a JPEG of labels hold
Pixels = np.ndarray[Any, Any]
HEADERS = 2000  # read at most
COLOUR = 1 << 24  # from here on a code is a colour; below it is a value
CROP = 96  # pixels a side: what train.yaml crops without being asked


class Reader(NamedTuple):
    """Reads a file's size, labels and pixels as a format does; `pages` says what the pages of a file are."""

    format: str
    pages: str
    header: Callable[[Path], Header]
    codes: Callable[[Path], Pixels]
    image: Callable[[Path], Pixels]


def read_json_object(path: Path, largest: int) -> dict[str, Any]:
    """Returns the object in a file of at most `largest` bytes; an empty one where there is none, or it is no JSON."""
    try:
        content = json.loads(text_of(path, largest))
    except (UserError, OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


PICTURES = Reader("folder", "", read_header, read_mask, read_image)


def choose_reader(root: Path, paths: Sequence[str]) -> Reader:
    """Returns the reader of pictures; that of TIFF where some have several pages, or channels beside grey and RGB."""
    tiffs = spread([path for path in paths if path.lower().endswith((".tif", ".tiff"))], LOOKED)
    kinds = [_kind(root / path) for path in tiffs]
    if not any(kinds):
        return PICTURES
    return _tiff_reader("samples" if all(kind == "pages" for kind in kinds) else "channels")


def _kind(path: Path) -> str:
    """Returns `pages` or `channels` for what no picture has; empty for pictures."""
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
        return Header(*read_page_layout(path, pages)[1:])

    def codes(path: Path) -> Pixels:
        numbers = spread(range(read_page_layout(path, pages).samples), PAGES)
        return np.concatenate([read_codes(path, pages, number, False).codes for number in numbers])

    def image(path: Path) -> Pixels:
        return read_pixels(path, pages, 0).pixels

    return Reader("tiff", pages, header, codes, image)


class Appearance(NamedTuple):
    """Holds what a sample of files shows; `error` is why none could be read."""

    distinct: int = 0  # values, or colours, of all together
    few: bool = False  # so few that they may be labels
    numbered: bool = False  # whole numbers 0, 1, 2, … without gaps: instances
    smeared: bool = False  # few but for the noise that JPEG adds
    is_view: bool = False  # one round or square region in a dark frame
    error: str = ""


def see_files(root: Path, paths: Sequence[str], read: Callable[[Path], Pixels]) -> Appearance:
    """Returns what those files, read by `read`, show together."""
    seen, error = [], ""
    for path in paths:
        try:
            seen.append(codes_of(read(root / path)))
        except UserError as refused:
            error = str(refused)
    if not seen:
        return Appearance(error=error)
    if any(codes.dtype.kind == "f" for codes in seen):
        return Appearance(distinct=len(np.unique(np.concatenate([codes.ravel() for codes in seen]))))
    values, counts = np.unique(np.concatenate([codes.ravel() for codes in seen]), return_counts=True)
    top = np.sort(counts)[::-1][:8].sum() / counts.sum()
    return Appearance(
        distinct=len(values),
        few=len(values) <= MANY,
        numbered=_are_numbers(values),
        smeared=len(values) > 2 and top >= PEAKS and all(p.lower().endswith((".jpg", ".jpeg")) for p in paths),
        is_view=len(values) == 2 and all(_is_view(codes) for codes in seen),
    )


def find_label_channels(root: Path, paths: Sequence[str], read: Callable[[Path], Pixels]) -> list[int]:
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
    """Returns each pixel's value (H, W); colours as 0xrrggbb with COLOUR added, so that none is taken for a value."""
    if pixels.ndim == 2:
        return _whole(pixels)
    if (pixels == pixels[..., :1]).all():
        return _whole(np.ascontiguousarray(pixels[..., 0]))
    if pixels.dtype != np.uint8:
        return pixels[..., 0].astype(np.float32)  # colour of 16 bits is no mask
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    return (red << 16 | green << 8 | blue) + COLOUR


def _whole(values: Pixels) -> Pixels:
    """Returns whole numbers that are stored as floats as whole numbers; all others as they are."""
    if values.dtype.kind != "f" or not (np.abs(values) < 1 << 16).all() or (np.rint(values) != values).any():
        return values
    return values.astype(np.int32)


def _are_numbers(values: Pixels) -> bool:
    """Says whether nearly all of 0..highest occur, and not just because every grey level does."""
    highest = int(values[-1])
    return values[0] == 0 and len(values) > 2 and len(values) >= 0.8 * (highest + 1) and highest < 1 << 16


def _is_view(codes: Pixels) -> bool:
    """Says whether labels are one piece, filled, of at least a third of the picture, with the outside at the edges."""
    inside = (codes == codes.max()).astype(np.uint8)
    if not 1 / 3 <= inside.mean() < 1:
        return False
    count, labels = cv2.connectedComponents(inside)
    if count != 2:
        return False
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(contours)))
    return bool(hull and 0.95 <= labels.sum() / hull <= 1.1)


class Sizes(NamedTuple):
    """Holds sizes (height, width) of images, pairs whose sizes differ, and the number of images by channels."""

    smallest: tuple[int, int]
    usual: int  # median of the shorter sides
    largest: tuple[int, int]
    channels: dict[int, int]
    unequal: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def words(self) -> str:
        """Returns the channels and sizes in words, such as `RGB, 120 x 120 pixels`."""
        kinds = {1: "grey", 3: "RGB"}
        (height, width), (high, wide) = self.smallest, self.largest
        size = f"{width} x {height}" + (f" to {wide} x {high}" if self.smallest != self.largest else "")
        return f"{' and '.join(kinds.get(n, f'{n} channels') for n in sorted(self.channels))}, {size} pixels"

    @property
    def fitting(self) -> tuple[str, ...]:
        """Returns the overrides of crop and batch that small images call for; none for others."""
        if self.usual >= CROP:
            return ()
        crop = max(STRIDE, self.usual // STRIDE * STRIDE)
        return f"data.crop={crop}", f"data.batch_size={4 * min(4, (CROP // crop) ** 2)}"

    @property
    def advice(self) -> str:
        """Returns the sentence on crop and batch for small images; empty for others."""
        if not self.fitting:
            return ""
        return (
            f"most images are {self.usual} pixels high or wide, below the training crop of {CROP} to which they "
            f"are grown; {' '.join(self.fitting)} fits them better"
        )


def find_sizes(root: Path, pairs: Sequence[tuple[str, str]], reader: Reader) -> Sizes:
    """Returns the sizes of pairs of an image and a mask, evenly spread ones where there are many.

    Raises:
        UserError: no image can be read.
    """
    chosen = {image: mask for image, mask in pairs}
    read: dict[str, Header] = {}
    unequal, unreadable = [], []
    for image in spread(list(chosen), HEADERS):
        try:
            read[image], mask = reader.header(root / image), reader.header(root / chosen[image])
        except UserError as error:
            unreadable.append(str(error))
            continue
        if read[image][:2] != mask[:2]:
            unequal.append(image)
    if not read:
        raise UserError(unreadable[0])
    heights, widths = [h.height for h in read.values()], [h.width for h in read.values()]
    channels = Counter(header.channels for header in read.values())
    lowest, highest = (min(heights), min(widths)), (max(heights), max(widths))
    usual = int(median(min(header[:2]) for header in read.values()))
    return Sizes(lowest, usual, highest, dict(channels), tuple(unequal), tuple(unreadable))
