"""Flips, quarter turns and whole-pixel windows: pixels move, none is computed."""

from collections.abc import Callable

import cv2
import numpy as np

Window = tuple[int, int, int, int]  # top, left, height, width in the output
Point = tuple[float, float]  # y, x in pixels
_TRIES = 8  # pixels drawn until one is still in the picture after the move


def move(
    pixels: np.ndarray, turns: int, hflip: bool, vflip: bool, window: Window | None, border: int, fill: float
) -> np.ndarray:
    """`pixels` turned by np.rot90(turns), then flipped, then cut to the window; what lies outside is filled.

    Args:
        pixels: (H, W) or (H, W, C).
        turns: quarter turns, 0..3.
        hflip: left and right swapped after the turn.
        vflip: top and bottom swapped after the turn.
        window: may reach outside; None is the whole.
        border: a cv2 border type.
        fill: value outside with cv2.BORDER_CONSTANT.

    Returns:
        A new array, or a view of `pixels` where nothing moves.
    """
    if window is None:
        return _reorder(pixels, turns, hflip, vflip)
    height, width = pixels.shape[:2] if turns % 2 == 0 else pixels.shape[1::-1]
    top, left, h, w = window
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + h, height), min(left + w, width)
    if (y0, x0, y1, x1) == (top, left, top + h, left + w):
        return _reorder(_source(pixels, turns, hflip, vflip, (y0, x0, y1, x1)), turns, hflip, vflip)
    whole = _reorder(pixels, turns, hflip, vflip)
    margins = max(0, -top), max(0, top + h - height), max(0, -left), max(0, left + w - width)
    channels = whole.reshape(height, width, -1)
    planes = [
        cv2.copyMakeBorder(np.ascontiguousarray(channels[..., c : c + 4]), *margins, border, value=(fill,) * 4)
        for c in range(0, channels.shape[2], 4)  # cv2 fills at most four channels at once
    ]
    grown = planes[0] if len(planes) == 1 else np.dstack(planes)
    y, x = max(top, 0), max(left, 0)
    return grown[y : y + h, x : x + w].reshape(h, w, *pixels.shape[2:])


def _source(pixels: np.ndarray, turns: int, hflip: bool, vflip: bool, box: tuple[int, int, int, int]) -> np.ndarray:
    """The part of `pixels` that lands in box (y0, x0, y1, x1) of the result."""
    rows, columns = pixels.shape[:2] if turns % 2 == 0 else pixels.shape[1::-1]
    y0, x0, y1, x1 = box
    if vflip:
        y0, y1 = rows - y1, rows - y0
    if hflip:
        x0, x1 = columns - x1, columns - x0
    for _ in range(turns):  # np.rot90: result[i, j] = before[j, last - i]
        y0, x0, y1, x1 = x0, rows - y1, x1, rows - y0
        rows, columns = columns, rows
    return pixels[y0:y1, x0:x1]


_FAST = "BHf"  # uint8, uint16, float32: types that cv2 moves; the others go through numpy


_TURNS = {  # (turned counterclockwise, both flips on top): one cv2.rotate
    (True, False): cv2.ROTATE_90_COUNTERCLOCKWISE,
    (False, False): cv2.ROTATE_90_CLOCKWISE,
    (True, True): cv2.ROTATE_90_CLOCKWISE,
    (False, True): cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def _reorder(pixels: np.ndarray, turns: int, hflip: bool, vflip: bool) -> np.ndarray:
    if pixels.dtype.char not in _FAST or (pixels.ndim == 3 and pixels.shape[2] > 4):
        turned = np.rot90(pixels, turns)
        return np.ascontiguousarray(turned[:: -1 if vflip else 1, :: -1 if hflip else 1])
    if turns % 2 and hflip == vflip:
        return _shaped(cv2.rotate(pixels, _TURNS[turns == 1, hflip]), pixels)
    if turns % 2:  # transposed: a turn by 90° and a vertical flip
        pixels, vflip, hflip = _shaped(cv2.transpose(pixels), pixels), vflip != (turns == 1), hflip != (turns == 3)
    elif turns:
        hflip, vflip = not hflip, not vflip
    if not hflip and not vflip:
        return pixels
    return _shaped(cv2.flip(pixels, -1 if hflip and vflip else int(hflip)), pixels)


def _shaped(result: np.ndarray, like: np.ndarray) -> np.ndarray:
    """cv2 drops a last axis of length 1: put it back."""
    return result if result.ndim == like.ndim else result[..., None]


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
