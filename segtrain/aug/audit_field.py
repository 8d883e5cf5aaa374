"""Where pixels come from, measured on the transform itself: coordinates pushed through it as an image."""

from typing import NamedTuple

import numpy as np

from segtrain.aug.audit_lines import Line, percent
from segtrain.aug.audit_parts import Parts, Transform
from segtrain.aug.keys import Key

CANARY = 0.75  # third channel of the coordinate image: where it changed, grey values did, not places
_TOLERANCE = 1e-5  # of interpolation in float32
_FIT_PIXELS = 20000  # enough for the six numbers of an affine map
STILL = 0.1  # px: cv2.remap rounds places to 1/32 px, so less is nothing


class Field(NamedTuple):
    """One draw's map from output to source pixel."""

    total: float  # RMS displacement, px, flips and all
    elastic: float  # RMS of what is left beside the best affine map, px
    folded: float  # share of pixels whose Jacobian determinant has the wrong sign, or none
    stretch: float  # RMS change of the distance of neighbours, in units of their distance, the affine part undone
    painted: float  # share of the mask from outside that carries a label
    short: int  # short side, px


def measure(transform: Transform, shape: tuple[int, ...], key: Key, ignore_index: int) -> Field | None:
    """The field of one draw; None where the transform changed most grey values, too."""
    height, width = shape[:2]
    scale = 2.0 ** np.ceil(np.log2(max(height, width)))
    image = np.empty((height, width, 3), np.float32)
    image[..., 0], image[..., 1], image[..., 2] = np.arange(width) / scale, np.arange(height)[:, None] / scale, CANARY
    label = 1 if ignore_index != 1 else 2
    moved, mask = transform(image, np.full((height, width), label, np.uint8), key)
    valid = (mask == label) & (np.abs(moved[..., 2] - CANARY) < _TOLERANCE)
    if valid.sum() < max(16, 0.1 * (mask == label).sum()):
        return None
    source = np.moveaxis(moved[..., :2], 2, 0).astype(np.float32) * np.float32(scale)
    painted = float(((mask != label) & (mask != ignore_index)).mean())
    return _field(source, valid, (height, width), painted)


def _field(source: np.ndarray, valid: np.ndarray, shape: tuple[int, int], painted: float) -> Field:
    valid, fit = _inside(source, valid, shape)
    residual, x, y = _residual(source, valid, fit)
    moved = np.hypot(source[0][valid] - x, source[1][valid] - y)
    folded, stretch = _strain(source, valid, fit[:, :2])
    return Field(_rms(moved), _rms(residual), folded, stretch, painted, min(shape))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def _fitted(source: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) nearest to the field by least squares."""
    y, x = np.nonzero(valid)
    step = max(1, len(x) // _FIT_PIXELS)
    x, y = x[::step], y[::step]
    design = np.column_stack([x, y, np.ones(len(x))]).astype(np.float64)
    return np.asarray(np.linalg.lstsq(design, source[:, y, x].T.astype(np.float64), rcond=None)[0].T)


def _residual(source: np.ndarray, valid: np.ndarray, fit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance (n,) of valid pixels from the affine map, and their own x and y."""
    y, x = np.nonzero(valid)
    away = [source[i][valid] - (fit[i, 0] * x + fit[i, 1] * y + fit[i, 2]) for i in (0, 1)]
    return np.hypot(*away), x, y


def _inside(source: np.ndarray, valid: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels from inside the image, and their affine map: a mirrored border folds, which is no fault.

    Ours mark what lies outside by the mask; other libraries mirror the mask too, which only the outline tells.
    """
    fit = _fitted(source, valid)
    y, x = np.mgrid[: valid.shape[0], : valid.shape[1]].astype(np.float32)
    spread = min(2 * _rms(_residual(source, valid, fit)[0]), 0.1 * min(shape))
    at = [fit[i, 0] * x + fit[i, 1] * y + fit[i, 2] for i in (0, 1)]
    near = (at[0] > spread) & (at[0] < shape[1] - 1 - spread) & (at[1] > spread) & (at[1] < shape[0] - 1 - spread)
    if (valid & near).sum() < 0.2 * valid.sum():
        return valid, fit
    return valid & near, _fitted(source, valid & near)


def _strain(source: np.ndarray, valid: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    """Share of folded pixels and RMS stretch, by central differences where all four neighbours are valid."""
    centre = valid[1:-1, 1:-1] & valid[1:-1, 2:] & valid[1:-1, :-2] & valid[2:, 1:-1] & valid[:-2, 1:-1]
    if not centre.any():
        return 0.0, 0.0
    a, b = ((plane[1:-1, 2:] - plane[1:-1, :-2])[centre] / 2 for plane in source)
    c, d = ((plane[2:, 1:-1] - plane[:-2, 1:-1])[centre] / 2 for plane in source)
    jacobian = np.array([[a, c], [b, d]], np.float64)
    if abs(np.linalg.det(affine)) > 1e-3:  # flatter maps have no inverse worth the name
        jacobian = np.einsum("ij,jkn->ikn", np.linalg.inv(affine), jacobian)
    determinant = jacobian[0, 0] * jacobian[1, 1] - jacobian[0, 1] * jacobian[1, 0]
    return float((determinant <= 0).mean()), _rms(jacobian - np.eye(2)[..., None]) * np.sqrt(2)


class Fields:
    """The fields of many draws."""

    def __init__(self, ignore_index: int) -> None:
        """Without any yet."""
        self.ignore_index, self.found, self.refused = ignore_index, list[Field](), ""

    def add(self, parts: Parts, shape: tuple[int, ...], key: Key) -> None:
        """Measure one draw; a transform that takes no float image is noted, not raised."""
        try:
            field = measure(parts.moving, shape, key, self.ignore_index)
        except Exception as error:
            self.refused = f"not measured: it refuses a float32 image ({' '.join(str(error).split())[:80]})"
            return
        if field is None:
            self.refused = self.refused or "not measured: it changes grey values, which hides where pixels went"
        else:
            self.found.append(field)

    def lines(self) -> list[Line]:
        """Displacement, folding, scrambling, and labels from outside."""
        if not self.found:
            return [Line.unmeasured(name, self.refused) for name in ("displacement", "folding", "scrambling")]
        bent = [f for f in self.found if f.elastic > STILL]
        total, share = _rms(np.array([f.total for f in self.found])), len(bent) / len(self.found)
        px = _rms(np.array([f.elastic for f in bent]))
        relative = 100 * _rms(np.array([f.elastic / f.short for f in bent]))
        folded = 100 * float(np.mean([f.folded for f in bent])) if bent else 0.0
        stretch = max((f.stretch for f in bent), default=0.0)
        painted = float(np.mean([f.painted for f in self.found]))
        short = float(np.mean([f.short for f in self.found]))
        return [
            _total_line(total, short),
            _elastic_line(px, relative, share),
            Line.below(
                "folding",
                folded,
                f"{folded:.2g} % of pixels",
                warn=0.01,
                fail=1,
                meaning="pixels where the picture is turned inside out (Jacobian determinant ≤ 0): no tissue does that",
            ),
            Line.below(
                "scrambling",
                100 * stretch,
                f"{100 * stretch:.3g} % in the worst draw",
                warn=50,
                fail=100,
                meaning="RMS change of the distance of neighbouring pixels; from 100 % their order is lost: "
                "raise the correlation length, or lower the displacement",
            ),
            Line.below(
                "label outside",
                100 * painted,
                percent(painted),
                warn=0.1,
                meaning="mask pixels from outside the image that carry a class instead of ignore_index (fill_mask)",
            ),
        ]


def _total_line(total: float, short: float) -> Line:
    relative = 100 * total / short
    meaning = "RMS way of a pixel, flips and turns included"
    return Line.below("displacement", total, f"{total:.1f} px = {relative:.1f} %", meaning=meaning)


def _elastic_line(px: float, relative: float, share: float) -> Line:
    return Line.below(
        "elastic",
        relative,
        f"{px:.1f} px = {relative:.1f} %, in {100 * share:.0f} % of draws",
        warn=10,
        fail=30,
        meaning="RMS displacement where it fires, of the short side, beside the best affine map",
    )
