"""What a survey of the training images suggests: normalisation, class weights, the side of the training crop."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.data.survey import Seen

STRIDE = 32  # the deepest encoders halve the image five times
LARGEST = 512  # pixels: beyond, memory and time of a step grow and few objects need the context


class Weights(NamedTuple):
    """A weight a class in label order, of mean 1 over the classes that occur; 0 for one that does not."""

    inverse: list[float]
    median: list[float]
    effective: list[float]


def normalisation(seen: Sequence[Seen]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels, in the units of the stored values.

    Raises:
        ValueError: no image, or images of different channels.
    """
    count = sum(one.height * one.width for one in seen)
    mean = np.array([one.total for one in seen]).sum(0) / count
    square = np.array([one.squares for one in seen]).sum(0) / count
    return mean.tolist(), np.sqrt(np.maximum(square - mean**2, 0)).tolist()


def weights(seen: Sequence[Seen], classes: int) -> Weights:
    """Three usual ways to weigh classes, from the labels of the samples.

    Inverse: 1 / pixels. Median: median frequency / frequency, which is a class's share of the images that hold it
    (Source: Eigen and Fergus 2015, arXiv 1411.4734, section 6.3.2). Effective: (1 - b) / (1 - b^n) of the number n of
    images that hold the class, b = (N - 1) / N of N images (Source: Cui et al. 2019, arXiv 1901.05555, equation 5; of
    images, as pixels of one image repeat one another).
    """
    pixels = np.array([sum(one.pixels.get(label, 0) for one in seen) for label in range(classes)], float)
    holders = [[one for one in seen if one.pixels.get(label, 0)] for label in range(classes)]
    about = np.array([sum(one.height * one.width for one in some) for some in holders], float)
    share = np.divide(pixels, about, out=np.zeros(classes), where=about > 0)
    images = np.array([len(some) for some in holders], float)
    beta = (len(seen) - 1) / len(seen)
    middle = float(np.median(share[share > 0])) if (share > 0).any() else 0.0
    ways = (_over(1, pixels), _over(middle, share), _over(1 - beta, 1 - beta**images))
    return Weights(*(_of_mean_1(way) for way in ways))


def crop(seen: Sequence[Seen], foreground: Sequence[int]) -> tuple[int, str]:
    """A side for the square training crop, a multiple of 32, and the reason.

    Twice the size that nine of ten of the images' largest objects keep below, so that they fit with what is about
    them; at most the median short side of the images, and 512.
    """
    short = float(np.median([min(one.height, one.width) for one in seen]))
    sides = [one.extent[label] for one in seen for label in foreground if label in one.extent]
    limit = min(LARGEST, max(STRIDE, int(short) // STRIDE * STRIDE))
    if not sides:
        return limit, f"no object to size it by: the median short side of {short:g} px, at most {LARGEST}"
    largest = float(np.percentile(sides, 90))
    wanted = math.ceil(2 * largest / STRIDE) * STRIDE
    reason = f"twice the {largest:.0f} px that 9 of 10 images' largest objects keep below"
    cap = f"the median short side of {short:g} px" if limit < LARGEST else f"{LARGEST} px, for memory"
    return min(wanted, limit), reason if wanted <= limit else f"{reason} is more than {cap}, which limits it"


def _over(number: float, values: np.ndarray) -> np.ndarray:
    quotient: np.ndarray = np.divide(number, values, out=np.zeros(len(values)), where=values > 0)
    return quotient


def _of_mean_1(values: np.ndarray) -> list[float]:
    there = values[values > 0]
    return [float(f"{value:.4g}") for value in values / (there.mean() if len(there) else 1.0)]
