"""Decodes picture files, which way up they are and what their alpha says, and finds whether they are whole.

PIL decodes, but for JPEG, which simplejpeg reads with libjpeg's warnings as errors: PIL hides them, and so makes grey
areas of a file that was cut and closed again. Colour of 16 bits a channel, which PIL would cut to 8, cv2 reads, once
PIL has decoded the file without complaint.

A file is whole where its header goes with its data, beyond what PIL asks. PNG is checked to the last bit: every chunk's
CRC-32, the Adler-32 of the pixels, their number. Of JPEG, libjpeg's warnings are errors, which finds data that ends
early or late and codes that do not exist. Of BMP, TIFF and GIF, sizes must agree, and deflated TIFF strips their
Adler-32. What no reader can find, as the formats hold no checksum: changed numbers that still decode, in the pixels of
BMP, of TIFF without deflate, of GIF and of JPEG; in their palettes and tables; in TIFF tags such as the orientation.
"""

import zlib
from collections.abc import Iterator
from struct import unpack_from
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageFile, TiffImagePlugin

from segtrain.data.files.samples import Pixels
from segtrain.data.files.tiff_tags import require_strips, require_tile, taken_by_tags
from segtrain.errors import UserError

JPEGS = ("JPEG", "MPO")  # MPO: a JPEG with smaller ones behind it, as phones save; the first is the picture
GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # beside these "I;16" and its kin; all other PIL modes are in colour
ORIENTATION = 0x0112  # EXIF tag: 1 as stored, 2 to 8 the turns and mirrorings of `upright`
ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA", "P", "RGB", "L")  # PIL modes that can say so
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # x, y, steps
PADDING = 3  # bytes that writers of BMP put behind the pixels, up to the next whole word
DEFLATE = (8, 32946)  # TIFF's compressions with zlib: Adobe's and the older number
REMEMBERED = 1 << 17  # PNG files; about 10 MB
BIG_TIFF = (b"\x2b\x00", b"\x00\x2b")  # the number that a BigTIFF begins with
YCBCR = 6  # the photometric interpretation whose rows may hold fewer colours than pixels
_inflated: set[bytes] = set()  # header and checksums of PNG files whose pixels this process found to fit


def channels_of(image: Image.Image) -> int:
    """Returns 1 of a grey picture, 3 of others."""
    return 1 if image.mode in GREY_MODES or image.mode.startswith("I;16") else 3


def dtype_of(image: ImageFile.ImageFile) -> str:
    """Returns the name of the dtype of its pixels; of integers of 32 bits, which are no image's, int32."""
    if image.mode.startswith("I;16") or is_deep(image):
        return "uint16"
    return {"I": "int32", "F": "float32"}.get(image.mode, "uint8")


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Returns how the file packs its pixels, in PIL's words, such as "L;4" or "RGB;16B"; empty once decoded."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Returns whether it is in colour of 16 bits a channel."""
    return ";16" in raw_mode(image) and image.mode in ("RGB", "RGBA", "RGBX", "LA")


def deep_colours(image: ImageFile.ImageFile, pixels: Pixels) -> Pixels:
    """Returns the colours of what `decode_deep` gives, (H, W, 3), or (H, W) where they hold grey and alpha."""
    channels = pixels[..., 0] if image.mode == "LA" else pixels[..., 2::-1]
    return np.ascontiguousarray(channels)


def decode_deep(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Returns pixels of 16 bits a channel, as cv2 gives them: (H, W, 3) blue first, or (H, W, 4) with alpha."""
    if image.format == "TIFF" and orientation(image) >= 5:
        raise ValueError("cv2 does not read 16-bit colour on its side (orientation 5 to 8)")
    image.load()  # raises on a truncated file
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its 16-bit colour pixels cannot be decoded")
    return pixels if image.format == "TIFF" else upright(pixels, image)  # a TIFF has been turned by cv2


def decode_shallow(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Returns grey (H, W) or RGB (H, W, 3), palette expanded and alpha dropped."""
    if image.mode in ("L", "F", "I", "RGB") or image.mode.startswith("I;16"):
        return decode_stored(image, content)
    if image.mode in GREY_MODES:
        return np.array(image.convert("L"))
    # by way of RGBA: PIL warns when a palette with transparency goes to RGB in one step
    return np.array((image.convert("RGBA") if image.mode in ("P", "PA") else image).convert("RGB"))


def decode_stored(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Returns the numbers of the file, a palette's indices among them, in the machine's order of bytes."""
    if image.format in JPEGS:  # CMYK does not come here
        pixels: Pixels = simplejpeg.decode_jpeg(content, "GRAY" if image.mode == "L" else "RGB", strict=True)
        return pixels[..., 0] if image.mode == "L" else pixels
    pixels = np.array(image)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; other numbers mean nothing and count as 1, as upright."""
    found = image.getexif().get(ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def upright(pixels: Pixels, image: Image.Image) -> Pixels:
    """Returns pixels turned as EXIF orientation asks; PIL has turned a TIFF already. Source: EXIF 2.32, tag 274."""
    turn = orientation(image)
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def alpha_of(image: Image.Image) -> Pixels | None:
    """Returns how opaque each pixel (H, W) of an opened picture is, 0..255; None where it does not say."""
    if image.mode not in ALPHA_MODES or not image.has_transparency_data:
        return None
    return np.array(image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A"))


def is_seen_through(alpha: Pixels | None) -> bool:
    """Returns whether pixels differ in how opaque they are; where they do not, alpha says nothing."""
    return alpha is not None and bool((alpha != alpha.flat[0]).any())


def refuse_lost_alpha(colours: Pixels, alpha: Pixels | None, path: object) -> None:
    """Raises UserError where a mask says by its alpha what its colours do not say, as alpha is dropped.

    Args:
        colours: of the mask, (H, W) or (H, W, C).
        alpha: (H, W), of any type; None: there is none.
        path: of the mask, for the message.
    """
    if alpha is None or not is_seen_through(alpha):
        return
    hidden, shown = (_distinct(colours[where]) for where in (alpha == 0, alpha != 0))
    if len(hidden | shown) == 1:
        got = "one colour throughout, so that only the alpha tells a label"
    elif len(hidden) > 1:
        got = f"{len(hidden)} colours under transparent pixels, which nobody sees and which would be labels"
    elif hidden & shown:
        got = "a colour that is transparent in one place and drawn in another"
    else:
        return
    raise UserError(
        f"mask '{path}' has pixels that differ in alpha (transparency), which is dropped; expected labels that the "
        f"colours alone tell; got {got}; save the values of the labels as a grey or palette PNG without alpha"
    )


def _distinct(colours: Pixels) -> set[Any]:
    """Returns the different colours (n,) or (n, C)."""
    if not len(colours):
        return set()
    found = np.unique(colours.reshape(len(colours), -1), axis=0)
    return set(map(tuple, found.tolist()))


def require_whole(image: Image.Image, content: bytes) -> None:
    """Raises ValueError unless a file's header and data agree; `image` is the content opened, not decoded.

    A PNG image takes 1.7 times as long to read for it, a mask 1.3 times, when a process reads it for the first time:
    its pixels are inflated twice. Later, and for other formats, it costs next to nothing.

    Raises:
        ValueError: header and data disagree, or a checksum does not fit.
    """
    if image.format == "PNG":
        _check_png(content)
    elif image.format == "BMP":
        _check_bmp(image, content)
    elif image.format == "GIF":
        _check_gif(image, content)
    elif image.format == "JPEG" and image.mode == "CMYK":  # of other JPEG, the pixels themselves are read so
        simplejpeg.decode_jpeg(content, "CMYK", strict=True)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image, content)


def _check_png(content: bytes) -> None:
    """Checks every checksum, and the number of pixels. Source: PNG specification (third edition), 5.3, 8.1, 13.10."""
    chunks = list(_chunks(content))
    width, height, depth, colour, _, _, interlaced = unpack_from(">IIBBBBB", chunks[0][1])
    bits = depth * PNG_CHANNELS[colour]
    told = chunks[0][1] + b"".join(crc for kind, _, crc in chunks if kind == b"IDAT")
    if told in _inflated:
        return
    expected = 0
    for x, y, step_x, step_y in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - width) // step_x), -((y - height) // step_y)
        expected += rows * (1 + (columns * bits + 7) // 8) if columns > 0 < rows else 0
    _check_inflated(b"".join(data for kind, data, _ in chunks if kind == b"IDAT"), expected)
    if len(_inflated) >= REMEMBERED:
        _inflated.clear()
    _inflated.add(told)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yields kind, data and CRC-32 of each, which fits."""
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = unpack_from(">I4s", content.ljust(position + 8), position)
        data, position = content[position + 8 : position + 8 + length], position + 12 + length
        if position > len(content):
            raise ValueError("it ends before its last chunk, IEND")
        crc = content[position - 4 : position]
        if crc != zlib.crc32(data, zlib.crc32(kind)).to_bytes(4):
            raise ValueError(f"the checksum of its chunk {kind.decode(errors='replace')} does not fit")
        yield kind, data, crc


def _check_inflated(data: bytes, expected: int) -> None:
    """Raises ValueError unless the data decompresses to the number of bytes that its header asks for."""
    inflater = zlib.decompressobj()
    held = len(inflater.decompress(data, expected + 1))  # the limit: a bomb swells no further than its header says
    if held != expected or not inflater.eof:
        amount = "more" if held > expected else "less" if held < expected else "unfinished"
        raise ValueError(f"its header asks for {expected} bytes of pixels, its data holds {amount}")


def _check_bmp(image: Image.Image, content: bytes) -> None:
    """Raises ValueError unless uncompressed rows fill the file, or what the header says: a profile may follow."""
    codec, _, offset, arguments = image.tile[0]  # type: ignore[attr-defined]
    if codec != "raw":
        return
    least = 14 + unpack_from("<I", content, 14)[0]  # its two headers; a palette stands behind them
    if offset < least:
        raise ValueError(f"its pixels begin at byte {offset}, within its header of {least}")
    needed, held = arguments[1] * image.height, len(content) - offset
    said = unpack_from("<I", content, 34)[0] if unpack_from("<I", content, 14)[0] >= 40 else 0
    longer = any(0 <= size - needed <= PADDING for size in (held, said)) and held > needed
    if held != needed and not (longer and unpack_from("<I", content, 2)[0] == len(content)):
        raise ValueError(f"its header asks for {needed} bytes of pixels, it holds {max(0, held)}")


def _check_gif(image: Image.Image, content: bytes) -> None:
    """Raises ValueError unless the one picture covers the screen: elsewhere a decoder would make pixels up."""
    screen = unpack_from("<HH", content, 6)
    boxes = [tile[1] for tile in image.tile]  # type: ignore[attr-defined]
    if screen != image.size or boxes != [(0, 0, *image.size)]:
        raise ValueError(f"its header says {screen[0]} x {screen[1]} pixels, its picture covers {boxes}")


def _check_tiff(image: TiffImagePlugin.TiffImageFile, content: bytes) -> None:
    """Raises ValueError unless strips are as many and as long as asked for. Source: TIFF 6.0, "RowsPerStrip"."""
    order, offset = ("<" if content[:2] == b"II" else ">"), "8xQ" if content[2:4] in BIG_TIFF else "4xI"
    taken = taken_by_tags(content, unpack_from(order + offset, content)[0])
    tags = image.tag_v2
    width, height, tiled = tags[256], tags[257], 322 in tags
    across, down = (tags[322], tags[323]) if tiled else (width, min(tags.get(278, height), height))
    planes = tags.get(277, 1) if tags.get(284, 1) == 2 else 1
    offsets, lengths = (tags.get(324), tags.get(325)) if tiled else (tags.get(273), tags.get(279))
    columns, rows = -(-width // across), -(-height // down)
    if not offsets or not lengths or not len(offsets) == len(lengths) == columns * rows * planes:
        raise ValueError(f"its {len(offsets or ())} strips or tiles do not make {width} x {height} pixels")
    require_strips(offsets, lengths, taken, len(content))
    require_tile(down, across, height, width)
    if tags.get(262) == YCBCR:
        return
    samples = tags.get(258, (1,))
    if order == ">" and max(samples) > 16 and tags.get(259, 1) != 1:
        raise ValueError("compressed numbers of 32 bits, high bytes first, which PIL takes in the wrong order")
    bits = sum(samples) * (tags.get(277, 1) if len(samples) == 1 else 1) // planes  # one number may stand for all
    for number, (offset, length) in enumerate(zip(offsets, lengths, strict=True)):
        row = number // columns % rows
        needed = (across * bits + 7) // 8 * (down if tiled else min(down, height - row * down))
        if tags.get(259, 1) == 1 and length != needed:
            raise ValueError(f"its header asks for {needed} bytes of pixels in a strip, it holds {length}")
        if tags.get(259, 1) in DEFLATE:
            _check_inflated(content[offset : offset + length], needed)
