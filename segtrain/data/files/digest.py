"""Takes fingerprints, hashes and stamps, which change when what a dataset reads changes, or tell equal images."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.data.files.samples import Pixels
from segtrain.errors import UserError
from segtrain.files import BEYOND_UTF8, opened

Hashes = list[bytes | None]
MOST_HASHED = 20_000  # samples that are hashed at the start where no fingerprint has read them: about .1 ms each
MOST_VALUES = 1 << 28  # values that are decoded for that, of images that are no files: some 5 s


def digest(root: Path, paths: Iterable[Path], *options: object, keep: dict[Path, bytes] | None = None) -> str:
    """Returns BLAKE2b over the options' `repr`, and the names from root and the contents of the files.

    `keep` is filled with 16 bytes of each file's own hash.
    """
    total = hashlib.blake2b(repr(options).encode(), digest_size=16)
    for path in paths:
        with opened(path) as file:
            content = hashlib.file_digest(file, hashlib.blake2b)
        if keep is not None:
            keep[path] = _kept(content)
        total.update(
            f"{Path(os.path.relpath(path, root)).as_posix()}\0{content.hexdigest()}\0".encode(errors=BEYOND_UTF8)
        )
    return total.hexdigest()


def hash_pixels(pixels: Pixels) -> bytes:
    """Returns the BLAKE2b hash, 16 bytes, of shape, dtype and values."""
    total = hashlib.blake2b(f"{pixels.shape} {pixels.dtype.str}".encode(), digest_size=16)
    total.update(np.ascontiguousarray(pixels).data)
    return total.digest()


def is_flat(image: Pixels) -> bool:
    """Returns whether each channel of an image (H, W, C) has one value: nothing is in it, so two such are no copies."""
    first = image[:1, :1]
    return bool((image[:1] == first).all() and (image == first).all())


def hashes_of_pixels(read: Callable[[int], Pixels], n: int) -> Hashes:
    """Returns the hash of each image: None for one that is flat, or that cannot be read, as training will say.

    Args:
        read: index -> image.
        n: how many there are.
    """
    return [None if (image := _read(read, i)) is None or is_flat(image) else hash_pixels(image) for i in range(n)]


def hashes_of_files(paths: Sequence[Path], known: Mapping[Path, bytes], read: Callable[[int], Pixels]) -> Hashes:
    """Returns the hash of each image's file: None for one that is as another and flat, or that cannot be had.

    Args:
        paths: of the images, one each.
        known: what `digest` has kept; files that it lacks are read.
        read: index -> image; one of each group of equal files is read.
    """
    found = [known.get(path) or _content(path) for path in paths]
    return without_flat(found, read)


def without_flat(hashes: Hashes, read: Callable[[int], Pixels]) -> Hashes:
    """Returns the hashes with None in place of those that are equal and flat; one image of each group is read."""
    groups: dict[bytes | None, list[int]] = defaultdict(list)
    for index, one in enumerate(hashes):
        groups[one].append(index)
    found = list(hashes)
    for one, group in groups.items():
        image = _read(read, group[0]) if one is not None and len(group) > 1 else None
        if image is not None and is_flat(image):
            for index in group:
                found[index] = None
    return found


def stamp_files(paths: Iterable[str | Path]) -> int:
    """Returns 1..2⁶⁴-1 from the size and the times of change of each file (of content and of entry, in ns).

    A file that cannot be looked at has a stamp of its own: whoever reads it says why. What is overlooked is a change
    that leaves the size and happens within one tick of the file system's clock, a few ms on most.
    """
    known = hashlib.blake2b(digest_size=8)
    for path in paths:
        try:
            found = os.stat(path)
            known.update(b"%d,%d,%d;" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        except OSError:
            known.update(b"none;")
    return int.from_bytes(known.digest()) or 1


def _content(path: Path) -> bytes | None:
    try:
        with opened(path) as file:
            return _kept(hashlib.file_digest(file, hashlib.blake2b))
    except (OSError, UserError):  # named when it is read
        return None


def _kept(content: Any) -> bytes:
    return bytes(content.digest()[:16])


def _read(read: Callable[[int], Pixels], index: int) -> Pixels | None:
    try:
        return read(index)
    except UserError:
        return None
