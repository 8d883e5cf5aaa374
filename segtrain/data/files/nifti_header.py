"""What a NIfTI file says before its voxels, looked at before nibabel reads it: it reads as much as a header says.

Source: nifti1.h and nifti2.h (NIfTI-1.1, NIfTI-2), "EXTENDED HEADER".
"""

import gzip
from pathlib import Path
from struct import unpack_from
from typing import BinaryIO, cast

from segtrain.files import opened

MOST_BEFORE = 1 << 26  # bytes before the voxels: those of extensions, such as a DICOM header, are some thousand
LEAST_EXTENSION = 16  # bytes
SINGLE = (b"n+1\0", b"n+2\0")  # magic words of files that hold their voxels
VERSIONS = {348: ("f", 108, 344), 540: ("q", 168, 4)}  # header's length to type and place of vox_offset, place of magic


def require_header(path: Path) -> None:
    """Raises ValueError unless what stands before the voxels is as long as it says, and not endless.

    Files of other kinds, and of other lengths, are left to nibabel.
    """
    is_packed = path.suffix.lower() == ".gz"
    with opened(path) as stored, cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if is_packed else stored as file:
        start = file.read(544)
        found = _order(start)
        if found is None:
            return
        order, length = found
        kind, place, magic = VERSIONS[length]
        if start[magic : magic + 4] not in SINGLE:
            if is_packed:
                raise ValueError("a header without its voxels, compressed")
            return
        offset = float(unpack_from(order + kind, start, place)[0]) or length + 4
        if not length + 4 <= offset <= MOST_BEFORE:
            raise ValueError(f"its voxels begin at byte {offset:.0f} by its header of {length}")
        if start[length : length + 1] not in (b"", b"\0"):
            _require_extensions((start + file.read(max(0, int(offset) - len(start))))[length + 4 : int(offset)], order)


def _order(start: bytes) -> tuple[str, int] | None:
    """The order of bytes and the length of the header; None of no NIfTI file."""
    for order in "<>":
        length = unpack_from(f"{order}i", start)[0] if len(start) >= 4 else 0
        if length in VERSIONS and len(start) >= length:
            return order, length
    return None


def _require_extensions(content: bytes, order: str) -> None:
    position = 0
    while len(content) - position >= LEAST_EXTENSION:
        length = unpack_from(f"{order}i", content, position)[0]
        if not LEAST_EXTENSION <= length <= len(content) - position:
            raise ValueError(f"an extension of its header has {length} bytes")
        position += length
