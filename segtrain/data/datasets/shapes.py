"""Draws discs and squares from (seed, index): data without files, for tests and first steps."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from segtrain.data.datasets.contract import IGNORE_INDEX, Sample, colours
from segtrain.errors import UserError

MIN_SIZE = 16  # pixels of a side below which disc and square would be a few pixels

# Mean grey level of background, disc and square in each channel; grey images use the first.
LEVELS = np.array([[60, 80, 100], [130, 90, 60], [200, 190, 150]], np.float32)


class Shapes:
    """Draws one disc and one square an image on a noisy ground; every mask holds all three classes.

    Images (H, W, C) uint8. A sample depends on (seed, index), size, channels and noise alone.
    """

    classes = ("background", "disc", "square")
    palette = colours(classes)
    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        n: int = 64,
        size: int | Sequence[int] = 64,
        channels: int = 1,
        seed: int = 0,
        noise: float = 20.0,
    ) -> None:
        """Takes the choices; nothing is drawn before it is read.

        Args:
            n: number of samples.
            size: pixels, height and width, or one number for both.
            channels: 1 (grey) or 3 (RGB).
            seed: another seed, other pictures.
            noise: standard deviation in grey levels of 0..255.

        Raises:
            UserError: a value that cannot be drawn.
        """
        height, width = (size, size) if isinstance(size, int) else size
        for name, value, least in (("n", n, 1), ("size", min(height, width), MIN_SIZE), ("noise", noise, 0)):
            if value < least:
                raise UserError(f"dataset.{name} is {value}; expected at least {least}")
        if channels not in (1, 3):
            raise UserError(f"dataset.channels is {channels!r}; expected 1 (grey) or 3 (RGB)")
        self.channels = channels
        self._shape = (height, width)
        self._seed, self._noise = seed, noise
        self.ids: tuple[str, ...] = tuple(f"shape_{i:0{len(str(n - 1))}d}" for i in range(n))
        self.splits: tuple[None, ...] = (None,) * n

    def read(self, index: int) -> Sample:
        """Draws the pair of `ids[index]`, anew each time and always the same."""
        rng = np.random.default_rng([self._seed, range(len(self.ids))[index]])
        mask = self._mask(rng)
        clean = LEVELS[:, : self.channels][mask]
        noisy = clean + rng.normal(0, self._noise, clean.shape)
        return Sample(np.rint(noisy).clip(0, 255).astype(np.uint8), mask)

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the parameters and the first sample."""
        sample = self.read(0)
        parameters = (len(self.ids), self._shape, self.channels, self._seed, self._noise)
        digest = hashlib.blake2b(repr(parameters).encode(), digest_size=16)
        digest.update(sample.image.tobytes() + sample.mask.tobytes())
        return digest.hexdigest()

    def _mask(self, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
        height, width = self._shape
        short = min(height, width)
        # The square's side stays below the disc's diameter, so it never hides the whole disc.
        radius, half = rng.uniform(short / 6, short / 4), rng.uniform(short / 10, short / 7)
        disc_y, disc_x = rng.uniform(radius, height - radius), rng.uniform(radius, width - radius)
        square_y, square_x = rng.uniform(half, height - half), rng.uniform(half, width - half)
        y, x = np.ogrid[:height, :width]
        mask = np.zeros(self._shape, np.uint8)
        mask[(y - disc_y) ** 2 + (x - disc_x) ** 2 <= radius**2] = 1
        mask[(abs(y - square_y) <= half) & (abs(x - square_x) <= half)] = 2
        return mask
