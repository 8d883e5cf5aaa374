"""What one draw of a transform decided: plain numbers that can be printed, stored and applied again."""

import math
from typing import Any, NamedTuple

import numpy as np

from segtrain.aug import warp
from segtrain.aug.warp import Matrix

_STEPS = 12  # at most, of a fixed point that is reached because nothing folds: five or so
_NEAR = 0.05  # px


def as_json(draw: Any) -> dict[str, Any]:
    """A draw as a JSON-ready dict; `from_json` of its class gives it back bit for bit."""
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in draw._asdict().items()}


class GeometryDraw(NamedTuple):
    """One drawn geometry; the result is the source turned, flipped, then moved by affine and displacement."""

    shape: tuple[int, int]  # (height, width) of the source
    turns: int  # quarter turns counterclockwise, 0..3, as np.rot90
    hflip: bool  # left and right swapped, after the turn
    vflip: bool  # top and bottom swapped, after the turn
    rotate: float  # degrees counterclockwise
    scale: float  # octaves; 1 doubles the size of what is seen
    shear: tuple[float, float]  # degrees along x, then along y
    translate: tuple[float, float]  # along x, y, in % of width, height
    elastic: float  # RMS displacement in % of the short side
    elastic_length: float  # sigma in % of the short side
    lattice: np.ndarray | None  # (2, ky, kx) float32 B-spline coefficients, output pixels, x then y

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the whole result."""
        return self.shape if self.turns % 2 == 0 else (self.shape[1], self.shape[0])

    @property
    def exact(self) -> bool:
        """Whether pixels only change places: nothing is interpolated."""
        return self.lattice is None and not (self.rotate or self.scale or any(self.shear) or any(self.translate))

    @property
    def length(self) -> float:
        """The sigma of the displacement field in pixels, 0 without one."""
        return 0.0 if self.lattice is None else self.elastic_length / 100 * min(self.shape)

    def matrix(self) -> Matrix:
        """Output pixel to source pixel without the displacement; pixel centres at whole numbers.

        Forward, about the centre: scale, shear along y, shear along x, rotate, translate. An axis along which
        pixels are only shifted is shifted by whole ones: the image alone could move by a part, and all labels would
        lie beside it by the rest.
        """
        (height, width), (rows, columns) = self.size, self.shape
        angle, zoom = math.radians(self.rotate), 2.0**-self.scale
        cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
        tan_x, tan_y = (math.tan(math.radians(degrees)) for degrees in self.shear)
        a, b, d, e = cos - tan_x * sin, -sin - tan_x * cos, sin, cos  # unshear along x ∘ unrotate
        d, e = d - tan_y * a, e - tan_y * b
        x0 = (width - 1) / 2 + self.translate[0] / 100 * width
        y0 = (height - 1) / 2 + self.translate[1] / 100 * height
        if self.hflip:
            a, b = -a, -b
        if self.vflip:
            d, e = -d, -e
        for _ in range(self.turns):  # undo np.rot90: (x, y) of the result lay at (-y, x) about the centre
            a, b, d, e = -d, -e, a, b
        c, f = (columns - 1) / 2 - a * x0 - b * y0, (rows - 1) / 2 - d * x0 - e * y0
        if self.lattice is None:
            c, f = (round(at) if {abs(i), abs(j)} == {0, 1} else at for i, j, at in ((a, b, c), (d, e, f)))
        return a, b, c, d, e, f

    def lands(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a source pixel (y, x) comes to lie in the result, or outside it: the inverse of the whole map."""
        a, b, c, d, e, f = self.matrix()
        y, x = point[0] - f, point[1] - c
        y, x = (a * y - d * x) / (a * e - b * d), (e * x - b * y) / (a * e - b * d)
        at = y, x  # without the displacement
        for _ in range(0 if self.lattice is None else _STEPS):
            before, (dy, dx) = at, self._displacement(*at)
            at = y - dy, x - dx
            if math.dist(at, before) < _NEAR:
                break
        return at

    def _displacement(self, y: float, x: float) -> tuple[float, float]:
        """The displacement (y, x) at one place of the result; beyond it, that of its edge."""
        assert self.lattice is not None
        (height, width), cell = self.size, warp.CELL * self.length
        at = min(max(y, 0), height - 1) / cell, min(max(x, 0), width - 1) / cell
        dx, dy = warp.value(self.lattice, *at)
        return dy, dx

    def to_json(self) -> dict[str, Any]:
        """The draw as a JSON-ready dict."""
        return as_json(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "GeometryDraw":
        """The draw that `to_json` wrote."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        if plain["lattice"] is not None:
            values["lattice"] = np.array(plain["lattice"], np.float32)
        return cls(**values)
