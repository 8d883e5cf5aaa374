"""Measures training samples: mean and standard deviation of images, how often classes occur, and weights by that."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.datasets import SegmentationDataset
from segtrain.errors import UserError
from segtrain.spread import spread

IMAGES = 256  # that are read, evenly spread: the two settle long before, and the start on a large set stays short
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Moments(NamedTuple):
    """Holds what an image gives to mean and standard deviation."""

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
    return Moments(
        image.shape[0] * image.shape[1], tuple(total.astype(float).tolist()), tuple(squares.astype(float).tolist())
    )


def images_looked_at(train: Sequence[int]) -> list[int]:
    """Returns the training samples whose images are read for it: all, or `IMAGES` evenly spread over all."""
    return [int(index) for index in spread(train, IMAGES)]


def mean_and_std(images: Iterable[Moments]) -> tuple[list[float], list[float]]:
    """Returns mean and standard deviation of each channel over all pixels of the images.

    In the units of the stored pixels; a constant channel gets standard deviation 1.
    """
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for image in images:
        count, total, squares = count + image.pixels, total + image.total, squares + image.squares
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.tolist(), np.where(std > 0, std, 1.0).tolist()


def measure_mean_and_std(
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

    return mean_and_std(looked())


class Counts(NamedTuple):
    """Holds the counts of some samples."""

    pixels: list[int]  # of each class, in all masks
    where: list[int]  # pixels that count, in the masks that show the class
    images: list[int]  # masks that show the class
    samples: int


def count_classes(dataset: SegmentationDataset, indices: Sequence[int]) -> Counts:
    """Returns pixels and images of each class in these masks; ignored pixels do not count."""
    classes = len(dataset.classes)
    pixels, where, images = (np.zeros(classes, np.int64) for _ in range(3))
    for index in indices:
        of_mask = np.bincount(dataset.read(int(index)).mask.ravel(), minlength=256)[:classes]
        shown = of_mask > 0
        pixels += of_mask
        where += shown * of_mask.sum()
        images += shown
    return Counts(pixels.tolist(), where.tolist(), images.tolist(), len(indices))


def inverse_share(counts: Counts) -> Floats:
    """Returns 1 / share of pixels."""
    return 1 / np.asarray(counts.pixels)


def median_frequency(counts: Counts) -> Floats:
    """Returns median frequency / frequency, a class's share of the pixels of those images that show it.

    Source: Eigen and Fergus 2015 (arXiv 1411.4734), section 6.3.2.
    """
    frequency = np.asarray(counts.pixels) / np.asarray(counts.where)
    return np.asarray(np.median(frequency) / frequency)


def effective_number(counts: Counts) -> Floats:
    """Returns (1 - b) / (1 - b^n) with n images that show the class and b = 1 - 1 / (number of images).

    Source: Cui et al. 2019 (arXiv 1901.05555), equation 6; their n are labelled images, not pixels, which are no
    independent draws.
    """
    b = 1 - 1 / max(counts.samples, 2)
    return np.asarray((1 - b) / (1 - b ** np.asarray(counts.images)))


def find_labels(dataset: SegmentationDataset, indices: Sequence[int]) -> list[list[int]]:
    """Returns the labels that each of these masks shows."""
    classes = len(dataset.classes)
    return [
        np.flatnonzero(np.bincount(dataset.read(int(i)).mask.ravel(), minlength=256)[:classes]).tolist()
        for i in indices
    ]


def repeats(shown: Sequence[Sequence[int]], classes: int) -> list[float]:
    """Returns how often each sample should come, by its rarest class: the largest 1 / sqrt(share of samples with it).

    Source: repeat factor sampling, Gupta et al. 2019 (arXiv 1908.03195), section 6.2, with t = 1: sets are small here.
    """
    share = np.bincount([label for labels in shown for label in labels], minlength=classes) / len(shown)
    return [max((float(share[label] ** -0.5) for label in labels), default=1.0) for labels in shown]


WEIGHTS = {"inverse": inverse_share, "median_frequency": median_frequency, "effective_number": effective_number}


def class_weights(kind: str, counts: Counts, classes: Sequence[str]) -> list[float]:
    """Returns a weight a class, their mean 1.

    Raises:
        UserError: no such kind; a class that no training mask shows.
    """
    if kind not in WEIGHTS:
        raise UserError(
            f"there are no class weights {kind!r}; expected {', '.join(WEIGHTS)}, a list of a number a class, or null"
        )
    absent = [name for name, images in zip(classes, counts.images, strict=True) if not images]
    if absent:
        raise UserError(
            f"class weights {kind} have no value for {', '.join(absent)}: none of the {counts.samples} training masks "
            "shows it; expected every class in training; change dataset.split, drop the class, or give the weights as "
            "a list"
        )
    weights = WEIGHTS[kind](counts)
    return [round(float(weight), 6) for weight in weights / weights.mean()]
