"""What `aug` measures, and how a peer's elastic is set to the stated displacement; needs numpy alone."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

RMS, SIGMA = 0.02, 0.08  # displacement and sigma of the equivalent Gaussian kernel, share of the short side
ROTATE, SCALE = 30.0, (0.8, 1.25)
TONE, GAMMA, NOISE = 0.2, (0.8, 1.25), 0.05  # ± share of brightness and contrast; exponent; largest deviation
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Push = Callable[[np.ndarray], np.ndarray]
Call = Callable[[int], object]


class Case(NamedTuple):
    """One thing to time."""

    kind: str  # pipeline, elastic, flip, crop, each to what `result` says; floor, keys
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
    """One library; `unit` is a first guess of its elastic's magnitude at a side, to be calibrated."""

    packages: tuple[str, ...]

    def unit(self, side: int) -> float: ...
    def push(self, side: int, magnitude: float) -> Push:
        """Its elastic alone, on float32 (H, W, 3)."""
        ...

    def build(self, case: Case, magnitude: float) -> Call | None:
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


def statistics_of(push: Push, side: int, draws: int) -> tuple[float, float]:
    """RMS displacement and the distance at which its correlation falls to 1/e, both in % of the side."""
    lags = np.arange(0, int(0.4 * side), max(1, side // 128))
    power, products = 0.0, np.zeros(len(lags))
    for _ in range(draws):
        field = displacement(push, side)
        n = field.shape[1]
        power += float((field**2).sum(-1).mean())
        products += [(field[:, : n - lag] * field[:, lag:]).sum(-1).mean() for lag in lags]
    correlation = products / products[0]
    below = int(np.argmax(correlation < 1 / math.e)) or len(lags) - 1
    return 100 * math.sqrt(power / draws) / side, 100 * float(lags[below]) / side


def calibrated(peer: Peer, side: int, draws: int) -> float:
    """The magnitude with RMS displacement `RMS`: every peer's displacement is proportional to its magnitude."""
    unit = peer.unit(side)
    return unit * 100 * RMS / statistics_of(peer.push(side, unit), side, draws)[0]
