"""Where a TIFF says that its strips or tiles lie: inside the file, behind its header and tags, and not over each other.

A decoder takes whatever lies at an offset as pixels, so that a damaged or a made-up offset gives pixels that nobody
stored, and no word about it.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import calcsize, unpack_from
from typing import Any

import numpy as np

from segtrain.files import opened

MOST_PAGES = 1 << 16
MOST_TILE = 1 << 24  # pixels of a strip or tile, unless the image has more: 4096 x 4096
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

Place = tuple[int, int]  # first byte, and the one behind the last


def require_places(offsets: Sequence[int], lengths: Sequence[int], taken: Sequence[Place], size: int) -> None:
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
    require_places(page.dataoffsets, page.databytecounts, taken, file.filehandle.size)
    height = key.tilelength if key.is_tiled else min(key.rowsperstrip, key.imagelength)
    require_tile(height, key.tilewidth if key.is_tiled else key.imagewidth, key.imagelength, key.imagewidth)
