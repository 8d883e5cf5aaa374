"""Reads what the tags of a TIFF file say of its pixels: which hold nothing, whether 0 is white, where they lie.

Of an image a pixel that holds GDAL's nodata value counts in no loss and no metric, and its values become the mean of
the file's other pixels, in each channel, so that no -9999 reaches a mean, a window or a network. Of a mask it counts
nowhere, unless its value is a class: some programs write nodata = 0 where 0 is the background.

Strips and tiles must lie inside the file, behind its header and tags, and not over each other: a decoder takes
whatever lies at an offset as pixels, so that a damaged or a made-up offset gives pixels that nobody stored, and no word
about it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from struct import calcsize, unpack_from
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from segtrain.data.files.samples import IGNORE_INDEX, Pixels, Sample
from segtrain.errors import UserError, remark
from segtrain.files import opened

Where = np.ndarray[Any, np.dtype[np.bool_]]
NODATA = 42113  # Source: GDAL's GTiff driver, "GDAL_NODATA": the value as text
SAID = (
    f"pixels that hold the file's nodata value (tag {NODATA}, GDAL_NODATA) count nowhere, and are filled with the mean "
    "of the file's other pixels"
)
MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}  # TIFF and BigTIFF
BIG_TIFF = 43
HUGE = 1e38  # what no measurement reaches; float32 ends at 3.4e38
PHOTOMETRIC, BITS, SAMPLE_FORMAT = 262, 258, 339  # TIFF tags
WHITE_IS_ZERO = 0  # of PHOTOMETRIC
STRETCHED = {1: 255, 2: 85, 4: 17}  # bits of grey -> what PIL's steps are of those that the file has
MOST_PAGES = 1 << 16
MOST_TILE = 1 << 24  # pixels of a strip or tile, unless the image has more: 4096 x 4096
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
Place = tuple[int, int]  # first byte, and the one behind the last


def read_tags(path: Path) -> Mapping[int, Any]:
    """Returns the tags of a TIFF file's first page, by number, whatever its pixels are; none of another file."""
    with opened(path) as file:
        header = file.read(8)
        if header[:4] not in MAGIC:
            return {}
        header += file.read(8) if BIG_TIFF in header[2:4] else b""
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        return tags


def read_nodata(path: Path) -> float | None:
    """Returns the nodata value that the tags of a TIFF file give; None where they give none, and of another file.

    Raises:
        UserError: the tag holds no number.
    """
    return parse_nodata(read_tags(path).get(NODATA), path)


def parse_nodata(text: object, path: object) -> float | None:
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


def is_nodata(stored: Pixels, nodata: float) -> Where:
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


def find_nodata(stored: Pixels, nodata: float | None) -> Where | None:
    """Returns where (H, W) an image (H, W, C) as stored holds nothing; None where nowhere.

    That is where a band holds the nodata value; of unsigned whole numbers where all bands do: 0 or 255 in one band is
    a colour there.
    """
    if nodata is None:
        return None
    found = is_nodata(stored, nodata)
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


def fill_missing(pixels: Pixels, where: Where, mean: Pixels) -> Pixels:
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


def find_missing(image: Image.Image, pixels: Pixels, path: Path) -> Where | None:
    """Returns where (H, W) a TIFF holds its nodata value, a number of the file, not of the picture made of it."""
    value = parse_nodata(tags_of(image).get(NODATA), path)
    if value is None:
        return None
    if image.mode == "P":
        return find_nodata(np.array(image)[..., None], value)
    stored = pixels if pixels.ndim == 3 else pixels[..., None]
    if image.mode in ("1", "L") and bits_of(image) in STRETCHED:
        stored = stored // np.uint8(STRETCHED[bits_of(image)])
    if is_white_zero(image):
        stored = (2 ** bits_of(image) - 1) - stored
    return find_nodata(stored, value)


def require_strips(offsets: Sequence[int], lengths: Sequence[int], taken: Sequence[Place], size: int) -> None:
    """Raises ValueError unless each strip or tile has bytes of its own in a file of `size` bytes.

    Args:
        offsets, lengths: of each, in bytes; 0 and 0 of a tile that was left out, as GDAL and COGs do where it is empty.
        taken: what is none of theirs: the header, directories and long values of tags.
        size: of the file.
    """
    every = np.array([offsets, lengths], np.float64).T  # exact up to 2**53; larger ones lie outside any file
    stored = every[(every != 0).any(1)]
    stored = stored[np.argsort(stored[:, 0], kind="stable")]
    starts, ends = stored[:, 0], stored.sum(1)
    wrong = (stored[:, 1] <= 0) | (starts < 0) | (ends > size)
    if wrong.any():
        start, length = stored[wrong][0]
        raise ValueError(f"a strip or tile of {length:.0f} bytes at {start:.0f} does not lie in its {size} bytes")
    over = np.flatnonzero(starts[1:] < ends[:-1])
    if len(over):
        raise ValueError(f"two strips or tiles share the bytes at {starts[over[0] + 1]:.0f}")
    for first, end in taken:
        before = int(np.searchsorted(starts, end)) - 1  # the last that begins before its end
        if before >= 0 and ends[before] > first:
            raise ValueError(f"a strip or tile at {starts[before]:.0f} lies over the header or the tags")


def require_tile(height: int, width: int, of_height: int, of_width: int) -> None:
    """Raises ValueError where a strip or tile is so much larger than the image that it could only fill the memory.

    Args:
        height, width: of a strip or tile, in pixels.
        of_height, of_width: of the image.
    """
    if height * width > max(MOST_TILE, 2 * of_height * of_width):
        raise ValueError(f"a tile is {width} x {height} pixels, of an image of {of_width} x {of_height}")


def count_pages(path: Path) -> int:
    """Returns how many pages a TIFF has, by the chain of its directories; PIL takes the square of them to count.

    Raises:
        ValueError: more than `MOST_PAGES`, a chain without end, or one that is cut off.
    """
    with opened(path) as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        is_big = unpack_from(f"{order}H", start, 2)[0] == 43
        count, tag, place = ("Q", 20, "Q") if is_big else ("H", 12, "I")
        following = unpack_from(order + place, start, 8 if is_big else 4)[0]
        seen: set[int] = set()
        while following:
            if following in seen or len(seen) >= MOST_PAGES:
                raise ValueError(f"its pages lead back to one another, or are more than {MOST_PAGES}")
            seen.add(following)
            file.seek(following)
            tags = unpack_from(order + count, file.read(calcsize(count)).ljust(8, b"\xff"))[0]
            file.seek(following + calcsize(order + count) + tags * tag)
            end = file.read(calcsize(place))
            if len(end) != calcsize(place):
                raise ValueError("its tags are cut off")
            following = unpack_from(order + place, end)[0]
        return len(seen)


def taken_by_tags(content: bytes, start: int) -> list[Place]:
    """Returns what the header, the directory at `start` and its long values take. Source: TIFF 6.0, section 2; BigTIFF.

    Raises:
        ValueError: the directory is cut off.
    """
    order = "<" if content[:2] == b"II" else ">"
    is_big = unpack_from(f"{order}H", content, 2)[0] == 43
    count, tag, fits = ("Q", "HHQQ", 8) if is_big else ("H", "HHII", 4)
    tags = unpack_from(order + count, content, start)[0]
    first, each = start + calcsize(order + count), calcsize(order + tag)
    end = first + tags * each + fits
    if end - fits > len(content):
        raise ValueError("its tags are cut off")
    taken = [(0, 16 if is_big else 8), (start, end)]
    for number in range(tags):
        _, kind, values, place = unpack_from(order + tag, content, first + number * each)
        length = values * SIZES.get(kind, 0)
        taken += [(place, place + length)] if length > fits else []
    return taken


def require_page(page: Any) -> None:
    """Raises ValueError unless a page of tifffile's says places that can be.

    Args:
        page: a `TiffPage`, or a `TiffFrame`, which has the tags of the first alone.
    """
    key, file = page.keyframe, page.parent
    taken = [(0, 16 if file.is_bigtiff else 8)]
    for tag in getattr(page, "tags", ()):
        taken.append((tag.offset, tag.offset + (20 if file.is_bigtiff else 12)))
        taken += [(tag.valueoffset, tag.valueoffset + tag.valuebytecount)] if tag.valuebytecount > 0 else []
    require_strips(page.dataoffsets, page.databytecounts, taken, file.filehandle.size)
    height = key.tilelength if key.is_tiled else min(key.rowsperstrip, key.imagelength)
    require_tile(height, key.tilewidth if key.is_tiled else key.imagewidth, key.imagelength, key.imagewidth)
