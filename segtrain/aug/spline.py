"""Smooth random fields: cubic B-splines on a coarse lattice of coefficients, and when they cannot fold.

Length. The cubic B-spline of cell size c has the standard deviation c/√3 (it is the fourfold convolution of a box
of width c), so cells of √3·sigma give the field of noise blurred by a Gaussian of standard deviation sigma (Simard et
al. 2003) at a few hundred coefficients instead of a blur over all pixels. `elastic_length` is that sigma.

Folding. Every coefficient is a vector of one length b in a random direction. For any unit vector e
|∂d/∂e| ≤ b·max_x Σ_i |e·∇w_i(x)| = 1.5·b/c (the maximum is at the middle between two nodes along an axis; computed
over the cell and all e in tests), so b < c/1.5 bounds |∂d/∂e| below 1 everywhere: x + d(x) is one-to-one and its
Jacobian determinant is positive (compare Choi & Lee 2000, J. Visualization 11: 0.48 c per component).
"""

import functools
import math

import numpy as np

CELL = math.sqrt(3.0)  # cell size in units of the length sigma
FOLD_FREE = 0.5  # largest RMS displacement, in units of sigma, for which no draw can fold
# b = RMS/rms(unit coefficients) must stay below CELL/1.5 at RMS = FOLD_FREE; 2 % for the linear fill-in between nodes.
_SMALLEST_GAIN = FOLD_FREE / (0.98 * CELL / 1.5)


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


def rows(side: int, cell: float, step: int, start: int, nodes: int) -> np.ndarray:
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
