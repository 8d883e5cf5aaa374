"""One map from output pixel to source pixel, evaluated on a lattice, filled in, and used for image and mask."""

import functools
import math
import threading
from typing import Any, NamedTuple

import cv2
import numpy as np

from segtrain.aug.exact import Window

Matrix = tuple[float, float, float, float, float, float]  # rows (a, b, c), (d, e, f): x' = a·x + b·y + c, …
_LARGEST_PADDING = 3.0  # padded source ÷ source region beyond which cv2's own border code is cheaper
_REFLECT = {True: cv2.BORDER_REFLECT_101, False: cv2.BORDER_CONSTANT}
CELL = math.sqrt(3.0)  # cell size in units of the length sigma
FOLD_FREE = 0.5  # largest RMS displacement, in units of sigma, for which no draw can fold
# b = RMS/rms(unit coefficients) must stay below CELL/1.5 at RMS = FOLD_FREE; 2 % for the linear fill-in between nodes.
_SMALLEST_GAIN = FOLD_FREE / (0.98 * CELL / 1.5)
_LOCAL = threading.local()


class Nodes(NamedTuple):
    """Source coordinates (x, y) at the lattice nodes of a window, each (nh, nw) float32, in pixels."""

    x: np.ndarray
    y: np.ndarray
    step: int
    window: Window


class Box(NamedTuple):
    """The part of the source that a map reads, and how many reflected pixels it needs around it."""

    rows: slice
    columns: slice
    margins: tuple[int, int, int, int]  # top, bottom, left, right
    padded: bool


def step_for(length: float) -> int:
    """Lattice step in pixels for a field of this length sigma (0: affine only, where any step is exact).

    A linear fill-in errs by step²/8 · |d''|; with step = sigma/5 that is below 1 % of the RMS displacement.
    """
    return 32 if length == 0 else max(1, min(16, int(length / 5)))


@functools.lru_cache(maxsize=256)
def _axis(start: int, nodes: int, step: int) -> np.ndarray:
    """Output coordinates of the nodes: the centres of step-blocks, from one block before the window."""
    return start - step + (step - 1) / 2 + np.arange(nodes) * float(step)


def nodes(
    matrix: Matrix, lattice: np.ndarray | None, cell: float, shape: tuple[int, int], window: Window, length: float
) -> Nodes:
    """The map matrix·(p + d(p)) at the nodes of a window.

    The displacement d acts on the output grid, before the matrix: the Jacobian is matrix·(1 + ∇d), so a zoom
    neither magnifies d relative to the picture nor lets it fold.

    Args:
        matrix: output pixel to source pixel.
        lattice: coefficients (2, ky, kx) of d in output pixels, or None.
        cell: lattice spacing in output pixels.
        shape: (height, width) of the whole output grid.
        window: the part to evaluate.
        length: sigma of the field in pixels, 0 without one.
    """
    top, left, h, w = window
    step = step_for(length)
    nh, nw = -(-h // step) + 2, -(-w // step) + 2
    gy, gx = _axis(top, nh, step), _axis(left, nw, step)
    a, b, c, d, e, f = matrix
    x_of_y, x_of_x = (b * gy + c).astype(np.float32)[:, None], (a * gx).astype(np.float32)
    y_of_y, y_of_x = (e * gy + f).astype(np.float32)[:, None], (d * gx).astype(np.float32)
    if lattice is None:
        return Nodes(x_of_y + x_of_x, y_of_y + y_of_x, step, window)
    turned = np.array(((a, b), (d, e)), np.float32) @ lattice.reshape(2, -1)  # d in source pixels
    rows = spline_rows(shape[0], cell, step, top, nh)
    columns = spline_rows(shape[1], cell, step, left, nw).T
    x, y = (rows @ axis @ columns for axis in turned.reshape(lattice.shape))
    x += x_of_y
    x += x_of_x
    y += y_of_y
    y += y_of_x
    return Nodes(x, y, step, window)


def _span(values: np.ndarray, size: int) -> tuple[slice, int, int, bool]:
    """Source range of one axis, reflected pixels before and after, and whether one reflection is enough."""
    least, most = cv2.minMaxLoc(values)[:2]
    low, high = math.floor(least) - 1, math.ceil(most) + 2
    before, after = max(0, -low), max(0, high - size)
    if before >= size or after >= size or low >= size or high <= 0:
        return slice(0, size), 0, 0, False
    start, stop = max(0, min(low, size - 1 - after)), min(size, max(high, before + 1))
    return slice(start, stop), before, after, True


def box(at: Nodes, shape: tuple[int, int]) -> Box:
    """The source region that the map reads: linear fill-in stays between its nodes, so their extremes bound it."""
    rows, top, bottom, near_y = _span(at.y, shape[0])
    columns, left, right, near_x = _span(at.x, shape[1])
    height, width = rows.stop - rows.start, columns.stop - columns.start
    grown = (height + top + bottom) * (width + left + right)
    if not (near_x and near_y) or grown > _LARGEST_PADDING * height * width:
        return Box(slice(0, shape[0]), slice(0, shape[1]), (0, 0, 0, 0), False)
    return Box(rows, columns, (top, bottom, left, right), True)


def fill_in(at: Nodes, origin: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Maps (h, w) float32 for cv2.remap, relative to `origin` (y, x) of the source; scratch of this thread."""
    step, (_, _, h, w) = at.step, at.window
    size = at.x.shape[1] * step, at.x.shape[0] * step
    maps = []
    for name, values, start in (("map.x", at.x, origin[1]), ("map.y", at.y, origin[0])):
        dense = scratch(name, size[::-1], np.float32)
        cv2.resize(values - np.float32(start) if start else values, size, dense, interpolation=cv2.INTER_LINEAR)
        maps.append(dense[step : step + h, step : step + w])
    return maps[0], maps[1]


class Warp:
    """A filled-in map and the source region it reads, to be applied to image and mask."""

    def __init__(self, at: Nodes, shape: tuple[int, int]) -> None:
        """Fill in the map of `at` over a source of `shape` (height, width)."""
        self.box = box(at, shape)
        top, _, left, _ = self.box.margins
        self.x, self.y = fill_in(at, (self.box.rows.start - top, self.box.columns.start - left))

    def mask(self, mask: np.ndarray, ignore_index: float) -> np.ndarray:
        """`mask` (H, W) by nearest neighbour; ignore_index where the nearest source pixel does not exist."""
        region = mask[self.box.rows, self.box.columns]
        if any(self.box.margins):
            top, bottom, left, right = self.box.margins
            shape = region.shape[0] + top + bottom, region.shape[1] + left + right
            grown = scratch("mask", shape, mask.dtype)
            border = cv2.BORDER_CONSTANT
            region = cv2.copyMakeBorder(region, *self.box.margins, border, grown, value=(ignore_index,))
        return cv2.remap(
            region, self.x, self.y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(ignore_index,)
        )

    def image(self, image: np.ndarray, reflect: bool, fill: float) -> np.ndarray:
        """`image` (H, W, C) by linear interpolation, of the same dtype.

        Channels go through cv2.remap in fours: it is about twice as fast on four channels as on two or three.
        """
        channels = image.shape[2]
        if channels <= 4:
            return self._four(image, reflect, fill)
        parts = [self._four(image[..., c : c + 4], reflect, fill) for c in range(0, channels, 4)]
        return np.concatenate(parts, axis=2)

    def _four(self, image: np.ndarray, reflect: bool, fill: float) -> np.ndarray:
        channels = image.shape[2]
        packed = self._pack(image[self.box.rows, self.box.columns], reflect, fill)
        result = np.empty((*self.x.shape, channels), image.dtype)
        target = result if channels in (1, 4) else scratch("four", (*self.x.shape, 4), image.dtype)
        cv2.remap(packed, self.x, self.y, cv2.INTER_LINEAR, target, _REFLECT[reflect], (fill,) * 4)
        if channels == 3:
            cv2.cvtColor(target, cv2.COLOR_RGBA2RGB, result)
        elif channels == 2:
            cv2.mixChannels([target], [result], [0, 0, 1, 1])
        return result

    def _pack(self, region: np.ndarray, reflect: bool, fill: float) -> np.ndarray:
        """The region as one or four channels with its margins around it, in scratch where it had to be copied."""
        (top, bottom, left, right), (h, w, channels) = self.box.margins, region.shape
        wide = 1 if channels == 1 else 4
        if wide == channels and not any(self.box.margins):
            return region
        packed = scratch("packed", (h + top + bottom, w + left + right, wide), region.dtype)
        inner = packed[top : top + h, left : left + w]
        if channels == 3:
            cv2.cvtColor(region, cv2.COLOR_RGB2RGBA, inner)
        else:
            inner[..., :channels] = region
        if any(self.box.margins):
            cv2.copyMakeBorder(inner, *self.box.margins, _REFLECT[reflect], packed, value=(fill,) * 4)
        return packed


def cubic(x: np.ndarray, count: int) -> np.ndarray:
    """B-spline weights, float32 (len(x), count), of coefficients 0..count-1 at x; coefficient k sits at k-1."""
    cell = np.clip(np.floor(x).astype(int), 0, count - 4)
    t = (x - cell)[:, None]
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    table = np.zeros((len(x), count), np.float32)
    table[np.arange(len(x))[:, None], cell[:, None] + np.arange(4)] = np.concatenate(weights, 1) / 6
    return table


def value(lattice: np.ndarray, y: float, x: float) -> list[float]:
    """The fields of coefficients (n, ky, kx) at one place, in cells."""
    cells = [min(max(int(at), 0), count - 4) for at, count in ((y, lattice.shape[1]), (x, lattice.shape[2]))]
    weights = []
    for t in (y - cells[0], x - cells[1]):
        weights.append(np.array([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6)
    near = lattice[:, cells[0] : cells[0] + 4, cells[1] : cells[1] + 4]
    result: list[float] = (weights[0] @ near @ weights[1]).tolist()
    return result


def coefficients(side: int, cell: float) -> int:
    """How many coefficients span `side` pixels."""
    return int(side / cell) + 4


@functools.lru_cache(maxsize=64)
def weights(side: int, cell: float, step: int) -> np.ndarray:
    """Weights, (side + 3·step, coefficients) float32, at every pixel row.

    Row k belongs to the pixel coordinate k - step + (step-1)/2, so that rows start, start+step, … are the lattice nodes
    of a window from `start`. Beyond the image the field goes on with the value at the edge.
    """
    x = np.arange(side + 3 * step) - step + (step - 1) / 2
    return cubic(np.clip(x, 0, side - 1) / cell, coefficients(side, cell))


@functools.lru_cache(maxsize=64)
def gram(side: int, cell: float) -> np.ndarray:
    """Mean over the side's pixels of the outer product of their weights: RMS values without evaluating the field."""
    table = cubic(np.arange(side) / cell, coefficients(side, cell)).astype(np.float64)
    return (table.T @ table / side).astype(np.float32)


def spline_rows(side: int, cell: float, step: int, start: int, nodes: int) -> np.ndarray:
    """Weights of `nodes` lattice nodes, every `step` pixels, of a window that begins at pixel `start`."""
    table = weights(side, cell, step)
    if start >= 0 and start + (nodes - 1) * step < len(table):
        return table[start : start + (nodes - 1) * step + 1 : step]
    return table[np.clip(start + np.arange(nodes) * step, 0, len(table) - 1)]


def displacement(rng: np.random.Generator, shape: tuple[int, int], cell: float, rms: float) -> np.ndarray:
    """Coefficients (2, ky, kx) float32 of a displacement (x, y) in pixels over an image of `shape` (h, w).

    Its root mean square length over the image is `rms` exactly. Only draws that come out weak (one in 7 on a square,
    one in 65 where a side is four times the other: scripts/weak_elastic.py) stay up to some 18 % below it: raised to
    `rms` they could fold at the largest permitted strength, and the factor must not depend on the strength. So the
    field is linear in `rms`.
    """
    angle = rng.random((coefficients(shape[0], cell), coefficients(shape[1], cell)), dtype=np.float32)
    angle *= 2 * math.pi
    unit = np.empty((2, *angle.shape), np.float32)
    np.cos(angle, unit[0])
    np.sin(angle, unit[1])
    power = float(np.vdot(unit, gram(shape[0], cell) @ unit @ gram(shape[1], cell)))
    unit *= rms / max(math.sqrt(power), _SMALLEST_GAIN)
    return unit


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised array of this thread, valid until the next call with the same name; never hand it out."""
    pool: dict[str, np.ndarray] = _LOCAL.__dict__
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    memory = pool.get(name)
    if memory is None or memory.nbytes < size:
        memory = pool[name] = np.empty(size, np.uint8)
    return np.ndarray(shape, kind, memory)
