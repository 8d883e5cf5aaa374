"""NIfTI files (.nii, .nii.gz) as scans."""

import functools
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.data.datasets.extras import need
from segtrain.data.datasets.scans import Array, Scan, checked_grid
from segtrain.errors import UserError


def open_nifti(path: Path) -> Scan:
    """The scan in a file, by its header; a fourth axis holds channels.

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
    grid = checked_grid(shape[:3], image.affine, str(path))
    channels = shape[3] if len(shape) == 4 else 1
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    return Scan(str(path), grid, channels, float(slope), float(intercept), functools.partial(_voxels, path), (path,))


def _voxels(path: Path) -> Array:
    """As stored: of an uncompressed file a map of which only what is used is read."""
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
    with gzip.open(path) as file:  # not by nibabel: it stops where the voxels end, and so before the checksum
        content = file.read(_length(image) + 1)
    _check_length(image, len(content))
    stored: Array = type(image).from_bytes(content).dataobj.get_unscaled()
    return stored


def _length(image: Any) -> int:
    """Bytes of the file by its header."""
    length: int = image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    return length


def _check_length(image: Any, length: int) -> None:
    if length != _length(image):
        held = "less" if length < _length(image) else "more"
        raise ValueError(f"its header asks for {_length(image)} bytes, it holds {held}")


def _opened(path: Path) -> Any:
    try:
        nibabel = need("nibabel", "medical")
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
        "replace the file, or remove it together with its partner"
    )
