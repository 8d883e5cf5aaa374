"""The one place that turns a PNG, JPEG, TIFF, BMP or GIF file into pixels: images as RGB or grey, masks as stored.

PIL decodes, because it refuses a truncated file; cv2 returns one with its missing rows black. What PIL lets pass,
`soundness` refuses. cv2 only reads colour of 16 bits a channel, which PIL would cut to 8, and only after PIL has
decoded the file without complaint; simplejpeg reads JPEG, with libjpeg's warnings as errors: PIL hides them, and so
makes grey areas of a file that was cut and closed again.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageFile, UnidentifiedImageError

from segtrain.data.datasets.alpha import alpha_of, is_seen_through, refuse_lost
from segtrain.data.datasets.nodata import NODATA, Where, equals, filled, mean_elsewhere, nothing, parsed
from segtrain.data.datasets.soundness import check
from segtrain.errors import UserError, is_hearing, remark

Pixels = np.ndarray[Any, Any]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")  # in PIL's words, by content: the extension does not count
MOST_PIXELS = 2 * 89_478_485  # where PIL itself stops: 2 * Image.MAX_IMAGE_PIXELS, half a gigabyte of RGB
JPEGS = ("JPEG", "MPO")  # MPO: a JPEG with smaller ones behind it, as phones save; the first is the picture
GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # beside these "I;16" and its kin; all other PIL modes are in colour
RAW_MODES = {"1", "L", "P", "I", "F", "RGB"}  # modes whose numbers are those of the file
ORIENTATION = 0x0112  # EXIF tag: 1 as stored, 2 to 8 the turns and mirrorings of _upright
PHOTOMETRIC, BITS, SAMPLE_FORMAT = 262, 258, 339  # TIFF tags
WHITE_IS_ZERO = 0  # of PHOTOMETRIC
STRETCHED = {1: 255, 2: 85, 4: 17}  # bits of grey -> what PIL's steps are of those that the file has
SEEN_THROUGH = (
    "transparency is dropped, and what lies hidden under it is seen by the network, in training as in use; where that "
    "is not wanted, save the pictures without alpha, over a plain ground"
)
UNSCALE = {"L;2": 85, "L;4": 17}  # PIL stretches 2- and 4-bit grey to 0..255 by these factors


class Header(NamedTuple):
    """Size in pixels, after EXIF orientation, and channels (1 or 3) that `read_image` will return."""

    height: int
    width: int
    channels: int


class Picture(NamedTuple):
    """An image (H, W, C), and where (H, W) its file says that it holds nothing: see `nodata`; None: nowhere."""

    pixels: Pixels
    missing: Where | None


class Coded(NamedTuple):
    """A mask as stored, (H, W) or (H, W, 3) of colours, and where (H, W) it holds nothing; None: nowhere."""

    codes: Pixels
    missing: Where | None


def read_header(path: Path, of_mask: bool = False) -> Header:
    """What `read_image` will return the shape of, without decoding.

    An orientation that a PNG tells only behind its pixels is not seen.

    Raises:
        UserError: the file cannot be opened as an image, would be larger than `MOST_PIXELS`, or, `of_mask`, is a mask
            whose labels might be inverted.
    """
    with _named(path), path.open("rb") as file, _opened(path, file, of_mask) as image:
        width, height = image.size
        told = {"exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys()  # else a PNG would be decoded to look for more
        turned = image.format != "TIFF" and told and _orientation(image) >= 5  # PIL itself turns a TIFF
        return Header(width, height, _channels(image)) if turned else Header(height, width, _channels(image))


def read_image(path: Path) -> Pixels:
    """The image (H, W, C), C = 1 grey or 3 RGB, uint8, uint16 or float32 as stored; see `read_picture`."""
    return read_picture(path).pixels


def read_picture(path: Path) -> Picture:
    """The image (H, W, C), C = 1 grey or 3 RGB, uint8, uint16 or float32 as stored.

    EXIF orientation is applied, alpha is dropped, palettes are expanded to RGB, 1-bit pixels become 0 and
    255, a TIFF whose 0 is white (of 1 to 8 or of 16 bits) is turned about, so that its 0 is black. Where a TIFF holds
    GDAL's nodata value, each channel is filled with its mean elsewhere.

    Raises:
        UserError: the file is truncated, broken, too large, of several pages, or has pixels of another type.
    """
    with _decodable(path) as (image, content):
        if is_hearing() and is_seen_through(alpha_of(image)):
            remark("transparent pixels", SEEN_THROUGH, [path])
        if _is_deep_colour(image):
            pixels = _deep_colour(image, _decoded_deep(image, content))
        else:
            pixels = _upright(_shallow(image, content), image)
        if _is_white_zero(image) and pixels.dtype == np.uint16:  # PIL turns those of up to 8 bits about
            pixels = 65535 - pixels
        missing = _missing(image, pixels, path)
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise UserError(
            f"image '{path}' has {pixels.dtype.name} pixels; expected 8-bit, 16-bit or float32; save it as one of these"
        )
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if missing is None:
        return Picture(pixels, None)
    return Picture(filled(pixels, missing, mean_elsewhere([(pixels, missing)])), missing)


def read_mask(path: Path, in_colour: bool = False) -> Pixels:
    """The mask as stored; see `read_coded`."""
    return read_coded(path, in_colour).codes


def read_coded(path: Path, in_colour: bool = False) -> Coded:
    """The mask as stored: (H, W), or (H, W, 3) for colour, whose alpha is dropped, as it may say nothing more.

    Palette masks, among them GIF, give their indices, or, `in_colour`, their colours; 1-, 2- and 4-bit masks 0..1,
    0..3 and 0..15; 8 bits uint8, 16 bits uint16, 32 bits int32 or float32. EXIF orientation is applied, as it is to
    images.

    Raises:
        UserError: the file is truncated, broken, too large, of several pages, a TIFF whose 0 is white, or says by its
            alpha what its colours do not say.
    """
    with _decodable(path, of_mask=True) as (image, content):
        codes = _codes(image, content, in_colour, path)
        value = parsed(_tags(image).get(NODATA), path)
        if value is None:
            return Coded(codes, None)
        where = equals(np.array(image) if image.mode == "P" else codes, value)
        return Coded(codes, np.asarray(where.all(2)) if where.ndim == 3 else where)


def _codes(image: ImageFile.ImageFile, content: bytes, in_colour: bool, path: Path) -> Pixels:
    if _is_deep_colour(image):
        every = _decoded_deep(image, content)
        refuse_lost(every[..., :3], every[..., 3] if every.shape[2] == 4 else None, path)
        return _deep_colour(image, every)
    raw = image.mode in RAW_MODES or image.mode.startswith("I;16")
    if raw and not (in_colour and image.mode == "P"):
        factor = UNSCALE.get(_raw_mode(image), 1)
        pixels = _upright(_native(image, content), image)
        return pixels if factor == 1 else pixels // np.uint8(factor)
    colours = _shallow(image, content)
    refuse_lost(colours, alpha_of(image), path)
    return _upright(colours, image)


def with_channels(image: Pixels, channels: int) -> Pixels:
    """The image with 1 or 3 channels; grey is ITU-R BT.601 luma, as of cv2 and PIL."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None]


@contextmanager
def _decodable(path: Path, of_mask: bool = False) -> Iterator[tuple[ImageFile.ImageFile, bytes]]:
    """The file opened, with its content, once that has been found whole."""
    with _named(path):
        content = path.read_bytes()
        with _opened(path, io.BytesIO(content), of_mask) as image:
            check(image, content)
            yield image, content


@contextmanager
def _opened(path: Path, file: IO[bytes], of_mask: bool) -> Iterator[ImageFile.ImageFile]:
    with Image.open(file, formats=FORMATS) as image:
        if image.format not in JPEGS and getattr(image, "is_animated", False):
            raise UserError(f"'{path}' has several pages; expected one image a file; save each page as a file")
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(path, image.width * image.height)
        if _is_white_zero(image):
            unsigned = _tags(image).get(SAMPLE_FORMAT, (1,))[0] == 1
            refuse_inverted(path, of_mask, unsigned and (_bits(image) <= 8 or _bits(image) == 16))
        yield image


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors that name the file, and no warning: PIL warns of metadata, and of sizes that we judge ourselves."""
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


def _channels(image: Image.Image) -> int:
    return 1 if image.mode in GREY_MODES or image.mode.startswith("I;16") else 3


def refuse_inverted(path: Path, of_mask: bool, is_turned: bool) -> None:
    """Raises UserError for a TIFF whose 0 is white, unless it is an image of a kind that is turned about on reading.

    Args:
        path: of the file.
        of_mask: whether its numbers are labels: whether they or what is shown is meant, nobody can tell.
        is_turned: whether it has unsigned numbers of 1 to 8 or of 16 bits, whose highest is known.
    """
    if of_mask or not is_turned:
        what = "mask" if of_mask else "image"
        why = "labels as stored or as shown" if of_mask else "numbers that are signed, floating or of other bits"
        raise UserError(
            f"{what} '{path}' says white as 0 (tag {PHOTOMETRIC}, PhotometricInterpretation: WhiteIsZero), which "
            f"readers take in different ways: {why}; expected black as 0 (BlackIsZero); save it so"
            + (", or as PNG; ImageJ and Fiji write it where the lookup table is inverted" if of_mask else "")
        )


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return getattr(image, "tag_v2", {})


def _is_white_zero(image: Image.Image) -> bool:
    return bool(_tags(image).get(PHOTOMETRIC) == WHITE_IS_ZERO)


def _bits(image: Image.Image) -> int:
    return int(max(_tags(image).get(BITS, (1,))))


def _missing(image: ImageFile.ImageFile, pixels: Pixels, path: Path) -> Where | None:
    """Where (H, W) a TIFF holds its nodata value, which is a number of the file, not of the picture made of it."""
    value = parsed(_tags(image).get(NODATA), path)
    if value is None:
        return None
    if image.mode == "P":
        return nothing(np.array(image)[..., None], value)
    stored = pixels if pixels.ndim == 3 else pixels[..., None]
    if image.mode in ("1", "L") and _bits(image) in STRETCHED:
        stored = stored // np.uint8(STRETCHED[_bits(image)])
    if _is_white_zero(image):
        stored = (2 ** _bits(image) - 1) - stored
    return nothing(stored, value)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the file packs its pixels, in PIL's words, such as "L;4" or "RGB;16B"; empty once decoded."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _is_deep_colour(image: ImageFile.ImageFile) -> bool:
    return ";16" in _raw_mode(image) and image.mode in ("RGB", "RGBA", "RGBX", "LA")


def _deep_colour(image: ImageFile.ImageFile, pixels: Pixels) -> Pixels:
    """Of what `_decoded_deep` gives (H, W, 3) or, where the colour modes hold grey and alpha, (H, W)."""
    channels = pixels[..., 0] if image.mode == "LA" else pixels[..., 2::-1]
    return np.ascontiguousarray(channels)


def _decoded_deep(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Pixels of 16 bits a channel, as cv2 gives them: (H, W, 3) blue first, or (H, W, 4) with alpha."""
    if image.format == "TIFF" and _orientation(image) >= 5:
        raise ValueError("cv2 does not read 16-bit colour on its side (orientation 5 to 8)")
    image.load()  # raises on a truncated file
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its 16-bit colour pixels cannot be decoded")
    return pixels if image.format == "TIFF" else _upright(pixels, image)  # a TIFF has been turned by cv2


def _shallow(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Grey (H, W) or RGB (H, W, 3), palette expanded and alpha dropped."""
    if image.mode in ("L", "F", "I", "RGB") or image.mode.startswith("I;16"):
        return _native(image, content)
    if image.mode in GREY_MODES:
        return np.array(image.convert("L"))
    # by way of RGBA: PIL warns when a palette with transparency goes to RGB in one step
    return np.array((image.convert("RGBA") if image.mode in ("P", "PA") else image).convert("RGB"))


def _native(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    if image.format in JPEGS:  # CMYK does not come here
        pixels: Pixels = simplejpeg.decode_jpeg(content, "GRAY" if image.mode == "L" else "RGB", strict=True)
        return pixels[..., 0] if image.mode == "L" else pixels
    pixels = np.array(image)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; other numbers mean nothing and count as 1, as upright."""
    orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _upright(pixels: Pixels, image: Image.Image) -> Pixels:
    """Pixels turned as EXIF orientation asks; PIL has turned a TIFF already. Source: EXIF 2.32, tag 274."""
    orientation = _orientation(image)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
