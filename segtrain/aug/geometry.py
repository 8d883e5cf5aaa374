"""Geometry: flips, turns, rotation, scale, shear, translation and elastic deformation through one map."""

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np

from segtrain.aug.draws import GeometryDraw
from segtrain.aug.exact import Window, move
from segtrain.aug.warp import CELL, FOLD_FREE, Warp, displacement, nodes
from segtrain.errors import UserError

_AMOUNTS = ("rotate", "scale", "shear", "translate", "elastic")
_CHANCES = (*_AMOUNTS, "affine")
OPS = ("hflip", "vflip", "turn", *_AMOUNTS)
_NONE = (0.0, 0.0)
_DTYPES = "BHf"  # uint8, uint16, float32
_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "constant": cv2.BORDER_CONSTANT}


class Geometry(A.DualTransform):  # type: ignore[misc]  # albumentations has no types
    """Everything that moves pixels, drawn first, composed into one map, applied once.

    Magnitudes are linear in the drawn value. All unit variates are drawn for every sample in a fixed order and the
    displacement field last: switching an op off, or changing its magnitude or chance, changes no other op's draw.
    """

    def __init__(
        self,
        hflip: float = 0.0,
        vflip: float = 0.0,
        turn: float = 0.0,
        rotate: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        translate: float = 0.0,
        elastic: float = 0.0,
        elastic_length: float = 8.0,
        border: str = "reflect",
        fill: float = 0.0,
        chances: Mapping[str, float] | None = None,
        ignore_index: int = 255,
        p: float = 1.0,
    ) -> None:
        """Check the magnitudes.

        Args:
            hflip: chance of swapping left and right.
            vflip: chance of swapping top and bottom.
            turn: chance of a turn by 90, 180 or 270 degrees, each as likely.
            rotate: degrees, uniform in ± this.
            scale: octaves, uniform in ± this; symmetric, 1 is from half to double size.
            shear: degrees, along each axis uniform in ± this; below 60.
            translate: % of each side, uniform in ± this; whole pixels along an axis that nothing else changes.
            elastic: RMS displacement, % of the short side; at most half of elastic_length, where nothing can fold.
            elastic_length: standard deviation sigma of the equivalent Gaussian kernel, % of the short side.
                The displacement's correlation falls to 1/e at a distance of 2sigma.
            border: image outside the source: "reflect" (without repeating the edge) or "constant".
            fill: grey value outside with border "constant".
            chances: of rotate, scale, shear, translate and elastic, each by itself, and of "affine", which switches
                the first four together; 1 where not named.
            ignore_index: label of mask pixels from outside.
            p: chance of the whole.

        Raises:
            UserError: a value out of range.
        """
        check_chances("Geometry", chances or {}, _CHANCES, hflip=hflip, vflip=vflip, turn=turn, p=p)
        super().__init__(p=p)
        self.hflip, self.vflip, self.turn = hflip, vflip, turn
        self.rotate, self.scale, self.shear, self.translate = rotate, scale, shear, translate
        self.elastic, self.elastic_length = elastic, elastic_length
        self.border, self.fill, self.ignore_index = border, fill, ignore_index
        self.chances = dict(chances or {})
        self._check()

    def _check(self) -> None:
        for name in _AMOUNTS:
            if getattr(self, name) < 0:
                raise UserError(f"Geometry.{name} is a half-range; expected a number ≥ 0; got {getattr(self, name)}")
        if self.shear >= 60:
            raise UserError(f"Geometry.shear is in degrees; expected below 60; got {self.shear}")
        if self.border not in _BORDERS:
            raise UserError(f"Geometry.border is what lies outside; expected reflect or constant; got {self.border!r}")
        if self.elastic > 0 and not self.elastic <= FOLD_FREE * self.elastic_length * (1 + 1e-9):
            raise UserError(
                f"Geometry.elastic={self.elastic:g} could fold the image; expected at most half of elastic_length="
                f"{self.elastic_length:g}; raise elastic_length to {2 * self.elastic:g} or lower elastic (or strength)"
            )

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> GeometryDraw:
        """What to do with one image of `shape` (height, width)."""
        u = rng.random(16).tolist()  # new ops append theirs: the order is part of the reproducibility
        turns = 1 + int(3 * u[3]) if u[2] < self.turn else 0
        hflip, vflip = u[0] < self.hflip, u[1] < self.vflip
        if not (self.rotate or self.scale or self.shear or self.translate or self.elastic):  # a third of the time
            return GeometryDraw(shape, turns, hflip, vflip, 0.0, 0.0, _NONE, _NONE, 0.0, self.elastic_length, None)
        rms = self._size("elastic", u[14])
        affine = u[15] < self.chances.get("affine", 1.0)
        rotate, scale = affine * self._size("rotate", u[4]), affine * self._size("scale", u[6])
        shear, translate = affine * self._size("shear", u[8]), affine * self._size("translate", u[11])
        return GeometryDraw(
            shape=shape,
            turns=turns,
            hflip=hflip,
            vflip=vflip,
            rotate=rotate * (2 * u[5] - 1),
            scale=scale * (2 * u[7] - 1),
            shear=(shear * (2 * u[9] - 1), shear * (2 * u[10] - 1)),
            translate=(translate * (2 * u[12] - 1), translate * (2 * u[13] - 1)),
            elastic=rms,
            elastic_length=self.elastic_length,
            lattice=self._lattice(rng, shape if turns % 2 == 0 else (shape[1], shape[0]), rms) if rms else None,
        )

    def _size(self, name: str, u: float) -> float:
        """The half-range of an op, or 0 where it does not fire."""
        size: float = getattr(self, name)
        return size if size and u < self.chances.get(name, 1.0) else 0.0

    def _lattice(self, rng: np.random.Generator, size: tuple[int, int], rms: float) -> np.ndarray:
        unit = min(size) / 100
        return displacement(rng, size, CELL * self.elastic_length * unit, rms * unit)

    def act(
        self,
        image: np.ndarray | None,
        mask: np.ndarray | None,
        draw: GeometryDraw,
        window: Window | None = None,
        ignore_index: int | None = None,
    ) -> tuple[Any, Any]:
        """Image and mask moved by one draw, cut to a window of the result.

        Args:
            image: (H, W, C) uint8, uint16 or float32, or None.
            mask: (H, W) of a type that cv2.remap takes, or None.
            draw: what to do.
            window: (top, left, height, width) in the result; may reach outside; None is the whole result.
            ignore_index: label outside; the transform's own where None.

        Returns:
            image and mask of the window's size, of the given types; views of the input where nothing moves.
        """
        ignore = self.ignore_index if ignore_index is None else ignore_index
        border = _BORDERS[self.border]
        if image is not None and image.dtype.char not in _DTYPES:
            raise UserError(f"Geometry takes images of uint8, uint16 or float32; got {image.dtype}; convert it first")
        if draw.exact:
            turn = draw.turns, draw.hflip, draw.vflip, window
            moved = None if image is None else move(image, *turn, border, self.fill)
            return moved, None if mask is None else move(mask, *turn, cv2.BORDER_CONSTANT, ignore)
        window = window or (0, 0, *draw.size)
        at = nodes(draw.matrix(), draw.lattice, CELL * draw.length, draw.size, window, draw.length)
        warp = Warp(at, draw.shape)
        moved = None if image is None else warp.image(image, self.border == "reflect", self.fill)
        return moved, None if mask is None else warp.mask(mask, ignore)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Albumentations' hook: the draw of one sample."""
        return {"draw": self.draw(self.random_generator, params["shape"][:2])}

    def apply(self, img: np.ndarray, draw: GeometryDraw, **params: Any) -> Any:
        """Albumentations' hook: the image of a draw."""
        moved = self.act(img if img.ndim == 3 else img[..., None], None, draw)[0]
        return moved if img.ndim == 3 else moved[..., 0]

    def apply_to_mask(self, mask: np.ndarray, draw: GeometryDraw, **params: Any) -> Any:
        """Albumentations' hook: the mask of a draw."""
        if mask.ndim == 2:
            return self.act(None, mask, draw)[1]
        return np.dstack([self.act(None, np.ascontiguousarray(m), draw)[1] for m in np.moveaxis(mask, 2, 0)])


def check_chances(owner: str, chances: Mapping[str, float], names: tuple[str, ...], **others: float) -> None:
    """Raise UserError for a chance outside 0..1 or of an op that does not exist."""
    for name, chance in {**chances, **others}.items():
        if name not in names and name not in others:
            raise UserError(f"{owner}.chances names the op {name!r}; expected some of {', '.join(names)}")
        if not 0 <= chance <= 1:
            raise UserError(f"{owner}: the chance of {name} must be in 0..1; got {chance}")
