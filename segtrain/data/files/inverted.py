"""TIFF files that say that their 0 is white, and what their tags say of the numbers in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segtrain.data.files.nodata import NODATA, Where, nothing, parsed
from segtrain.errors import UserError

Pixels = np.ndarray[Any, Any]

PHOTOMETRIC, BITS, SAMPLE_FORMAT = 262, 258, 339  # TIFF tags
WHITE_IS_ZERO = 0  # of PHOTOMETRIC
STRETCHED = {1: 255, 2: 85, 4: 17}  # bits of grey -> what PIL's steps are of those that the file has


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


def tags_of(image: Image.Image) -> Mapping[int, Any]:
    """Returns the tags of an opened TIFF; none of other files."""
    return getattr(image, "tag_v2", {})


def is_white_zero(image: Image.Image) -> bool:
    """Returns whether an opened file says that its 0 is white."""
    return bool(tags_of(image).get(PHOTOMETRIC) == WHITE_IS_ZERO)


def bits_of(image: Image.Image) -> int:
    """Returns how many bits each number of an opened TIFF has."""
    return int(max(tags_of(image).get(BITS, (1,))))


def missing_in(image: Image.Image, pixels: Pixels, path: Path) -> Where | None:
    """Where (H, W) a TIFF holds its nodata value, which is a number of the file, not of the picture made of it."""
    value = parsed(tags_of(image).get(NODATA), path)
    if value is None:
        return None
    if image.mode == "P":
        return nothing(np.array(image)[..., None], value)
    stored = pixels if pixels.ndim == 3 else pixels[..., None]
    if image.mode in ("1", "L") and bits_of(image) in STRETCHED:
        stored = stored // np.uint8(STRETCHED[bits_of(image)])
    if is_white_zero(image):
        stored = (2 ** bits_of(image) - 1) - stored
    return nothing(stored, value)
