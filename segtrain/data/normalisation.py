"""Mean and standard deviation of the training images: what `check` prints is what the weights hold, by one function."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.datasets import SegmentationDataset
from segtrain.spread import spread

IMAGES = 256  # that are read, evenly spread: the two settle long before, and the start on a large set stays short


class Moments(NamedTuple):
    """What an image gives to mean and standard deviation."""

    pixels: int
    total: tuple[float, ...]  # sum of each channel
    squares: tuple[float, ...]  # sum of squares of each channel


def moments(image: np.ndarray[Any, Any]) -> Moments:
    """Returns the sums over an image (H, W, C) in float64; not a number where a pixel is none."""
    if image.dtype == np.uint8:
        levels = np.arange(256)
        counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(image, 2, 0)])
        total, squares = counts @ levels, counts @ levels**2
    else:
        values = image.reshape(-1, image.shape[2]).astype(np.float64)
        total, squares = values.sum(0), (values**2).sum(0)
    return Moments(image.shape[0] * image.shape[1], _row(total), _row(squares))


def looked_at(train: Sequence[int]) -> list[int]:
    """Returns the training samples whose images are read for it: all, or `IMAGES` evenly spread over all."""
    return [int(index) for index in spread(train, IMAGES)]


def normalisation(images: Iterable[Moments]) -> tuple[list[float], list[float]]:
    """Returns mean and standard deviation of each channel over all pixels of the images.

    In the units of the stored pixels; a constant channel gets standard deviation 1.
    """
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for image in images:
        count, total, squares = count + image.pixels, total + image.total, squares + image.squares
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.tolist(), np.where(std > 0, std, 1.0).tolist()


def measured(
    dataset: SegmentationDataset,
    indices: Iterable[int],
    watch: Callable[[np.ndarray[Any, Any]], object] = lambda image: None,
) -> tuple[list[float], list[float]]:
    """Returns the normalisation by these samples' images, which are read; `watch` is handed each of them."""

    def looked() -> Iterable[Moments]:
        for index in indices:
            image = dataset.read(index).image
            watch(image)
            yield moments(image)

    return normalisation(looked())


def _row(numbers: np.ndarray[Any, Any]) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)
