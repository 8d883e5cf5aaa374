"""Opens NIfTI files (.nii, .nii.gz) as scans.

What a file says before its voxels is looked at before nibabel reads it, which reads as much as a header says.
Source: nifti1.h and nifti2.h (NIfTI-1.1, NIfTI-2), "EXTENDED HEADER".
"""

import functools
import gzip
import math
from pathlib import Path
from struct import unpack_from
from typing import Any, BinaryIO, cast

import numpy as np

from segtrain.data.files.extras import need
from segtrain.data.files.patterns import way_out
from segtrain.data.files.scans import MAX_VOXELS, Array, Scan, grid_of
from segtrain.errors import UserError, remark
from segtrain.files import opened, require_regular

UNLIKE = 0.01  # share by which two sides of a voxel may differ and be the same: headers round
DISAGREEING = (
    "the two places of a NIfTI header that say how large a voxel is disagree, and sform is taken, as nibabel does: "
    "distances in mm hang on it; write the header anew, so that both are right"
)
MOST_BEFORE = 1 << 26  # bytes before the voxels: those of extensions, such as a DICOM header, are some thousand
LEAST_EXTENSION = 16  # bytes
SINGLE = (b"n+1\0", b"n+2\0")  # magic words of files that hold their voxels
VERSIONS = {348: ("f", 108, 344), 540: ("q", 168, 4)}  # header's length to type and place of vox_offset, place of magic


def open_nifti(path: Path) -> Scan:
    """Returns the scan in a file, by its header; a fourth axis holds channels.

    Where its sform and its pixdim (or its qform) say other sides or axes of a voxel, it is remarked.

    Raises:
        UserError: the file is broken, or holds no scan of three or four axes of plain numbers.
    """
    image = _opened(path)
    shape, kind = image.shape, np.dtype(image.get_data_dtype())
    if len(shape) not in (3, 4) or kind.kind not in "iuf":
        raise UserError(
            f"'{path}' has {len(shape)} axes of {kind.name}; expected three axes, or a fourth of channels, of whole or "
            "floating numbers; save one scan a file"
        )
    grid = grid_of(shape[:3], image.affine, str(path))
    if math.prod(shape) > MAX_VOXELS:
        raise UserError(
            f"'{path}' has {' x '.join(map(str, shape))} values by its header; expected 1 to {MAX_VOXELS}; replace the "
            "file, or cut it into parts"
        )
    _compare(image, path)
    channels = shape[3] if len(shape) == 4 else 1
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    return Scan(str(path), grid, channels, float(slope), float(intercept), functools.partial(_voxels, path), (path,))


def _compare(image: Any, path: Path) -> None:
    """Says, as a remark, where the affine that is taken does not go with what else the header says of the voxels."""
    taken = np.sqrt((image.affine[:3, :3] ** 2).sum(0))
    said = np.abs(np.asarray(image.header.get_zooms()[:3], float))
    qform = image.header.get_qform(coded=True)[0]
    turned = need("nibabel.orientations", "medical").aff2axcodes
    if (np.abs(taken - said) > UNLIKE * np.maximum(taken, said)).any():
        sform, pixdim = (" x ".join(f"{side:.4g}" for side in sides) for sides in (taken, said))
        remark("spacing", f"{DISAGREEING}: sform says {sform} mm, pixdim {pixdim} mm, in '{path}'", [path])
    elif qform is not None and turned(qform) != turned(image.affine):
        axes = "".join(turned(image.affine)), "".join(turned(qform))
        remark(
            "orientation",
            f"sform and qform of a NIfTI header disagree about its axes, and sform is taken, as nibabel does: it says "
            f"{axes[0]}, qform {axes[1]}, in '{path}'; write the header anew, so that both are right",
            [path],
        )


def _voxels(path: Path) -> Array:
    """Returns voxels as stored: of an uncompressed file a map of which only what is used is read."""
    try:
        stored = _unpacked(path) if path.suffix.lower() == ".gz" else _mapped(path)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise _broken(path, error) from error
    return stored[..., 0] if stored.ndim == 4 and stored.shape[3] == 1 else stored


def _mapped(path: Path) -> Array:
    image = _opened(path)
    if path.suffix.lower() == ".nii":  # a pair of .hdr and .img is not one file
        _check_length(image, path.stat().st_size)
    stored: Array = image.dataobj.get_unscaled()
    return stored


def _unpacked(path: Path) -> Array:
    image = _opened(path)
    # Not by nibabel: it stops where the voxels end, and so before the checksum.
    with opened(path) as packed, gzip.open(packed) as file:
        content = file.read(_length(image) + 1)
    _check_length(image, len(content))
    stored: Array = type(image).from_bytes(content).dataobj.get_unscaled()
    return stored


def _length(image: Any) -> int:
    """Returns the bytes of the file by its header."""
    length: int = image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    return length


def _check_length(image: Any, length: int) -> None:
    if length != _length(image):
        held = "less" if length < _length(image) else "more"
        raise ValueError(f"its header asks for {_length(image)} bytes, it holds {held}")


def _opened(path: Path) -> Any:
    try:
        nibabel = need("nibabel", "medical")
        require_regular(path)
        _require_header(path)
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise ValueError(f"a {type(image).__name__}")
        return image
    except (UserError, MemoryError):
        raise
    except Exception as error:  # nibabel, gzip and zlib raise many kinds on a broken file
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"'{path}' cannot be read; expected a whole NIfTI file (.nii or .nii.gz); got {type(error).__name__}: "
        f"{' '.join(str(error).split())}; "
        "replace the file, or remove it together with its partner" + way_out([path.name], scans=False)
    )


def _require_header(path: Path) -> None:
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
    """Returns the order of bytes and the length of the header; None of no NIfTI file."""
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
