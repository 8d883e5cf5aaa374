"""Takes images of any size through a network, whole or by overlapping windows, blended into one another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segtrain.errors import UserError
from segtrain.padding import NO_SIZE, STRIDE, Size, reflected

Model = Callable[[Tensor], Tensor]  # images (N, C, H, W) as stored to logits (N, K, H, W)
Read = Callable[[int, int], Tensor]  # rows from, to (exclusive) of an image: (C, rows, W) as stored

SIGMA = 0.125  # of the Gaussian, in sides of the window. Source: Isensee et al. 2021, nnU-Net; MONAI's default


@dataclass(frozen=True)
class Windows:
    """Describes windows of `size` pixels, a side or (height, width), that share at least `overlap` with the next one.

    `batch` of them go through the network at once; `joined`, neighbours in a row as one wide window of at most as many
    pixels: what they share is then computed once, and there are fewer seams.
    """

    size: int | tuple[int, int] = 512
    overlap: float = 0.25
    batch: int = 4
    joined: bool = True

    def __post_init__(self) -> None:
        sides = self.sides
        if len(sides) != 2 or not all(type(side) is int and side >= STRIDE and side % STRIDE == 0 for side in sides):
            raise UserError(
                f"window is {self.size!r}; expected a side or [height, width] in pixels, multiples of {STRIDE}: "
                "the network halves a window five times"
            )
        if isinstance(self.overlap, bool) or not 0 <= self.overlap < 1:
            raise UserError(f"overlap is {self.overlap!r}; expected a share of the window from 0, below 1")
        if type(self.batch) is not int or self.batch < 1:
            raise UserError(f"the batch of windows is {self.batch!r}; expected a whole number from 1")

    def of_at_least(self, size: Size) -> "Windows":
        """Returns these windows, or where a side is smaller than that of `size`, in pixels, as large."""
        height, width = (max(mine, other) for mine, other in zip(self.sides, size, strict=True))
        return self if (height, width) == self.sides else replace(self, size=(height, width))

    @property
    def sides(self) -> tuple[int, ...]:
        """Returns height and width."""
        return tuple(self.size) if isinstance(self.size, tuple) else (self.size, self.size)


def windowed(
    model: Model, image: Tensor, windows: Windows | None, *, stride: int = STRIDE, least: Size = NO_SIZE
) -> Tensor:
    """Returns logits (K, H, W) float32 of an image (C, H, W) as stored, on the image's device; see `bands`."""
    size = (image.shape[-2], image.shape[-1])
    cut = bands(model, lambda top, end: image[:, top:end], size, windows, stride=stride, least=least)
    found = [band for _, band in cut]
    return found[0] if len(found) == 1 else torch.cat(found, 1)


def bands(
    model: Model, read: Read, size: Size, windows: Windows | None, *, stride: int = STRIDE, least: Size = NO_SIZE
) -> Iterator[tuple[int, Tensor]]:
    """Yields the logits of an image (H, W) from the top: first row and logits (K, rows, W) float32 of each band.

    The image is grown at the bottom and right by reflection to multiples of the stride, as in training's evaluation,
    and what was added is cut off again. None: one band, the whole image at once. With windows, only a row of them is in
    memory. Windows lie on the stride's grid, evenly spread; each pixel is the mean of its windows' logits weighted by
    a Gaussian about their middles, so where they agree the mean is what they say. `least` is the size, multiples of
    the stride, to which smaller images are grown, such as the training's crop.
    """
    height, width = size
    rows, columns = (
        reflected(length, max(-(-length // stride) * stride, side)) for length, side in zip(size, least, strict=True)
    )
    down = _Cut.of(len(rows), None, stride) if windows is None else _Cut.down(len(rows), windows, stride)
    across = _Cut.of(len(columns), None, stride) if windows is None else _Cut.across(len(columns), windows, stride)
    batch = 1 if windows is None or windows.joined else windows.batch
    rest: Tensor | None = None  # what windows above gave to the rows of this band
    for number, (top, end) in enumerate(zip(down.starts, [*down.starts[1:], len(rows)], strict=True)):
        band = _across(model, _strip(read, rows[top : top + down.side], columns), across, batch)
        if len(down.starts) > 1:
            band *= down.shares[number].to(band.device)[:, None]
        if rest is not None:
            band[:, : rest.shape[1]] += rest
        yield top, band[:, : min(end, height) - top, :width]
        rest = band[:, end - top :]


class _Cut(NamedTuple):
    """Holds windows along one axis: starts, length, and the share (windows, side) of each in its pixels.

    The shares add up to 1 in each pixel. The two axes' shares multiply to those of the plane, since windows stand in
    rows and columns.
    """

    starts: list[int]
    side: int
    shares: Tensor

    @classmethod
    def of(cls, length: int, side: int | None, stride: int, shared: int = 0, usual: int = 0) -> "_Cut":
        """Returns windows of so many pixels, at least `shared` of them with the next; None or too many: one of all."""
        side = length if side is None else min(side, length)
        starts = places(length, side, shared, stride)
        return cls(starts, side, shares(starts, side, usual or side))

    @classmethod
    def down(cls, length: int, windows: Windows, stride: int) -> "_Cut":
        """Returns the rows of windows."""
        side = windows.sides[0]
        return cls.of(length, side, stride, int(side * windows.overlap), side)

    @classmethod
    def across(cls, length: int, windows: Windows, stride: int) -> "_Cut":
        """Returns the windows in a row; joined ones are as few as a batch allows, and no wider than these need be."""
        usual, shared = windows.sides[1], int(windows.sides[1] * windows.overlap)
        side = usual
        if windows.joined:
            count = max(1, -(-(length - shared) // (windows.batch * usual - shared)))
            side = max(usual, -(-(length + (count - 1) * shared) // (count * stride)) * stride)
        return cls.of(length, side, stride, shared, usual)


def places(length: int, side: int, shared: int, stride: int = STRIDE) -> list[int]:
    """Returns where windows of a side begin along a length, multiples of the stride, evenly spread from end to end.

    They share at least `shared` pixels with the next one.
    """
    room, step = max(0, length - side) // stride, max(1, (side - shared) // stride)
    count = -(-room // step) + 1
    return [stride * round(room * number / max(1, count - 1)) for number in range(count)]


def shares(starts: list[int], side: int, usual: int) -> Tensor:
    """Returns the share (windows, side) float32 of windows in each of their pixels along one axis; they add up to 1.

    Weights are a Gaussian of SIGMA x `usual` about the middle; of a window longer than usual, its halves at the ends
    and 1 between them.
    """
    from_end = np.minimum(np.arange(side), np.arange(side)[::-1])
    weight = np.exp(-0.5 * (np.minimum(from_end - (usual - 1) / 2, 0) / (SIGMA * usual)) ** 2)
    total = np.zeros(starts[-1] + side)
    for start in starts:
        total[start : start + side] += weight
    return torch.tensor(np.stack([weight / total[start : start + side] for start in starts]), dtype=torch.float32)


def _strip(read: Read, rows: np.ndarray[tuple[int], np.dtype[np.intp]], columns: np.ndarray) -> Tensor:
    """Returns the rows (C, rows, columns) of the grown image; only those it takes are read."""
    first, last = int(rows.min()), int(rows.max())
    strip = read(first, last + 1)
    if not np.array_equal(rows, np.arange(first, last + 1)):  # as many, but turned round, at 65 rows of windows of 32
        strip = strip[:, torch.from_numpy(rows - first).to(strip.device)]
    if len(columns) != strip.shape[2]:
        strip = strip[:, :, torch.from_numpy(columns).to(strip.device)]
    return strip


def _across(model: Model, strip: Tensor, cut: _Cut, batch: int) -> Tensor:
    """Returns logits (K, h, W) float32 of a strip (C, h, W) as high as a window, blended from left to right."""
    if len(cut.starts) == 1:
        return model(strip[None])[0].float()
    blended: Tensor | None = None
    weights = cut.shares.to(strip.device)
    for first in range(0, len(cut.starts), batch):
        some = cut.starts[first : first + batch]
        logits = model(torch.stack([strip[:, :, left : left + cut.side] for left in some])).float()
        if blended is None:
            blended = _like(logits, strip.shape[2])
        for number, left in enumerate(some):
            blended[:, :, left : left + cut.side].addcmul_(logits[number], weights[first + number])
    assert blended is not None
    return blended


def _like(logits: Tensor, width: int) -> Tensor:
    """Returns zeros (K, h, width) in the memory layout of logits (N, K, h, w): adding is then as fast as memory."""
    classes, height = logits.shape[1:3]
    if logits.is_contiguous(memory_format=torch.channels_last):
        return torch.zeros(height, width, classes, device=logits.device).permute(2, 0, 1)
    return torch.zeros(classes, height, width, device=logits.device)
