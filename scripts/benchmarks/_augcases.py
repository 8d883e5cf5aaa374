"""What `aug` measures, and what a peer's elastic does to the pixels; needs numpy alone."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

RMS, SIGMA = 0.02, 0.08  # displacement and sigma of the equivalent Gaussian kernel, share of the short side
ROTATE, SCALE = 30.0, (0.8, 1.25)
TONE, GAMMA, NOISE = 0.2, (0.8, 1.25), 0.05  # ± share of brightness and contrast; exponent; largest deviation
MOST = 200  # draws to measure a displacement
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Push = Callable[[np.ndarray], np.ndarray]
Call = Callable[[int], object]


class Case(NamedTuple):
    """One thing to time."""

    kind: str  # pipeline, pose (without elastic and gamma), elastic, flip, crop, each to `result`; floor, keys
    side: int
    crop: int | None = None
    usual: bool = False  # chances below 1
    result: str = "tensor"  # tensor: contiguous CHW; array: contiguous HWC; float: CHW, normalised

    @property
    def size(self) -> str:
        return f"{self.side}²" + (f" → {self.crop}² crop" if self.crop else "")

    def chance(self, name: str) -> float:
        return {"affine": 0.5, "tone": 0.5, "elastic": 0.3, "noise": 0.3}[name] if self.usual else 1.0


class Peer(Protocol):
    """One library."""

    packages: tuple[str, ...]

    def push(self, side: int) -> Push | None:
        """Its elastic alone, on float32 (H, W, 3); None where it has none."""
        ...

    def build(self, case: Case) -> Call | None:
        """One sample, from decoded uint8 (H, W, 3) and mask (H, W); None where the library has no such thing."""
        ...


def pair(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image and a mask of blobs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    waves = [sum(np.sin(rng.uniform(5, 60) * (x * np.cos(a) + y * np.sin(a))) for a in range(6)) for _ in range(3)]
    image = np.stack([127.5 + 20 * wave for wave in waves], 2) + rng.normal(0, 6, (side, side, 3))
    image = np.clip(image, 0, 255).astype(np.uint8)
    return image, (waves[0] > 0).astype(np.uint8)


def displacement(push: Push, side: int) -> np.ndarray:
    """(h, w, 2) in px in the middle 60 %, where no border shows: an image of coordinates, pushed through."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    moved = push(np.stack([x / side, y / side, np.zeros_like(x)], 2))
    middle = slice(side // 5, side - side // 5)
    return (np.asarray(moved)[..., :2] * side - np.stack([x, y], 2))[middle, middle]


def statistics_of(push: Push, side: int, seconds: float) -> tuple[float, float, int]:
    """RMS displacement and the distance at which its correlation falls to 1/e, in % of the side; and how many draws."""
    lags = np.arange(0, int(0.4 * side), max(1, side // 128))
    products, draws, end = np.zeros(len(lags)), 0, time.monotonic() + seconds
    while draws < 2 or (draws < MOST and time.monotonic() < end):
        field = displacement(push, side)
        n = field.shape[1]
        products += [(field[:, : n - lag] * field[:, lag:]).sum(-1).mean() for lag in lags]
        draws += 1
    below = int(np.argmax(products < products[0] / math.e)) or len(lags) - 1
    return 100 * math.sqrt(products[0] / draws) / side, 100 * float(lags[below]) / side, draws


def blurred(side: int) -> float:
    """px to scale uniform deviates in ±1, one a pixel, blurred by a Gaussian of SIGMA, so that they move by RMS.

    Of variance v they come out with v / (4 pi sigma²) in each of two directions, and v is 1/3.
    """
    return RMS * side * SIGMA * side * math.sqrt(6 * math.pi)
