"""Images of any size through a network, whole or by overlapping windows that are blended into one another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segtrain.errors import UserError

Model = Callable[[Tensor], Tensor]  # images (N, C, H, W) as stored to logits (N, K, H, W)
Read = Callable[[int, int], Tensor]  # rows from, to (exclusive) of an image: (C, rows, W) as stored

STRIDE = 32  # the deepest encoders halve the image five times; segtrain.data.datamodule pads to the same
SIGMA = 0.125  # of the Gaussian, in sides of the window. Source: Isensee et al. 2021, nnU-Net; MONAI's default


@dataclass(frozen=True)
class Windows:
    """Windows of `size` pixels, a side or (height, width), that share at least `overlap` of it with the next one.

    `batch` of them go through the network at once.
    """

    size: int | tuple[int, int] = 512
    overlap: float = 0.25
    batch: int = 4

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

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width."""
        return (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)


def windowed(model: Model, image: Tensor, windows: Windows | None, *, stride: int = STRIDE) -> Tensor:
    """Logits (K, H, W) float32 of an image (C, H, W) as stored, on the image's device; see `bands`."""
    size = (image.shape[-2], image.shape[-1])
    found = [band for _, band in bands(model, lambda top, end: image[:, top:end], size, windows, stride=stride)]
    return found[0] if len(found) == 1 else torch.cat(found, 1)


def bands(
    model: Model, read: Read, size: tuple[int, int], windows: Windows | None, *, stride: int = STRIDE
) -> Iterator[tuple[int, Tensor]]:
    """The logits of an image (H, W) from the top: first row and logits (K, rows, W) float32 of band after band.

    The image is grown at the bottom and right by reflection to multiples of the stride, as in training's evaluation,
    and what was added is cut off again. None: one band, the whole image at once. With windows, only a row of them is in
    memory. Windows lie on the stride's grid, evenly spread; each pixel is the mean of its windows' logits weighted by
    a Gaussian about their middles, so where they agree the mean is what they say.
    """
    (height, width), rows, columns = size, reflected(size[0], stride), reflected(size[1], stride)
    tall, wide = (len(rows), len(columns)) if windows is None else windows.sides
    overlap, batch = (0.0, 1) if windows is None else (windows.overlap, windows.batch)
    tops, lefts = places(len(rows), tall, overlap, stride), places(len(columns), wide, overlap, stride)
    down, across = shares(tops, min(tall, len(rows))), shares(lefts, min(wide, len(columns)))
    rest: Tensor | None = None  # what windows above gave to the rows of this band
    for number, (top, end) in enumerate(zip(tops, [*tops[1:], len(rows)], strict=True)):
        band = _across(model, _strip(read, rows[top : top + tall], columns), lefts, across, batch)
        if len(tops) > 1:
            band *= down[number].to(band.device)[:, None]
        if rest is not None:
            band[:, : rest.shape[1]] += rest
        yield top, band[:, : min(end, height) - top, :width]
        rest = band[:, end - top :]


def reflected(length: int, stride: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which row stands at each place once an image of `length` rows is grown to a multiple of the stride.

    The rule of `segtrain.aug.policy.pad_to`: reflection without the last row itself, and again where that runs out.
    """
    return np.pad(np.arange(length), (0, -length % stride), mode="reflect")


def places(length: int, side: int, overlap: float, stride: int = STRIDE) -> list[int]:
    """Where windows of a side begin along a length, all multiples of the stride: evenly spread from end to end."""
    room = max(0, length - side) // stride
    step = max(1, int(side * (1 - overlap) + 1e-6) // stride)
    count = -(-room // step) + 1
    return [stride * round(room * number / max(1, count - 1)) for number in range(count)]


def shares(starts: list[int], side: int) -> Tensor:
    """The share (windows, side) float32 that each window has in each of its pixels along one axis; they add up to 1.

    The two axes' shares multiply to those of the plane, since windows stand in rows and columns.
    """
    middle = (side - 1) / 2
    weight = np.exp(-0.5 * ((np.arange(side) - middle) / (SIGMA * side)) ** 2)
    total = np.zeros(starts[-1] + side)
    for start in starts:
        total[start : start + side] += weight
    return torch.tensor(np.stack([weight / total[start : start + side] for start in starts]), dtype=torch.float32)


def _strip(read: Read, rows: np.ndarray[tuple[int], np.dtype[np.intp]], columns: np.ndarray) -> Tensor:
    """The rows (C, rows, columns) of the grown image; only those it takes are read."""
    first, last = int(rows.min()), int(rows.max())
    strip = read(first, last + 1)
    if len(rows) != strip.shape[1]:
        strip = strip[:, torch.from_numpy(rows - first).to(strip.device)]
    if len(columns) != strip.shape[2]:
        strip = strip[:, :, torch.from_numpy(columns).to(strip.device)]
    return strip


def _across(model: Model, strip: Tensor, lefts: list[int], across: Tensor, batch: int) -> Tensor:
    """Logits (K, h, W) float32 of a strip (C, h, W) as high as a window, blended from left to right."""
    if len(lefts) == 1:
        return model(strip[None])[0].float()
    blended: Tensor | None = None
    weights, wide = across.to(strip.device), across.shape[1]
    for first in range(0, len(lefts), batch):
        some = lefts[first : first + batch]
        logits = model(torch.stack([strip[:, :, left : left + wide] for left in some])).float()
        if blended is None:  # in the layout of the logits: adding is then as fast as memory
            shape = (logits.shape[1], *strip.shape[1:])
            layout = torch.channels_last if logits.is_contiguous(memory_format=torch.channels_last) else None
            blended = torch.zeros(1, *shape, device=logits.device).contiguous(
                memory_format=layout or torch.contiguous_format
            )[0]
        for number, left in enumerate(some, first):
            blended[:, :, left : left + wide].addcmul_(logits[number - first], weights[number])
    assert blended is not None
    return blended
