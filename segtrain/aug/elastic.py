"""Deforms elastically as tutorials write it with OpenCV: adds blurred noise times alpha to every pixel's place."""

from typing import Any, NamedTuple

import albumentations as A
import cv2
import numpy as np

from segtrain.aug.transforms import as_json
from segtrain.errors import UserError


class OpenCVElasticDraw(NamedTuple):
    """Holds one drawn deformation: its noise is a function of the seed."""

    shape: tuple[int, int]  # (height, width)
    alpha: float  # pixels by which the blurred noise is multiplied
    seed: int  # which noise

    def noise(self) -> np.ndarray:
        """Returns (2, height, width) float64 in -1..1, for x and for y."""
        return np.random.Generator(np.random.Philox(self.seed)).uniform(-1, 1, (2, *self.shape))

    def to_json(self) -> dict[str, Any]:
        """Returns the draw as a JSON-ready dict."""
        return as_json(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "OpenCVElasticDraw":
        """Returns the draw that `to_json` wrote."""
        return cls(**{**plain, "shape": tuple(plain["shape"])})


class OpenCVElastic(A.DualTransform):  # type: ignore[misc]  # albumentations has no types
    """Blurs noise U(-1, 1), times alpha, and moves pixels by it: linear for the image, nearest for the mask.

    The RMS displacement depends on all three numbers and on no image size: for a kernel that holds its sigma it is
    near 0.23·alpha/sigma pixels (white noise of variance 1/3 under a Gaussian keeps 1/(4π·sigma²) of it, on two axes)
    far from the border, which mirrors the noise and so adds to it: a seventh in all where a side is 13 sigma long;
    for a kernel much smaller than its sigma, which is then a box, near 0.82·alpha/kernel. `Geometry.elastic` says the
    displacement itself, is bounded against folding and about ten times as fast.

    Source: Simard et al. 2003, Best Practices for Convolutional Neural Networks, section 2.
    """

    def __init__(
        self, alpha: float = 2000.0, sigma: float = 50.0, kernel: int = 5, ignore_index: int = 255, p: float = 1.0
    ) -> None:
        """Checks the numbers.

        Args:
            alpha: pixels, the factor of the blurred noise.
            sigma: pixels, standard deviation of the blur.
            kernel: pixels, side of the blur's window, odd; 6·sigma + 1 holds the whole Gaussian.
            ignore_index: label of mask pixels from outside; the image is reflected there.
            p: chance of the whole.

        Raises:
            UserError: a value that cv2 would refuse.
        """
        if alpha < 0 or sigma <= 0:
            raise UserError(f"OpenCVElastic takes alpha ≥ 0 and sigma > 0, in pixels; got {alpha} and {sigma}")
        if kernel < 1 or kernel % 2 == 0:
            raise UserError(f"OpenCVElastic.kernel is the side of a centred window; expected 1, 3, 5, …; got {kernel}")
        super().__init__(p=p)
        self.alpha, self.sigma, self.kernel, self.ignore_index = alpha, sigma, kernel, ignore_index

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> OpenCVElasticDraw:
        """Returns what to do with one image of `shape` (height, width, …)."""
        return OpenCVElasticDraw((shape[0], shape[1]), self.alpha, int(rng.integers(2**53)))

    def act(
        self,
        image: np.ndarray | None,
        mask: np.ndarray | None,
        draw: OpenCVElasticDraw,
        noise: np.ndarray | None = None,
    ) -> tuple[Any, Any]:
        """Returns image (H, W, C) and mask (H, W) moved by one draw, or by `noise` (2, H, W) in place of its own."""
        x, y = self.map(draw.noise() if noise is None else noise, draw.alpha)
        fill = (float(self.ignore_index),) * 4
        moved = None if image is None else _remap(image, x, y)
        if mask is not None:
            mask = cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
        return moved, mask

    def map(self, noise: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns source coordinates x, y (H, W) float32 of every output pixel, of noise (2, H, W)."""
        height, width = noise.shape[1:]
        size = (self.kernel, self.kernel)
        dx, dy = (cv2.GaussianBlur(plane, size, self.sigma) * alpha for plane in noise)
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        return (x + dx).astype(np.float32), (y + dy).astype(np.float32)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Returns the draw of one sample: albumentations' hook."""
        return {"draw": self.draw(self.random_generator, params["shape"])}

    def apply(self, img: np.ndarray, draw: OpenCVElasticDraw, **params: Any) -> Any:
        """Returns the image of a draw: albumentations' hook."""
        return self.act(img if img.ndim == 3 else img[..., None], None, draw)[0].reshape(img.shape)

    def apply_to_mask(self, mask: np.ndarray, draw: OpenCVElasticDraw, **params: Any) -> Any:
        """Returns the mask (H, W) of a draw: albumentations' hook."""
        return self.act(None, mask, draw)[1]


def _remap(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Moves pixels linearly, reflected outside, four channels at a time: as many as cv2 takes."""
    parts = [
        cv2.remap(
            np.ascontiguousarray(image[..., c : c + 4]), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        for c in range(0, image.shape[2], 4)
    ]
    return np.dstack(parts)
