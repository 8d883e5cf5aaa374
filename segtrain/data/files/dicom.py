"""Opens a folder with a DICOM series, one slice a file, as a scan."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.counted import some_of
from segtrain.data.files.extras import need
from segtrain.data.files.scans import Array, Scan, grid_of
from segtrain.errors import UserError
from segtrain.files import opened

UNEVEN = 0.1  # share of the usual distance by which one between slices may differ; a missing slice doubles it
SAME = ("SeriesInstanceUID", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient")
NEEDED = ("ImagePositionPatient", *SAME)
# Source: DICOM PS3.3, C.7.6.3.1.2: how the lowest value is meant to be shown; what HU and the like are, it leaves open.
GREY, WHITE_IS_LOW = "MONOCHROME2", "MONOCHROME1"
RESCALE = ("RescaleSlope", "RescaleIntercept")
NUMBERS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}  # how many each holds


def open_series(folder: Path) -> Scan:
    """Returns the scan in a folder, by the headers of its files, which are all read.

    Files are those that end in .dcm, or, without any, all. Values are rescaled slice by slice: HU in CT.

    Raises:
        UserError: no or broken files, files of several series, missing slices, several slices or colours in a file, or
            values that are low where the scan is white.
    """
    headers = [(_header(path), path) for path in _files(folder)]
    first = headers[0][0]
    for header, path in headers:
        _check_same(header, first, path, headers[0][1])
    across, down = (np.asarray(first.ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
    normal = np.cross(across, down)
    position = {path: np.asarray(header.ImagePositionPatient, float) for header, path in headers}
    paths = sorted(position, key=lambda path: float(position[path] @ normal))
    step = _step(folder, paths, [float(position[path] @ normal) for path in paths], first)
    row, column = map(float, first.PixelSpacing)  # between rows, between columns
    affine = np.eye(4)
    affine[:3] = np.column_stack([across * column, down * row, normal * step, position[paths[0]]])
    affine[:2] *= -1  # DICOM counts to the patient's left and back
    grid = grid_of((int(first.Columns), int(first.Rows), len(paths)), affine, str(folder))
    return Scan(str(folder), grid, 1, 1.0, 0.0, functools.partial(_voxels, tuple(paths)), tuple(paths))


def _files(folder: Path) -> list[Path]:
    visible = sorted(p for p in folder.iterdir() if not p.is_dir() and not p.name.startswith("."))
    found = [path for path in visible if path.suffix.lower() == ".dcm"] or visible
    if not found:
        raise UserError(f"'{folder}' holds no file; expected a DICOM series, one slice a file; put it there")
    return found


def _header(path: Path) -> Any:
    try:
        with opened(path) as file:
            header = need("pydicom", "medical").dcmread(file, stop_before_pixels=True)
        lacks = [name for name in NEEDED if header.get(name) in (None, "")]
        for name, count in NUMBERS.items():
            if name not in lacks and np.isfinite(np.asarray(header.get(name), float)).sum() != count:
                raise ValueError(f"{name} is {header.get(name)}")
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise _broken(path, error) from error
    empty = [name for name in RESCALE if name in header and header.get(name) in (None, "")]
    if empty:
        raise UserError(
            f"'{path}' has {some_of(empty)}, but empty, so that nobody knows what its values are, HU in CT; expected a "
            "number, or no such tag: the values as stored; write it (1 and 0 leave them), or convert the series to "
            "NIfTI (dcm2niix)"
        )
    kind = header.get("PhotometricInterpretation", GREY)
    if kind == WHITE_IS_LOW:
        raise UserError(
            f"'{path}' says white as its lowest value ({kind}), which readers take in different ways; expected black "
            f"as its lowest ({GREY}): whether its values are to be turned about hangs on what they measure; turn them "
            "about where that is right, and save the series so"
        )
    if lacks or header.get("NumberOfFrames", 1) > 1 or header.get("SamplesPerPixel", 1) > 1 or kind != GREY:
        got = f"none of {some_of(lacks)}" if lacks else "several frames or colours"
        raise UserError(
            f"'{path}' is no slice of a scan; expected one grey slice a file with its position and spacing; got {got}; "
            "remove it, or convert the series to NIfTI (dcm2niix)"
        )
    return header


def _check_same(header: Any, first: Any, path: Path, first_path: Path) -> None:
    for name in SAME:
        one, other = header.get(name), first.get(name)
        same = one == other if isinstance(one, str | int) else np.allclose(one, other, atol=1e-4)
        if not same:
            raise UserError(
                f"'{path}' has another {name} than '{first_path}'; expected one series in a folder; got {one} and "
                f"{other}; give each series a folder of its own"
            )


def _step(folder: Path, paths: Sequence[Path], along: Sequence[float], first: Any) -> float:
    """Returns the distance between slices, mm."""
    gaps = np.diff(along)
    if not len(gaps):
        return float(first.get("SliceThickness") or 1)
    usual = float(np.median(gaps))
    odd = np.flatnonzero((gaps <= 1e-3) | (abs(gaps - usual) > UNEVEN * usual))
    if len(odd):
        one, other = paths[odd[0]], paths[odd[0] + 1]
        raise UserError(
            f"'{folder}' lacks slices, or has some twice: '{one.name}' and '{other.name}' are {gaps[odd[0]]:.3g} mm "
            f"apart; expected {usual:.3g} mm as most are; add the missing files, or remove the spare ones"
        )
    return float(along[-1] - along[0]) / len(gaps)


def _voxels(paths: Sequence[Path]) -> Array:
    """Returns rescaled values (column, row, slice) float32."""
    return np.stack([_slice(path) for path in paths], axis=-1)


def _slice(path: Path) -> Array:
    try:
        with opened(path) as file:
            data = need("pydicom", "medical").dcmread(file)
        pixels: Array = data.pixel_array.T.astype(np.float32)
        slope, intercept = np.float32(data.get("RescaleSlope", 1)), np.float32(data.get("RescaleIntercept", 0))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # pydicom and its decoders raise many kinds
        raise _broken(path, error) from error
    return pixels * slope + intercept


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"'{path}' cannot be read; expected a whole DICOM file; got {type(error).__name__}: "
        f"{' '.join(str(error).split())}; replace it, or convert the series to NIfTI (dcm2niix)"
    )
