"""Turns PNG, JPEG, TIFF, BMP and GIF files into pixels, and is the one place that does: images, and masks as stored.

PIL opens them, because it refuses a truncated file; cv2 returns one with its missing rows black. What PIL lets pass,
`picture_files` refuses, and it says who decodes.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from segtrain.data.files.picture_files import (
    JPEGS,
    alpha_of,
    channels_of,
    decode_deep,
    decode_shallow,
    decode_stored,
    deep_colours,
    dtype_of,
    is_deep,
    is_seen_through,
    orientation,
    raw_mode,
    refuse_lost_alpha,
    require_whole,
    upright,
)
from segtrain.data.files.samples import Pixels
from segtrain.data.files.tiff_tags import (
    NODATA,
    SAMPLE_FORMAT,
    Where,
    bits_of,
    fill_missing,
    find_missing,
    is_nodata,
    is_white_zero,
    mean_elsewhere,
    parse_nodata,
    refuse_inverted,
    tags_of,
)
from segtrain.errors import UserError, is_hearing, remark
from segtrain.files import bytes_of, opened
from segtrain.padding import refusal_of_grown

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")  # in PIL's words, by content: the extension does not count
MOST_PIXELS = 2 * 89_478_485  # where PIL itself stops: 2 * Image.MAX_IMAGE_PIXELS, half a gigabyte of RGB
RAW_MODES = {"1", "L", "P", "I", "F", "RGB"}  # modes whose numbers are those of the file
SEEN_THROUGH = (
    "transparency is dropped, and what lies hidden under it is seen by the network, in training as in use; where that "
    "is not wanted, save the pictures without alpha, over a plain ground"
)
UNSCALE = {"L;2": 85, "L;4": 17}  # PIL stretches 2- and 4-bit grey to 0..255 by these factors


class Header(NamedTuple):
    """Holds size in pixels, after EXIF orientation, channels (1 or 3) and the dtype that `read_image` will return."""

    height: int
    width: int
    channels: int
    dtype: str


class Picture(NamedTuple):
    """Holds an image (H, W, C), and where (H, W) its file says that it holds nothing, see `tiff_tags`, or None."""

    pixels: Pixels
    missing: Where | None


class Coded(NamedTuple):
    """Holds a mask as stored, (H, W) or (H, W, 3) of colours, and where (H, W) it holds nothing; None: nowhere."""

    codes: Pixels
    missing: Where | None


def read_header(path: Path, of_mask: bool = False) -> Header:
    """Returns shape and dtype of what `read_image` will return, without decoding.

    An orientation that a PNG tells only behind its pixels is not seen.

    Raises:
        UserError: the file cannot be opened as an image, would be larger than `MOST_PIXELS`, or, `of_mask`, is a mask
            whose labels might be inverted.
    """
    with _named(path), opened(path) as file, _opened(path, file, of_mask) as image:
        width, height = image.size
        told = {"exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys()  # else a PNG would be decoded to look for more
        turned = image.format != "TIFF" and told and orientation(image) >= 5  # PIL itself turns a TIFF
        sides = (width, height) if turned else (height, width)
        return Header(*sides, channels_of(image), dtype_of(image))


def read_image(path: Path) -> Pixels:
    """Returns the image (H, W, C), C = 1 grey or 3 RGB, uint8, uint16 or float32 as stored; see `read_picture`."""
    return read_picture(path).pixels


def read_picture(path: Path) -> Picture:
    """Returns the image (H, W, C), C = 1 grey or 3 RGB, uint8, uint16 or float32 as stored.

    EXIF orientation is applied, alpha is dropped, palettes are expanded to RGB, 1-bit pixels become 0 and
    255, a TIFF whose 0 is white (of 1 to 8 or of 16 bits) is turned about, so that its 0 is black. Where a TIFF holds
    GDAL's nodata value, each channel is filled with its mean elsewhere.

    Raises:
        UserError: the file is truncated, broken, too large, of several pages, or has pixels of another type.
    """
    with _decodable(path) as (image, content):
        if is_deep(image):
            pixels = deep_colours(image, decode_deep(image, content))
        else:
            pixels = upright(decode_shallow(image, content), image)
        if is_white_zero(image) and pixels.dtype == np.uint16:  # PIL turns those of up to 8 bits about
            pixels = 65535 - pixels
        missing = find_missing(image, pixels, path)
        if is_hearing() and is_seen_through(alpha_of(image)):  # last: to ask decodes it, and its raw mode is gone
            remark("transparent pixels", SEEN_THROUGH, [path])
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise UserError(
            f"image '{path}' has {pixels.dtype.name} pixels; expected 8-bit, 16-bit or float32; save it as one of these"
        )
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if missing is None:
        return Picture(pixels, None)
    return Picture(fill_missing(pixels, missing, mean_elsewhere([(pixels, missing)])), missing)


def read_mask(path: Path, in_colour: bool = False) -> Pixels:
    """Returns the mask as stored; see `read_coded`."""
    return read_coded(path, in_colour).codes


def read_coded(path: Path, in_colour: bool = False) -> Coded:
    """Returns the mask as stored, (H, W), or (H, W, 3) for colour, whose alpha is dropped: it may say nothing more.

    Palette masks, among them GIF, give their indices, or, `in_colour`, their colours; 1-, 2- and 4-bit masks 0..1,
    0..3 and 0..15; 8 bits uint8, 16 bits uint16, 32 bits int32 or float32. EXIF orientation is applied, as it is to
    images.

    Raises:
        UserError: the file is truncated, broken, too large, of several pages, a TIFF whose 0 is white, or says by its
            alpha what its colours do not say.
    """
    with _decodable(path, of_mask=True) as (image, content):
        codes = _codes(image, content, in_colour, path)
        value = parse_nodata(tags_of(image).get(NODATA), path)
        if value is None:
            return Coded(codes, None)
        where = is_nodata(np.array(image) if image.mode == "P" else codes, value)
        return Coded(codes, np.asarray(where.all(2)) if where.ndim == 3 else where)


def _codes(image: ImageFile.ImageFile, content: bytes, in_colour: bool, path: Path) -> Pixels:
    if is_deep(image):
        every = decode_deep(image, content)
        refuse_lost_alpha(every[..., :3], every[..., 3] if every.shape[2] == 4 else None, path)
        return deep_colours(image, every)
    raw = image.mode in RAW_MODES or image.mode.startswith("I;16")
    if raw and not (in_colour and image.mode == "P"):
        factor = UNSCALE.get(raw_mode(image), 1)
        pixels = upright(decode_stored(image, content), image)
        return pixels if factor == 1 else pixels // np.uint8(factor)
    colours = decode_shallow(image, content)
    refuse_lost_alpha(colours, alpha_of(image), path)
    return upright(colours, image)


def with_channels(image: Pixels, channels: int) -> Pixels:
    """Returns the image with 1 or 3 channels; grey is ITU-R BT.601 luma, as of cv2 and PIL."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None]


@contextmanager
def _decodable(path: Path, of_mask: bool = False) -> Iterator[tuple[ImageFile.ImageFile, bytes]]:
    """Yields the file opened, with its content, once that has been found whole."""
    with _named(path):
        content = bytes_of(path)
        with _opened(path, io.BytesIO(content), of_mask) as image:
            require_whole(image, content)
            yield image, content


@contextmanager
def _opened(path: Path, file: IO[bytes], of_mask: bool) -> Iterator[ImageFile.ImageFile]:
    with Image.open(file, formats=FORMATS) as image:
        if image.format not in JPEGS and getattr(image, "is_animated", False):
            raise UserError(f"'{path}' has several pages; expected one image a file; save each page as a file")
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(path, image.width * image.height)
        if refused := refusal_of_grown((image.height, image.width)):
            raise UserError(f"'{path}' {refused}; cut it into tiles, or remove it together with its partner")
        if is_white_zero(image):
            unsigned = tags_of(image).get(SAMPLE_FORMAT, (1,))[0] == 1
            refuse_inverted(path, of_mask, unsigned and (bits_of(image) <= 8 or bits_of(image) == 16))
        yield image


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Makes errors name the file, and silences PIL, which warns of metadata, and of sizes that we judge ourselves."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (UserError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, int(re.findall(r"\d+", str(error))[0])) from error
    except Exception as error:  # decoders raise nearly anything on a broken file
        got = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        if isinstance(error, UnidentifiedImageError):  # its text holds an address
            got = "a file that begins like none of these" if path.stat().st_size else "an empty file"
        raise UserError(
            f"'{path}' cannot be read; expected a whole PNG, JPEG, TIFF, BMP or GIF file; got {got}; replace the file, "
            "or remove it together with its partner"
        ) from error


def _too_large(path: Path, pixels: int) -> UserError:
    return UserError(
        f"'{path}' is too large; expected at most {MOST_PIXELS} pixels, as a header that asks for more may be a lie "
        f"that fills the memory; got {pixels}; cut it into tiles, or remove it together with its partner"
    )
