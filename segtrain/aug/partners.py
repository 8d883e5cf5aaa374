"""Draws other training samples for transforms that mix two, from the sample's own generator."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from segtrain.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]


class Partners:
    """Holds the samples to draw partners from: those of the training split, and no others.

    A draw is a position in `indices`, so that it can be printed and applied again; `read` gives its pixels.
    """

    def __init__(self, read: Callable[[int], Any], indices: Sequence[int], ignore_index: int = 255) -> None:
        """Takes partners among `indices`; `read(index)` gives image (H, W, C) and mask (H, W)."""
        self.read, self.indices, self.ignore_index = read, [int(i) for i in indices], ignore_index
        if not self.indices:
            raise UserError("there is no other sample to mix with; expected at least one index; got none")

    def draw(self, rng: np.random.Generator, without: int | None = None) -> int:
        """Returns a sample's index, each as likely; `without` only where there is no other."""
        return _one_of(self.indices, rng, without)

    def draw_rare(self, rng: np.random.Generator, without: int | None = None) -> tuple[int, int]:
        """Returns a class, with chance in inverse proportion to its pixels, and the index of a sample that holds it.

        The commonest class (the background) is left out. The first call reads every mask once.

        Raises:
            UserError: there is but one class in all the masks.
        """
        labels, chances = self._rarity
        label = labels[int(np.searchsorted(np.cumsum(chances)[:-1], rng.random(), side="right"))]
        return label, _one_of(self.holders[label], rng, without)

    def survey(self) -> None:
        """Reads every mask now: before loader processes start, which then inherit what was found."""
        _ = self._survey

    @functools.cached_property
    def _rarity(self) -> tuple[list[int], np.ndarray]:
        """The labels but the commonest, ascending, and the chance of each."""
        common = max(self.pixels, key=lambda label: self.pixels[label], default=None)
        labels = sorted(label for label in self.pixels if label != common)
        if not labels:
            raise UserError(
                f"class-aware mixing needs a class beside the commonest; the {len(self.indices)} training masks hold "
                f"the labels {sorted(self.pixels)} only; use another policy, or look at the masks"
            )
        weights = np.array([1 / self.pixels[label] for label in labels])
        return labels, weights / weights.sum()

    @property
    def holders(self) -> Mapping[int, list[int]]:
        """The samples that hold each label."""
        return self._survey[0]

    @property
    def pixels(self) -> Mapping[int, int]:
        """The pixels of each label over all samples."""
        return self._survey[1]

    @functools.cached_property
    def _survey(self) -> tuple[dict[int, list[int]], dict[int, int]]:
        holders: dict[int, list[int]] = {}
        pixels: dict[int, int] = {}
        for index in self.indices:
            counts = np.bincount(self.read(index)[1].ravel(), minlength=self.ignore_index + 1)
            counts[self.ignore_index] = 0
            for label in np.flatnonzero(counts).tolist():
                holders.setdefault(label, []).append(index)
                pixels[label] = pixels.get(label, 0) + int(counts[label])
        return holders, pixels


def _one_of(indices: Sequence[int], rng: np.random.Generator, without: int | None) -> int:
    """Returns one of the indices, each as likely, by one random number, whether `without` is among them or not."""
    u = rng.random()
    others = len(indices) - (without in indices)
    if others == 0 or others == len(indices):
        return indices[int(u * len(indices))]
    position = int(u * others)
    return indices[position + (position >= indices.index(without))]
