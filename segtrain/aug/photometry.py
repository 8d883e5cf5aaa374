"""Photometry: what scanners, cameras and stains do to grey values, drawn first, then applied in few passes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import albumentations as A
import numpy as np

from segtrain.aug import photometry_ops
from segtrain.aug.draws import as_json
from segtrain.aug.geometry import check_chances
from segtrain.aug.photometry_ops import add_noise, apply_tone
from segtrain.errors import UserError

OPS = ("brightness", "contrast", "gamma", "saturation", "hue", "noise", "blur", "lowres", "bias")
_ONE_SIDED = ("noise", "blur", "lowres")
_FULL = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


class PhotometryDraw(NamedTuple):
    """One drawn photometry, applied in the order blur, lowres, colour, bias, tone, noise."""

    brightness: float  # share of the full range, added
    contrast: float  # factor - 1, about the image mean
    gamma: float  # octaves of the exponent
    saturation: float  # factor - 1
    hue: float  # degrees
    noise: float  # standard deviation, share of the full range
    noise_seed: int  # which noise
    blur: float  # standard deviation in pixels
    lowres: float  # octaves of the pixel size
    bias: np.ndarray | None  # (7, 7) float32 B-spline coefficients of the log gain

    def to_json(self) -> dict[str, Any]:
        """The draw as a JSON-ready dict."""
        return as_json(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "PhotometryDraw":
        """The draw that `to_json` wrote."""
        lattice = None if plain["bias"] is None else np.array(plain["bias"], np.float32)
        return cls(**{**plain, "bias": lattice})


def bias_lattice(rng: np.random.Generator, bias: float) -> np.ndarray:
    """Returns the coefficients (7, 7) float32 of a log gain, each uniform in ± bias."""
    side = photometry_ops.BIAS_CELLS + 3
    return np.asarray((rng.random((side, side), dtype=np.float32) * 2 - 1) * np.float32(bias))


class Photometry(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """Grey values changed, pixels left in place; magnitudes are linear in the drawn value.

    All unit variates are drawn for every sample in a fixed order, the bias field last, so that an op switched off or
    changed in magnitude or chance changes no other op's draw.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        gamma: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        noise: float = 0.0,
        blur: float = 0.0,
        lowres: float = 0.0,
        bias: float = 0.0,
        chances: Mapping[str, float] | None = None,
        full_range: float | None = None,
        p: float = 1.0,
    ) -> None:
        """Check the magnitudes.

        Args:
            brightness: share of the full range, uniform in ± this, added.
            contrast: the factor is 1 plus a number uniform in ± this, about the image's mean (as torchvision's
                ColorJitter and nnU-Net): a dark scan is stretched where its values are, not shifted towards grey.
            gamma: octaves, uniform in ± this: value^(2^g) on 0..full range.
            saturation: the factor is 1 plus a number uniform in ± this, about each pixel's luma; RGB only.
            hue: degrees in the YIQ colour plane, uniform in ± this; luma kept; RGB only.
            noise: Gaussian, standard deviation uniform in 0..this, share of the full range.
            blur: Gaussian, standard deviation uniform in 0..this, pixels.
            lowres: octaves, uniform in 0..this: pixels 2^v times as large, then back; blended between whole octaves.
            bias: MRI bias field: log gain between ± this, on a lattice of 4 x 4 cells (0.3: from ÷1.35 to x1.35).
            chances: of each op by name; 1 where not named.
            full_range: grey value that counts as full; 255 for uint8, 65535 for uint16, 1 for float32 where None.
                Give 4095 for 12-bit data in uint16. Integers are clipped to their type only, floats never.
            p: chance of the whole.

        Raises:
            UserError: a value out of range.
        """
        check_chances("Photometry", chances or {}, OPS, p=p)
        super().__init__(p=p)
        self.brightness, self.contrast, self.gamma = brightness, contrast, gamma
        self.saturation, self.hue = saturation, hue
        self.noise, self.blur, self.lowres, self.bias = noise, blur, lowres, bias
        self.chances, self.full_range = dict(chances or {}), full_range
        for name in OPS:
            if getattr(self, name) < 0:
                raise UserError(f"Photometry.{name} is a magnitude; expected a number ≥ 0; got {getattr(self, name)}")
        for name in ("contrast", "saturation"):
            if getattr(self, name) > 1:
                raise UserError(
                    f"Photometry.{name}={getattr(self, name):g} would make the factor 1 ± {name} negative and invert "
                    "the image; expected 0..1; lower it (or strength)"
                )

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> PhotometryDraw:
        """What to do with one image of `shape` (height, width, channels).

        Raises:
            UserError: saturation or hue asked of an image that has not three channels.
        """
        if (self.saturation or self.hue) and shape[-1] != 3:
            raise UserError(
                f"Photometry.saturation and hue change colours; expected images of 3 channels (RGB); got {shape[-1]}; "
                "leave both out"
            )
        u = rng.random(20).tolist()  # new ops append theirs: the order is part of the reproducibility
        drawn = {}
        for i, name in enumerate(OPS):
            size = getattr(self, name) if u[2 * i] < self.chances.get(name, 1.0) else 0.0
            drawn[name] = size * (u[2 * i + 1] if name in _ONE_SIDED else 2 * u[2 * i + 1] - 1) if size else 0.0
        bias, lattice = drawn.pop("bias"), None
        if bias:
            lattice = bias_lattice(rng, bias)
        return PhotometryDraw(noise_seed=int(u[18] * 2**53), bias=lattice, **drawn)

    def act(self, image: np.ndarray, draw: PhotometryDraw, in_place: bool = False) -> np.ndarray:
        """The image under one draw.

        Args:
            image: (H, W, C) uint8, uint16 or float32.
            draw: what to do.
            in_place: whether `image` may be overwritten.

        Returns:
            An array of the same shape and dtype; the input itself where nothing changes.
        """
        if image.dtype not in _FULL:
            raise UserError(f"Photometry takes images of uint8, uint16 or float32; got {image.dtype}; convert it first")
        full = self.full_range or _FULL[image.dtype]
        given = image
        if draw.blur:
            image = photometry_ops.blur(image, draw.blur)
        if draw.lowres:
            image = photometry_ops.low_resolution(image, draw.lowres)
        if draw.saturation or draw.hue:
            image = photometry_ops.recolour(image, draw.saturation, draw.hue)
        if draw.bias is not None:
            image = photometry_ops.multiply(image, photometry_ops.bias_field(draw.bias, image.shape[:2]))
        tone = draw.contrast, draw.brightness, draw.gamma
        if any(tone) or draw.noise:
            ours = in_place or image is not given
            image = np.ascontiguousarray(image) if ours else np.array(image, order="C")
        if any(tone):
            image = apply_tone(image, tone, full)
        if draw.noise:
            add_noise(image, draw.noise * full, draw.noise_seed)
        return image

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Albumentations' hook: the draw of one sample."""
        shape = params["shape"]
        return {"draw": self.draw(self.random_generator, shape if len(shape) == 3 else (*shape, 1))}

    def apply(self, img: np.ndarray, draw: PhotometryDraw, **params: Any) -> Any:
        """Albumentations' hook: the image of a draw."""
        return self.act(img if img.ndim == 3 else img[..., None], draw).reshape(img.shape)
