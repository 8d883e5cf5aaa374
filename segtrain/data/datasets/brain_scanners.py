"""Simulates brain slices as several scanners might show them, where augmentation matters."""

import hashlib
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from segtrain.area import shrink_labels
from segtrain.data.datasets.brain_tissue import BrainTissue
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.errors import UserError

Image = np.ndarray[Any, Any]  # float32, full range = 1

GAP = 6  # mm between slices of different parts: nearer ones are near-duplicates
VAL, TEST = (0.24, 0.40), (0.58, 0.78)  # shares of the way from the back of the head to its front
NOISE = 0.015  # of the training scanner, share of the full range


class BrainScanners:
    """Gives a few training slices from one scanner; validation and test slices each from a scanner of its own.

    A simulation on a real template (`BrainTissue`), not scans of real scanners. The training scanner shows the
    template with a little Rician noise. Every validation and test slice gets, drawn once from (seed, slice): another
    contrast (exponent, gain, offset), a smooth bias field, a coarser resolution along one axis, small pose
    (rotation, scale, translation), and Rician noise of its own strength. The drawing shares no code with
    `segtrain.aug`.

    Images (H, W, 1) uint8; labels and classes are BrainTissue's. `splits` says the part of every sample.
    """

    classes = BrainTissue.classes
    palette = BrainTissue.palette
    channels = 1
    ignore_index = IGNORE_INDEX

    def __init__(self, train: int = 12, val: int = 14, test: int = 35, pixel: int = 2, seed: int = 0) -> None:
        """Takes the choices; nothing is read yet.

        Args:
            train: number of training slices, evenly spread over what is neither validation nor test.
            val: at most so many validation slices, evenly spread.
            test: likewise.
            pixel: mm a side; 1 is the template's own.
            seed: of what the other scanners do.

        Raises:
            UserError: nilearn is not installed, or a number is too small.
        """
        for name, value, least in (("train", train, 1), ("val", val, 1), ("test", test, 1), ("pixel", pixel, 1)):
            if type(value) is not int or value < least:
                raise UserError(f"dataset.{name} is {value!r}; expected a whole number from {least}")
        self._counts = {"train": train, "val": val, "test": test}
        self._pixel, self._seed, self._slices = pixel, seed, BrainTissue()

    @cached_property
    def _samples(self) -> list[tuple[int, str]]:
        """Returns the index of the slice and the part of every sample, in slice order."""
        n = len(self._slices.ids)
        zones: dict[str, list[int]] = {"train": [], "val": [], "test": []}
        bounds = {"val": [round(n * s) for s in VAL], "test": [round(n * s) for s in TEST]}
        for i in range(n):
            inside = [part for part, (a, b) in bounds.items() if a <= i < b]
            near = any(a - GAP <= i < b + GAP for a, b in bounds.values())
            if inside or not near:
                zones[inside[0] if inside else "train"].append(i)
        picked = [(i, part) for part, zone in zones.items() for i in _spread(zone, self._counts[part])]
        return sorted(picked)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Returns BrainTissue's names."""
        return tuple(self._slices.ids[i] for i, _ in self._samples)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Returns train, val or test for every sample."""
        return tuple(part for _, part in self._samples)

    def read(self, index: int) -> Sample:
        """Returns the pair of `ids[index]`, the same each time."""
        at, part = self._samples[index]
        image, mask = self._slices.read(at)
        size = image.shape[1] // self._pixel, image.shape[0] // self._pixel
        clean: Image = cv2.resize(image[..., 0], size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        labels: Image = shrink_labels(mask, size)
        rng = np.random.default_rng([self._seed, at])
        sigma = NOISE
        if part != "train":
            clean, labels = _posed(clean, labels, rng)
            clean = _coarser(_biased(_contrasted(clean, rng), rng), rng)
            sigma = rng.uniform(0.02, 0.07)
        shown = _rician(clean, sigma, rng)
        return Sample(np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)[..., None], labels)

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the parameters, the rule of the labels, and BrainTissue's."""
        known = ("labels by area", sorted(self._counts.items()), self._pixel, self._seed, self._slices.fingerprint())
        return hashlib.blake2b(repr(known).encode(), digest_size=16).hexdigest()


def _spread(indices: list[int], count: int) -> list[int]:
    """Returns up to `count` of the indices, evenly spaced."""
    count = min(count, len(indices))
    return [indices[(2 * k + 1) * len(indices) // (2 * count)] for k in range(count)]


def _posed(image: Image, mask: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Returns both rotated by up to 10°, scaled by up to 10 %, shifted by up to 4 % of the side; outside is air."""
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-10, 10), rng.uniform(0.9, 1.1))
    matrix[:, 2] += rng.uniform(-0.04, 0.04, 2) * (width, height)
    moved: Image = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    labels: Image = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST)
    return moved, labels


def _contrasted(image: Image, rng: np.random.Generator) -> Image:
    """Returns it with another exponent (0.6 to 1.7), gain (0.7 to 1.2) and offset (up to 0.08)."""
    power: Image = image ** np.float32(2 ** rng.uniform(-0.75, 0.75))
    changed: Image = power * np.float32(rng.uniform(0.7, 1.2)) + np.float32(rng.uniform(0, 0.08))
    return changed


def _biased(image: Image, rng: np.random.Generator) -> Image:
    """Returns it times a bias field: the exponential of a polynomial of second degree, from ÷1.35 to x1.35."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape)
    a, b, c, d, e = rng.uniform(-1, 1, 5)
    field = a * x[None, :] + b * y[:, None] + c * x[None, :] ** 2 + d * y[:, None] ** 2 + e * np.outer(y, x)
    gain: Image = np.exp(np.float32(0.3) * field / np.abs(field).max()).astype(np.float32)
    return image * gain


def _coarser(image: Image, rng: np.random.Generator) -> Image:
    """Returns it sampled up to twice as coarsely along one axis, and back."""
    height, width = image.shape
    factor = 2 ** rng.uniform(0, 1)
    small = (width, round(height / factor)) if rng.random() < 0.5 else (round(width / factor), height)
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    back: Image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return back


def _rician(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Returns the magnitude of a complex signal with Gaussian noise in both parts (Gudbjartsson & Patz 1995)."""
    real, imaginary = rng.normal(0, sigma, (2, *image.shape)).astype(np.float32)
    magnitude: Image = np.hypot(image + real, imaginary)
    return magnitude
