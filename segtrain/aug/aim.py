"""Crops that hold a pixel of a class that is not the commonest, so that small classes are seen in every batch.

Source: Isensee et al. 2021, nnU-Net: a third of its patches are placed about a voxel of a class drawn uniformly.
"""

from collections.abc import Callable

import numpy as np

Point = tuple[float, float]  # y, x in pixels

_TRIES = 8  # pixels drawn until one is still in the picture after the move


def target(
    mask: np.ndarray,
    size: tuple[int, int],
    ignore_index: int,
    rng: np.random.Generator,
    lands: Callable[[Point], Point] | None = None,
) -> tuple[int, int] | None:
    """The pixel (y, x) that a crop of the result must hold; None where there is none.

    The class is drawn uniformly among those of the mask but its commonest, then a pixel of it uniformly.

    Args:
        mask: (H, W) uint8 labels before the last move.
        size: (height, width) of the result.
        ignore_index: label that is no class.
        rng: the stream of this draw alone.
        lands: from a pixel of the mask to its place in the result; None where nothing moves.
    """
    u = rng.random(1 + _TRIES).tolist()
    counts = np.bincount(mask.reshape(-1), minlength=ignore_index + 1)
    counts[ignore_index] = 0
    counts[np.argmax(counts)] = 0
    labels = np.flatnonzero(counts)
    if not len(labels):
        return None
    pixels = np.flatnonzero(mask == labels[int(u[0] * len(labels))])
    for number in u[1:]:
        y, x = divmod(int(pixels[int(number * len(pixels))]), mask.shape[1])
        y, x = (round(v) for v in lands((y, x))) if lands else (y, x)
        if 0 <= y < size[0] and 0 <= x < size[1]:
            return y, x
    return None


def start(u: float, length: int, side: int, at: int | None, drawn_margin: bool = True) -> int:
    """Where a window of `side` begins in `length` pixels, uniform by u in [0, 1); it holds `at` where that is given.

    A larger window holds all of them, its margin divided by u too, or behind them unless `drawn_margin`.
    """
    if side > length:
        return -int(u * (side - length + 1)) if drawn_margin else 0
    least, most = 0, length - side
    if at is not None:
        least, most = max(0, min(at - side + 1, most)), min(at, most)
    return least + int(u * (most - least + 1))
