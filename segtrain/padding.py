"""Grows images for a network by one rule for training, its evaluation, evaluate, predict, serve and exports."""

from collections.abc import Sequence

import numpy as np

Size = tuple[int, int]  # height, width in pixels

STRIDE = 32  # the deepest encoders halve the image five times
NO_SIZE: Size = (0, 0)  # as the least size of an image: none
MOST_GROWN = 1 << 28  # pixels of an image of a dataset, or of a crop, once it is grown: 16384 x 16384


def up_to_stride(length: int) -> int:
    """Returns the next multiple of the stride."""
    return -(-length // STRIDE) * STRIDE


def grown_size(size: Size, least: Size = NO_SIZE) -> Size:
    """Returns the multiples of the stride to which an image is grown: from its size, and from the least one."""
    return up_to_stride(max(size[0], least[0])), up_to_stride(max(size[1], least[1]))


def refusal_of_grown(size: Size) -> str | None:
    """Returns what is to be said of an image (H, W) that would be too large once it is grown; None where it is not.

    One row of 16 million pixels is an image of 512 million for the network.
    """
    height, width = grown_size(size)
    if height * width <= MOST_GROWN:
        return None
    return (
        f"is {size[1]} x {size[0]} pixels, {height * width} once they are grown to multiples of {STRIDE} for the "
        f"network; expected at most {MOST_GROWN}"
    )


def largest(sizes: Sequence[Size]) -> Size:
    """Returns the height and the width that each of the sizes fits into."""
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def pad_to(image: np.ndarray, mask: np.ndarray, size: Size, ignore_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns image and mask grown at the bottom and right to at least a size: image reflected, mask ignore_index.

    Args:
        image: (H, W, C).
        mask: (H, W).
        size: (h, w) in pixels.
        ignore_index: the label of what is added.
    """
    down, right = max(0, size[0] - image.shape[0]), max(0, size[1] - image.shape[1])
    if not down and not right:
        return image, mask
    image = np.pad(image, ((0, down), (0, right), (0, 0)), mode="reflect")
    return image, np.pad(mask, ((0, down), (0, right)), constant_values=ignore_index)


def reflected(length: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Returns which row stands at each place once an image of `length` rows is grown to `size`, by `pad_to`'s rule.

    Reflection without the last row itself, and again where that runs out.
    """
    return np.pad(np.arange(length), (0, max(0, size - length)), mode="reflect")
