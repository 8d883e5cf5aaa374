"""Pixels of which a TIFF file says that they hold nothing, by GDAL's tag of a nodata value, and what takes their place.

Of an image such a pixel counts in no loss and no metric, and its values become the mean of the file's other pixels, in
each channel, so that no -9999 reaches a mean, a window or a network. Of a mask it counts nowhere, unless its value is a
class: some programs write nodata = 0 where 0 is the background.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from segtrain.data.files.samples import IGNORE_INDEX, Sample
from segtrain.errors import UserError, remark
from segtrain.files import opened

Pixels = np.ndarray[Any, Any]
Where = np.ndarray[Any, np.dtype[np.bool_]]

NODATA = 42113  # Source: GDAL's GTiff driver, "GDAL_NODATA": the value as text
SAID = (
    f"pixels that hold the file's nodata value (tag {NODATA}, GDAL_NODATA) count nowhere, and are filled with the mean "
    "of the file's other pixels"
)
MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}  # TIFF and BigTIFF
BIG = 43
HUGE = 1e38  # what no measurement reaches; float32 ends at 3.4e38


def read_tags(path: Path) -> Mapping[int, Any]:
    """Returns the tags of a TIFF file's first page, by number, whatever its pixels are; none of another file."""
    with opened(path) as file:
        header = file.read(8)
        if header[:4] not in MAGIC:
            return {}
        header += file.read(8) if BIG in header[2:4] else b""
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        return tags


def read_nodata(path: Path) -> float | None:
    """Returns the nodata value that the tags of a TIFF file give; None where they give none, and of another file.

    Raises:
        UserError: the tag holds no number.
    """
    return parsed(read_tags(path).get(NODATA), path)


def parsed(text: object, path: object) -> float | None:
    """Returns the number that the tag's text stands for, NaN and infinity among them; None of None or no text.

    Raises:
        UserError: it is no number.
    """
    plain = str(text if text is not None else "").strip("\0 \n")
    words = plain.split()
    plain = words[0] if len({*words}) == 1 else plain  # some programs write the value once a band
    try:
        return float(plain.replace(",", ".")) if plain else None
    except ValueError as error:
        raise UserError(
            f"'{path}' gives as its nodata value (tag {NODATA}, GDAL_NODATA) '{plain}'; expected a number; write the "
            "tag anew, such as by gdal_edit.py -a_nodata, or remove it (-unsetnodata)"
        ) from error


def equals(stored: Pixels, nodata: float) -> Where:
    """Returns where the numbers are the nodata value, in the precision in which they are stored, at most float32's."""
    if stored.dtype.kind == "c":
        return np.zeros(stored.shape, np.bool_)
    if np.isnan(nodata):
        return np.isnan(stored) if stored.dtype.kind == "f" else np.zeros(stored.shape, np.bool_)
    if stored.dtype.kind == "f":
        if abs(nodata) > HUGE and np.isfinite(nodata):  # the least float32, of which programs write 6 to 17 digits
            return np.asarray(stored * np.sign(nodata) > HUGE)
        kind = stored.dtype if stored.itemsize <= 4 else np.dtype(np.float32)
        with np.errstate(over="ignore"):
            return np.asarray(stored.astype(kind, copy=False) == np.asarray(nodata).astype(kind))
    return np.asarray(stored == int(nodata)) if float(nodata).is_integer() else np.zeros(stored.shape, np.bool_)


def nothing(stored: Pixels, nodata: float | None) -> Where | None:
    """Returns where (H, W) an image (H, W, C) as stored holds nothing; None where nowhere.

    That is where a band holds the nodata value; of unsigned whole numbers where all bands do: 0 or 255 in one band is
    a colour there.
    """
    if nodata is None:
        return None
    found = equals(stored, nodata)
    where: Where = np.asarray(found.all(2) if stored.dtype.kind in "ub" else found.any(2))
    return where if where.any() else None


def mean_elsewhere(parts: Iterable[tuple[Pixels, Where | None]]) -> Pixels:
    """Returns the mean (C,) float64 of each channel over the pixels that hold something; 0 where none does.

    Args:
        parts: rows (n, W, C) of one image, and where they hold nothing.
    """
    total, count = np.zeros(1), 0
    for pixels, where in parts:
        held = pixels.reshape(-1, pixels.shape[2]) if where is None else pixels[~where]
        total, count = total + held.sum(0, np.float64), count + len(held)
    return total / max(1, count)


def filled(pixels: Pixels, where: Where, mean: Pixels) -> Pixels:
    """Returns the image (H, W, C) with the mean where it holds nothing, rounded where its numbers are whole."""
    found = pixels.copy()
    found[where] = (mean if pixels.dtype.kind == "f" else np.rint(mean)).astype(pixels.dtype)
    return found


def sample_of(image: Pixels, labels: Pixels, missing: Where | None, name: str) -> Sample:
    """Returns the sample whose labels are `IGNORE_INDEX` where its image holds nothing.

    Args:
        image: (H, W, C), filled.
        labels: (H, W) uint8, which are changed.
        missing: where (H, W) the image holds nothing; None: nowhere.
        name: the sample's id, for the remark on it.
    """
    if missing is not None:
        labels[missing] = IGNORE_INDEX
        remark("nodata", SAID, [name], is_fine=True)
    return Sample(image, labels)
