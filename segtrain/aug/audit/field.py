"""Measures where pixels come from on the transform itself: coordinates are pushed through it as an image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.aug.audit.parts import AuditLine, Transform, TransformParts, percent
from segtrain.aug.keys import Key

CANARY = 0.75  # third channel of the coordinate image: where it changed, grey values did, not places
_TOLERANCE = 1e-5  # of interpolation in float32
_FIT_PIXELS = 20000  # enough for the six numbers of an affine map
_FITS = 3  # from the middle outwards: a mirrored border bends the first ones
_ENOUGH = 64  # fields of a dataset: they depend on its sizes, not on its pictures
STILL = 0.1  # px: cv2.remap rounds places to 1/32 px, so less is nothing


class SourceField(NamedTuple):
    """Describes one draw's map from output to source pixel."""

    total: float  # RMS displacement, px, flips and all
    elastic: float  # RMS of what is left beside the best affine map, px
    folded: float  # share of pixels whose Jacobian determinant has the wrong sign, or none; NaN without neighbours
    stretch: float  # RMS change of the distance of neighbours, in units of their distance, the affine part undone; NaN
    painted: float  # share of the mask that a label of its own fills from outside
    mirrored: float  # share of the mask that continues the labels outside, as the image is continued
    short: int  # short side, px


def measure_field(transform: Transform, shape: tuple[int, ...], key: Key, ignore_index: int) -> SourceField | None:
    """Returns the field of one draw; None where the transform changed most grey values, too."""
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


def _field(source: np.ndarray, valid: np.ndarray, shape: tuple[int, int], painted: float) -> SourceField:
    inside, mirrored, fit = _inside(source, valid, shape)
    grid = np.array([[1, 0, 0], [0, 1, 0]])
    moved, residual = (_rms(_away(source, affine)[inside]) for affine in (grid, fit))
    folded, stretch = _strain(source, inside, fit[:, :2])
    return SourceField(moved, residual, folded, stretch, painted, mirrored, min(shape))


def _rms(squares: np.ndarray) -> float:
    return float(np.sqrt(np.mean(squares, dtype=np.float64))) if squares.size else 0.0


def _affine(fit: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the map (2, 3) at every pixel: x and y, each (h, w)."""
    x, y = np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32)[:, None]
    a = fit.astype(np.float32)
    return a[0, 0] * x + (a[0, 1] * y + a[0, 2]), a[1, 0] * x + (a[1, 1] * y + a[1, 2])


def _away(source: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Returns the squared distance (h, w) of every pixel from the affine map."""
    x, y = _affine(fit, source.shape[1:])
    return np.asarray((source[0] - x) ** 2 + (source[1] - y) ** 2)


def _fitted(source: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Returns the affine map (2, 3) nearest to the field by least squares."""
    at = np.flatnonzero(where)
    at = at[:: max(1, len(at) // _FIT_PIXELS)]
    y, x = np.divmod(at, where.shape[1])
    design = np.column_stack([x, y, np.ones(len(at))]).astype(np.float64)
    return np.asarray(np.linalg.lstsq(design, source.reshape(2, -1)[:, at].T.astype(np.float64), rcond=None)[0].T)


def _inside(source: np.ndarray, valid: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, float, np.ndarray]:
    """Returns pixels inside the image, the share beyond, and the affine map: a mirrored border folds without fault.

    Ours mark what lies outside by the mask; other libraries mirror the mask, too, which only the outline tells. The
    middle of the result is the last to be mirrored.
    """
    inside, beyond = _middle(valid), valid
    for _ in range(_FITS):
        fit = _fitted(source, inside)
        spread = min(2 * _rms(_away(source, fit)[inside]), 0.1 * min(shape))
        x, y = _affine(fit, valid.shape)
        depth = np.minimum(np.minimum(x, shape[1] - 1 - x), np.minimum(y, shape[0] - 1 - y))  # px within the outline
        inside, beyond = valid & (depth > spread), valid & (depth < -spread - 1)
        if inside.sum() < 0.01 * valid.sum():
            return valid, 0.0, _fitted(source, valid)
    return inside, float(beyond.mean()), _fitted(source, inside)


def _middle(valid: np.ndarray) -> np.ndarray:
    """Returns the valid pixels of the middle half of each side, or all where they are few."""
    part = np.zeros_like(valid)
    centre = tuple(slice(length // 4, length - length // 4) for length in valid.shape)
    part[centre] = valid[centre]
    return part if part.sum() > 0.1 * valid.sum() else valid


def _strain(source: np.ndarray, valid: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    """Returns the share of folded pixels and the RMS stretch, by central differences where all neighbours are valid."""
    centre = valid[1:-1, 1:-1] & valid[1:-1, 2:] & valid[1:-1, :-2] & valid[2:, 1:-1] & valid[:-2, 1:-1]
    if not centre.any():
        return np.nan, np.nan
    flat = abs(np.linalg.det(affine)) <= 1e-3  # flatter maps have no inverse worth the name
    undo = (np.eye(2) if flat else np.linalg.inv(affine)).astype(np.float32) / 2
    x, y = source[:, 1:-1], source[:, :, 1:-1]
    (a, c), (b, d) = (undo @ step[:, centre] for step in (x[..., 2:] - x[..., :-2], y[:, 2:] - y[:, :-2]))
    return float((a * d <= b * c).mean()), _rms(((a - 1) ** 2 + b**2 + c**2 + (d - 1) ** 2) / 2)


class FieldTally:
    """Gathers the fields of many draws."""

    def __init__(self, ignore_index: int) -> None:
        """Starts without a draw."""
        self.ignore_index, self.found, self.refused = ignore_index, list[SourceField](), ""

    def add(self, parts: TransformParts, shape: tuple[int, ...], key: Key) -> None:
        """Measures one draw; a transform that takes no float image is noted, not raised."""
        if len(self.found) >= _ENOUGH:
            return
        try:
            field = measure_field(parts.moving, shape, key, self.ignore_index)
        except Exception as error:
            self.refused = f"not measured: it refuses a float32 image ({' '.join(str(error).split())[:80]})"
            return
        if field is None:
            self.refused = self.refused or "not measured: it changes grey values, which hides where pixels went"
        else:
            self.found.append(field)

    def lines(self) -> list[AuditLine]:
        """Returns the lines on displacement, folding, scrambling, and labels from outside."""
        if not self.found:
            return [AuditLine.unmeasured(name, self.refused) for name in ("displacement", "folding", "scrambling")]
        bent = [f for f in self.found if f.elastic > STILL]
        total, share = _mean([f.total for f in self.found]), len(bent) / len(self.found)
        px, relative = _mean([f.elastic for f in bent]), 100 * _mean([f.elastic / f.short for f in bent])
        painted, mirrored = (float(np.mean([getattr(f, name) for f in self.found])) for name in ("painted", "mirrored"))
        short = float(np.mean([f.short for f in self.found]))
        return [
            _total_line(total, short),
            _elastic_line(px, relative, share),
            *_strain_lines(bent),
            AuditLine.judged(
                "label outside",
                100 * painted,
                percent(painted) + (f"; {percent(mirrored)} mirrored with the image" if mirrored > 0.001 else ""),
                warn=0.1,
                meaning="mask pixels from outside the image that carry a class instead of ignore_index (fill_mask); "
                "labels mirrored with their image fit it",
            ),
        ]


def _strain_lines(bent: Sequence[SourceField]) -> list[AuditLine]:
    """Returns the lines on folding and scrambling of the fields that are bent."""
    known = [f for f in bent if np.isfinite(f.folded)]
    if bent and not known:
        why = "not measured: no neighbours stay together inside the picture"
        return [AuditLine.unmeasured(name, why) for name in ("folding", "scrambling")]
    folded = 100 * float(np.mean([f.folded for f in known])) if known else 0.0
    stretch = max((f.stretch for f in known), default=0.0)
    return [
        AuditLine.judged(
            "folding",
            folded,
            f"{folded:.2g} % of pixels",
            warn=0.01,
            fail=1,
            meaning="pixels where the picture is turned inside out (Jacobian determinant ≤ 0): no tissue does that",
        ),
        AuditLine.judged(
            "scrambling",
            100 * stretch,
            f"{100 * stretch:.3g} % in the worst draw" if stretch < 10 else "over 1000 % in the worst draw",
            warn=50,
            fail=100,
            meaning="RMS change of the distance of neighbouring pixels; from 100 % their order is lost: "
            "raise the correlation length, or lower the displacement",
        ),
    ]


def _mean(values: Sequence[float]) -> float:
    """Returns the root mean square."""
    return _rms(np.square(values)) if values else 0.0


def _total_line(total: float, short: float) -> AuditLine:
    relative = 100 * total / short
    meaning = "RMS way of a pixel, flips and turns included"
    return AuditLine.judged("displacement", total, f"{total:.1f} px = {relative:.1f} %", meaning=meaning)


def _elastic_line(px: float, relative: float, share: float) -> AuditLine:
    return AuditLine.judged(
        "elastic",
        relative,
        f"{px:.1f} px = {relative:.1f} %, in {100 * share:.0f} % of draws",
        warn=10,
        fail=30,
        meaning="RMS displacement where it fires, of the short side, beside the best affine map",
    )
