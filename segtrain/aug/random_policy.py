"""Applies RandAugment and TrivialAugment to masks too: which ops fire is drawn, how strong they are is one number.

Ops are named and sized in `ops`: `identity`, or a magnitude of Geometry (shear and translate an axis at a time, as
published) or Photometry, in their units. The config's `${amount:}` makes strength the one number.
What is drawn for a sample is joined: geometric ops to one map, which interpolates once, then photometric ops.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import albumentations as A
import numpy as np

from segtrain.aug.geometry import Geometry, GeometryDraw
from segtrain.aug.photometry import Photometry, PhotometryDraw, bias_lattice
from segtrain.errors import UserError

AXES = {"shear_x": "shear", "shear_y": "shear", "translate_x": "translate", "translate_y": "translate"}
GEOMETRIC = ("rotate", "scale", *AXES, "elastic")
PHOTOMETRIC = ("brightness", "contrast", "gamma", "saturation", "hue", "noise", "blur", "lowres", "bias")
_UNSIGNED = ("identity", "elastic", "noise", "blur", "lowres", "bias")


class RandomDraw(NamedTuple):
    """Holds the ops drawn for one sample, with their signed magnitudes, and what they amount to."""

    ops: dict[str, float]
    geometry: GeometryDraw | None
    photometry: PhotometryDraw | None

    def to_json(self) -> dict[str, Any]:
        """Returns the draw as a JSON-ready dict."""
        parts = {"geometry": self.geometry, "photometry": self.photometry}
        return {"ops": self.ops, **{name: part and part.to_json() for name, part in parts.items()}}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "RandomDraw":
        """Returns the draw that `to_json` wrote."""
        geometry = plain["geometry"] and GeometryDraw.from_json(plain["geometry"])
        return cls(plain["ops"], geometry, plain["photometry"] and PhotometryDraw.from_json(plain["photometry"]))


class RandAugment(A.DualTransform):  # type: ignore[misc]  # albumentations has no types
    """Applies `n` different ops to a sample, each at its full magnitude with a drawn sign.

    Different, where the paper draws with replacement: each op then occurs once in the one map and the one table.
    Source: Cubuk et al. 2019, arXiv 1909.13719, algorithm 1.
    """

    def __init__(
        self,
        ops: Mapping[str, float],
        n: int = 2,
        uniform: bool = False,
        border: str = "reflect",
        elastic_length: float = 8.0,
        ignore_index: int = 255,
        p: float = 1.0,
    ) -> None:
        """Checks the ops.

        Args:
            ops: name to magnitude, in the units of Geometry and Photometry.
            n: ops a sample.
            uniform: draw each magnitude uniformly between 0 and its value instead of taking the value.
            border: image outside the source, see Geometry.
            elastic_length: see Geometry.
            ignore_index: label of mask pixels from outside.
            p: chance of the whole.

        Raises:
            UserError: an op that does not exist, a value out of range, n larger than the list.
        """
        known = ("identity", *GEOMETRIC, *PHOTOMETRIC)
        for name in ops:
            if name not in known:
                raise UserError(f"RandAugment.ops names the op {name!r}; expected some of {', '.join(known)}")
        if not 1 <= n <= len(ops):
            raise UserError(f"RandAugment draws n different ops of ops; expected n in 1..{len(ops)}; got {n}")
        super().__init__(p=p)
        self.ops, self.n, self.uniform = dict(ops), n, uniform
        self.border, self.elastic_length, self.ignore_index = border, elastic_length, ignore_index
        pose: dict[str, Any] = {}
        for name in GEOMETRIC:
            pose[AXES.get(name, name)] = max(pose.get(AXES.get(name, name), 0.0), ops.get(name, 0.0), key=abs)
        self.geometry = Geometry(**pose, elastic_length=elastic_length, border=border)
        light: dict[str, Any] = {name: ops.get(name, 0.0) for name in PHOTOMETRIC}
        Photometry(**light)  # checks the magnitudes
        self.photometry = Photometry(**{**light, "bias": 0.0})  # whose own draw is another, smaller than what is given

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> RandomDraw:
        """Returns what to do with one image of `shape` (height, width, channels).

        Raises:
            UserError: saturation or hue is listed and the image has not three channels.
        """
        names = [list(self.ops)[i] for i in rng.permutation(len(self.ops))[: self.n]]
        u = rng.random((self.n, 2)).tolist()
        ops = {name: self._size(name, *numbers) for name, numbers in zip(names, u, strict=True)}
        ops = {name: size for name, size in ops.items() if size}
        return RandomDraw(ops, self._pose(rng, shape, ops), self._light(rng, shape, ops))

    def _size(self, name: str, level: float, sign: float) -> float:
        size = self.ops[name] * (level if self.uniform else 1.0)
        return -size if sign < 0.5 and name not in _UNSIGNED else size

    def _pose(self, rng: np.random.Generator, shape: tuple[int, ...], ops: Mapping[str, float]) -> GeometryDraw | None:
        full = self.geometry.draw(rng, (shape[0], shape[1]))
        if not any(name in ops for name in GEOMETRIC):
            return None
        rms, field = ops.get("elastic", 0.0), full.lattice
        return full._replace(
            rotate=ops.get("rotate", 0.0),
            scale=ops.get("scale", 0.0),
            shear=(ops.get("shear_x", 0.0), ops.get("shear_y", 0.0)),
            translate=(ops.get("translate_x", 0.0), ops.get("translate_y", 0.0)),
            elastic=rms,
            lattice=None if field is None or not rms else field * np.float32(rms / full.elastic),  # linear in the RMS
        )

    def _light(self, rng: np.random.Generator, shape: tuple[int, ...], ops: Mapping[str, float]) -> Any:
        full = self.photometry.draw(rng, shape)
        field = bias_lattice(rng, ops.get("bias", 0.0)) if self.ops.get("bias") else None
        if not any(name in ops for name in PHOTOMETRIC):
            return None
        drawn: dict[str, Any] = {name: ops.get(name, 0.0) for name in PHOTOMETRIC if name != "bias"}
        return full._replace(**drawn, bias=field if "bias" in ops else None)

    def act(self, image: np.ndarray | None, mask: np.ndarray | None, draw: RandomDraw) -> tuple[Any, Any]:
        """Returns image (H, W, C) and mask (H, W) under one draw, the mask by nearest neighbour, ignored outside."""
        if draw.geometry is not None:
            image, mask = self.geometry.act(image, mask, draw.geometry, None, self.ignore_index)
        if draw.photometry is not None and image is not None:
            image = self.photometry.act(image, draw.photometry)
        return image, mask

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Returns the draw of one sample: albumentations' hook."""
        shape = params["shape"]
        return {"draw": self.draw(self.random_generator, shape if len(shape) == 3 else (*shape, 1))}

    def apply(self, img: np.ndarray, draw: RandomDraw, **params: Any) -> Any:
        """Returns the image of a draw: albumentations' hook."""
        return self.act(img if img.ndim == 3 else img[..., None], None, draw)[0].reshape(img.shape)

    def apply_to_mask(self, mask: np.ndarray, draw: RandomDraw, **params: Any) -> Any:
        """Returns the mask (H, W) of a draw: albumentations' hook."""
        return self.act(None, mask, draw)[1]


def TrivialAugment(ops: Mapping[str, float], **options: Any) -> RandAugment:
    """Applies one op to a sample, its magnitude uniform between 0 and its value; `options` are those of RandAugment.

    Source: Müller & Hutter 2021, arXiv 2103.10158, algorithm 1.
    """
    return RandAugment(ops, n=1, uniform=True, **options)
