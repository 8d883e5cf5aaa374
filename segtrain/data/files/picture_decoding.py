"""An opened picture's pixels: which decoder gives them unharmed, and which way up.

PIL decodes, but for JPEG, which simplejpeg reads with libjpeg's warnings as errors: PIL hides them, and so makes grey
areas of a file that was cut and closed again. Colour of 16 bits a channel, which PIL would cut to 8, cv2 reads, once
PIL has decoded the file without complaint.
"""

from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageFile

Pixels = np.ndarray[Any, Any]

JPEGS = ("JPEG", "MPO")  # MPO: a JPEG with smaller ones behind it, as phones save; the first is the picture
GREY_MODES = {"1", "L", "LA", "La", "I", "F"}  # beside these "I;16" and its kin; all other PIL modes are in colour
ORIENTATION = 0x0112  # EXIF tag: 1 as stored, 2 to 8 the turns and mirrorings of `upright`


def channels_of(image: Image.Image) -> int:
    """Returns 1 of a grey picture, 3 of others."""
    return 1 if image.mode in GREY_MODES or image.mode.startswith("I;16") else 3


def dtype_of(image: ImageFile.ImageFile) -> str:
    """Returns the name of the dtype of its pixels; of integers of 32 bits, which are no image's, int32."""
    if image.mode.startswith("I;16") or is_deep(image):
        return "uint16"
    return {"I": "int32", "F": "float32"}.get(image.mode, "uint8")


def raw_mode(image: ImageFile.ImageFile) -> str:
    """How the file packs its pixels, in PIL's words, such as "L;4" or "RGB;16B"; empty once decoded."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Returns whether it is in colour of 16 bits a channel."""
    return ";16" in raw_mode(image) and image.mode in ("RGB", "RGBA", "RGBX", "LA")


def deep_colours(image: ImageFile.ImageFile, pixels: Pixels) -> Pixels:
    """Of what `_decoded_deep` gives (H, W, 3) or, where the colour modes hold grey and alpha, (H, W)."""
    channels = pixels[..., 0] if image.mode == "LA" else pixels[..., 2::-1]
    return np.ascontiguousarray(channels)


def decoded_deep(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Pixels of 16 bits a channel, as cv2 gives them: (H, W, 3) blue first, or (H, W, 4) with alpha."""
    if image.format == "TIFF" and orientation(image) >= 5:
        raise ValueError("cv2 does not read 16-bit colour on its side (orientation 5 to 8)")
    image.load()  # raises on a truncated file
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its 16-bit colour pixels cannot be decoded")
    return pixels if image.format == "TIFF" else upright(pixels, image)  # a TIFF has been turned by cv2


def shallow(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Grey (H, W) or RGB (H, W, 3), palette expanded and alpha dropped."""
    if image.mode in ("L", "F", "I", "RGB") or image.mode.startswith("I;16"):
        return native(image, content)
    if image.mode in GREY_MODES:
        return np.array(image.convert("L"))
    # by way of RGBA: PIL warns when a palette with transparency goes to RGB in one step
    return np.array((image.convert("RGBA") if image.mode in ("P", "PA") else image).convert("RGB"))


def native(image: ImageFile.ImageFile, content: bytes) -> Pixels:
    """Returns the numbers of the file, a palette's indices among them, in the machine's order of bytes."""
    if image.format in JPEGS:  # CMYK does not come here
        pixels: Pixels = simplejpeg.decode_jpeg(content, "GRAY" if image.mode == "L" else "RGB", strict=True)
        return pixels[..., 0] if image.mode == "L" else pixels
    pixels = np.array(image)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; other numbers mean nothing and count as 1, as upright."""
    found = image.getexif().get(ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def upright(pixels: Pixels, image: Image.Image) -> Pixels:
    """Pixels turned as EXIF orientation asks; PIL has turned a TIFF already. Source: EXIF 2.32, tag 274."""
    turn = orientation(image)
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
