"""Puts samples together as batches: each is written to its place as it comes, in memory that may be shared."""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

import numpy as np
import torch

from segtrain.aug.policy import channels_first
from segtrain.padding import Size, grown_size, pad_to

Batch = dict[str, torch.Tensor]

ALIGNED = 64  # bytes: every tensor begins with a line of the processor's cache


class Room:
    """Gives tensors, one after the other, in the memory that it was handed, as long as they fit; then in new memory."""

    def __init__(self, memory: torch.Tensor | None = None) -> None:
        """Takes bytes (n,) uint8; None: each tensor gets memory of its own."""
        self.memory, self.used = memory, 0

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Returns a tensor whose content is not set."""
        size = math.prod(shape) * dtype.itemsize
        if self.memory is None or self.used + size > len(self.memory):
            return torch.empty(shape, dtype=dtype)
        taken = self.memory[self.used : self.used + size]
        self.used += aligned(size)
        return taken.view(dtype).view(shape)

    def place(self, tensor: torch.Tensor) -> int | None:
        """Returns at which byte of the memory a tensor begins; None where it lies elsewhere."""
        if self.memory is None:
            return None
        begin = tensor.data_ptr() - self.memory.data_ptr()
        return begin if 0 <= begin < len(self.memory) else None


def aligned(size: int) -> int:
    """Returns the bytes after which the next tensor may begin."""
    return -(-size // ALIGNED) * ALIGNED


def to_tensors(image: np.ndarray, mask: np.ndarray, index: int) -> Batch:
    """Returns image (C, H, W) and mask (H, W) as tensors: uint8 or float32, and uint8; index () int64.

    uint8 travels as it is and is normalised by the module, on its device; uint16 becomes float32.
    """
    image = image if image.dtype == np.uint8 else image.astype(np.float32)
    mask = mask if mask.flags.writeable else mask.copy()  # of a cache: torch wants memory that may be written
    return {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask), "index": torch.tensor(index)}


def stack(samples: Iterable[Batch], number: int, ignore_index: int, room: Room) -> Batch:
    """Returns one batch: image (N, C, H, W), mask (N, H, W), index (N,); smaller samples are padded to the largest.

    Args:
        samples: to be taken one by one.
        number: of samples, N.
        ignore_index: the label of what is padded.
        room: what the batch is written to.
    """
    rows, others = _stack_alike(samples, number, room)
    size = grown_size((rows["mask"].shape[1], rows["mask"].shape[2]))
    if not others and tuple(rows["mask"].shape[1:]) == size:
        return rows
    all_of_them = [*_samples_of(rows, number - len(others)), *others]
    height, width = (max(sample["mask"].shape[i] for sample in all_of_them) for i in (0, 1))
    size = grown_size((height, width))
    return _stack_alike((_grown(sample, size, ignore_index) for sample in all_of_them), number, room)[0]


def stack_by_size(samples: Iterable[Batch], number: int, room: Room) -> list[Batch]:
    """Returns batches of equal size each, so that a prediction never depends on its neighbours in the batch."""
    rows, others = _stack_alike(samples, number, room)
    if not others:
        return [rows] if rows else []  # of a process that has no batch any more, while another one does
    groups: dict[tuple[int, ...], list[Batch]] = defaultdict(list)
    for sample in chain(_samples_of(rows, number - len(others)), others):
        groups[tuple(sample["mask"].shape)].append(sample)
    return [_stack_alike(group, len(group), room)[0] for group in groups.values()]


def _stack_alike(samples: Iterable[Batch], number: int, room: Room) -> tuple[Batch, list[Batch]]:
    """Returns the samples as rows, up to the first of another size; and that one with all behind it."""
    rows: Batch = {}
    taken = iter(samples)
    for row, sample in enumerate(taken):
        if not rows:
            rows = {key: room.empty((number, *value.shape), value.dtype) for key, value in sample.items()}
        if any(value.shape != rows[key].shape[1:] or value.dtype != rows[key].dtype for key, value in sample.items()):
            return rows, [sample, *taken]
        for key, value in sample.items():
            rows[key][row] = value
    return rows, []


def _samples_of(rows: Batch, number: int) -> list[Batch]:
    return [{key: values[row] for key, values in rows.items()} for row in range(number)]


def _grown(sample: Batch, size: Size, ignore_index: int) -> Batch:
    if tuple(sample["mask"].shape) == size:
        return sample
    image = sample["image"].numpy().transpose(1, 2, 0)
    image, mask = pad_to(image, sample["mask"].numpy(), size, ignore_index)
    return to_tensors(channels_first(image), mask, int(sample["index"]))
