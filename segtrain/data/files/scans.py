"""Describes a scan in three dimensions whatever its file: where its voxels lie, its planes and its range of values."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segtrain.data.files.extras import need
from segtrain.errors import UserError
from segtrain.padding import refusal_of_grown

Array = NDArray[Any]
MAX_VOXELS = 2**31  # about 1290 x 1290 x 1290: a header that says more is taken for a lie
APART = 0.1  # voxel sides that corners of an image and its label may be apart: rounding in headers, no more


class Grid(NamedTuple):
    """Holds voxels along three axes, and the affine (4, 4) from voxel indices to mm in RAS+ (right, front, up)."""

    shape: tuple[int, int, int]
    affine: Array


class Scan(NamedTuple):
    """Holds a scan whose voxels are not read yet; `name` is for messages.

    `load` returns voxels (i, j, k) or (i, j, k, channels), as stored; value = stored * slope + intercept.
    """

    name: str
    grid: Grid
    channels: int
    slope: float
    intercept: float
    load: Callable[[], Array]
    files: tuple[Path, ...]

    def values(self, stored: Array) -> Array:
        """Returns stored numbers as float32.

        Raises:
            UserError: some are not finite.
        """
        found = stored.astype(np.float32)
        if self.slope != 1 or self.intercept != 0:
            found = found * np.float32(self.slope) + np.float32(self.intercept)
        if not np.isfinite(found).all():
            raise UserError(
                f"'{self.name}' holds {int((~np.isfinite(found)).sum())} voxels that are no finite number; expected "
                "numbers; replace NaN and infinity in the file, say by the value of air"
            )
        return found


class Recent:
    """Keeps the voxels of the few scans that were loaded last, by name; a copy in another process begins empty."""

    def __init__(self, keep: int) -> None:
        """Holds up to `keep` scans."""
        self._keep, self._held = keep, OrderedDict[str, Array]()

    def __getstate__(self) -> int:
        return self._keep

    def __setstate__(self, keep: int) -> None:
        self._keep, self._held = keep, OrderedDict()

    def load(self, scan: Scan) -> Array:
        """Returns the voxels of the scan, from memory where it is held."""
        found = self._held.pop(scan.name, None)
        self._held[scan.name] = stored = scan.load() if found is None else found
        while len(self._held) > self._keep:
            self._held.popitem(last=False)
        return stored


def depth(grid: Grid, axis: int) -> int:
    """Returns how many planes lie along an axis of the patient: 0 left to right, 1 back to front, 2 feet to head."""
    stored, _ = _axes(grid)[axis]
    return grid.shape[stored]


def plane(stored: Array, grid: Grid, axis: int, index: int) -> Array:
    """Returns the plane (H, W) or (H, W, channels) with this index along an axis, counted from left, back or feet.

    Up is head (axis 0 and 1) or front (axis 2); columns go from back to front (axis 0) or left to right (1 and 2).
    """
    axes = _axes(grid)
    at, forward = axes.pop(axis)
    (column, right), (row, up) = axes
    part = stored[(slice(None),) * at + (index if forward else stored.shape[at] - 1 - index,)]
    upright = part.swapaxes(0, 1) if column < row else part
    return upright[:: -1 if up else 1, :: 1 if right else -1]


def spacing(grid: Grid, axis: int) -> tuple[float, float]:
    """Returns height and width in mm of a pixel of the planes along an axis."""
    axes = _axes(grid)
    del axes[axis]
    (column, _), (row, _) = axes
    sides = np.sqrt((grid.affine[:3, :3] ** 2).sum(0))
    return float(sides[row]), float(sides[column])


def require_same_grid(one: Scan, other: Scan) -> None:
    """Raises UserError unless the voxels of two scans lie on the same grid."""
    if one.grid.shape != other.grid.shape:
        raise UserError(
            f"'{other.name}' has {_sides(other.grid)} voxels, '{one.name}' {_sides(one.grid)}; expected the same grid; "
            "resample one to the other, labels by nearest neighbour"
        )
    far = _corners(one.grid) - _corners(other.grid)
    apart = float(np.sqrt((far**2).sum(1)).max())
    if apart > APART * min(np.sqrt((one.grid.affine[:3, :3] ** 2).sum(0))):
        raise UserError(
            f"'{other.name}' lies elsewhere than '{one.name}': their corners are up to {apart:.3g} mm apart by the "
            "affines in their headers; expected the same place; resample one to the other, or correct the header that "
            "is wrong"
        )


def grid_of(shape: tuple[int, ...], affine: Array, name: str) -> Grid:
    """Returns the grid of three sides.

    Raises:
        UserError: too many voxels, none, or an affine that is flat.
    """
    if min(shape) < 1 or np.prod([float(side) for side in shape]) > MAX_VOXELS:
        raise UserError(
            f"'{name}' has {' x '.join(map(str, shape))} voxels by its header; expected 1 to {MAX_VOXELS}; replace "
            "the file, or cut it into parts"
        )
    largest = sorted(shape)[-2:]
    if refused := refusal_of_grown((largest[0], largest[1])):
        raise UserError(f"a slice of '{name}' {refused}; cut it into parts")
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9
    if not usable:
        raise UserError(
            f"'{name}' says no usable position of its voxels; expected an affine with three directions; got "
            f"{np.round(affine[:3], 3).tolist()}; write its header anew, from the scan that it was made of"
        )
    return Grid((shape[0], shape[1], shape[2]), affine)


class ScanIntensity:
    """Gives slices of scans with their values brought to a range; see the arguments of `Volume`."""

    def __init__(
        self, window: Sequence[float] | None, normalise: str | None, percentiles: Sequence[float], recent: Recent
    ) -> None:
        """Keeps the choices; `recent` holds the scans that were read."""
        self._window, self._normalise, self._percentiles, self._recent = window, normalise, percentiles, recent
        self._ranges: dict[str, list[tuple[float, float]]] = {}

    def image(self, scan: Scan, axis: int, at: int) -> Array:
        """Returns the slice (H, W, C) float32, windowed or normalised.

        Raises:
            UserError: a value that is no finite number, or a scan without a range.
        """
        values = scan.values(plane(self._recent.load(scan), scan.grid, axis, at))
        values = values[..., None] if values.ndim == 2 else values
        ranges = np.array(self._range(scan), np.float32)
        scaled: Array = (values - ranges[:, 0]) / (ranges[:, 1] - ranges[:, 0])
        return np.clip(scaled, 0, 1) if self._window or self._normalise == "percentile" else scaled

    def _range(self, scan: Scan) -> list[tuple[float, float]]:
        """Returns what becomes 0 and what becomes 1, for each channel of a scan."""
        if self._window:
            return [(self._window[0], self._window[1])] * scan.channels
        if not self._normalise:
            return [(0, 1)] * scan.channels
        if scan.name not in self._ranges:
            values = scan.values(self._recent.load(scan)).reshape(-1, scan.channels, order="F")
            self._ranges[scan.name] = [self._measured(values[:, i], scan.name) for i in range(scan.channels)]
        return self._ranges[scan.name]

    def _measured(self, values: Array, name: str) -> tuple[float, float]:
        body = values[values != 0]
        if not len(body) or body.min() == body.max():
            raise UserError(
                f"'{name}' holds one value only, beside 0, so that dataset.normalise={self._normalise} has no range; "
                "remove the scan, or give dataset.window"
            )
        if self._normalise == "percentile":
            low, high = np.percentile(body, list(self._percentiles))
            return float(low), float(high)
        mean = float(body.mean(dtype=np.float64))
        return mean, mean + float(body.std(dtype=np.float64))


def _axes(grid: Grid) -> list[tuple[int, bool]]:
    """Returns for each axis of the patient the stored axis nearest to it, and whether it runs the same way."""
    orientation = need("nibabel.orientations", "medical").io_orientation(grid.affine)
    found = {int(towards): (stored, way > 0) for stored, (towards, way) in enumerate(orientation)}
    return [found[axis] for axis in range(3)]


def _corners(grid: Grid) -> Array:
    """Returns the positions (8, 3) of the outermost voxels, mm."""
    ends = np.array(np.meshgrid(*[(0, side - 1) for side in grid.shape])).reshape(3, -1)
    corners: Array = (grid.affine[:3, :3] @ ends).T + grid.affine[:3, 3]
    return corners


def _sides(grid: Grid) -> str:
    return " x ".join(map(str, grid.shape))
