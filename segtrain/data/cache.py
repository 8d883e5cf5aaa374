"""Decoded samples, kept: in memory, or in a file that is mapped into memory and read only where it is used."""

import math
import os
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from segtrain.data.datasets import Sample, SegmentationDataset
from segtrain.errors import UserError

SAMPLES, INDEX = "samples.bin", "index.npy"
ALIGNED = 64  # bytes: every array begins with a line of the processor's cache
DTYPES = ("uint8", "uint16", "float32")
ROW = np.dtype([("image", "<i8"), ("mask", "<i8"), ("height", "<i4"), ("width", "<i4"), ("dtype", "u1")])


class Samples(Protocol):
    """Samples by number: a list, or `Mapped`."""

    def __getitem__(self, index: int, /) -> Sample:
        """One."""


class Cached:
    """A dataset whose samples were read before; all else it says is the dataset's own."""

    def __init__(self, dataset: SegmentationDataset, samples: Samples) -> None:
        """Give `samples[index]` for `dataset.read(index)`."""
        self.dataset, self.samples = dataset, samples

    def __getattr__(self, name: str) -> Any:
        if name in ("dataset", "samples"):  # not there yet: unpickling asks
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def read(self, index: int) -> Sample:
        """The sample of `ids[index]`; its arrays are read-only."""
        return self.samples[index]


def held(dataset: SegmentationDataset, progress: Callable[[int], None], bad: Container[str] = ()) -> list[Sample]:
    """All samples but the `bad`, decoded, in the memory of this process; loader processes that are forked share it.

    Raises:
        UserError: they would take more than the memory that is free.
    """
    samples: list[Sample] = []
    left, sizes = free_memory(), 0
    for number, sample in enumerate(_read(dataset, bad)):
        sizes += sample.image.nbytes + sample.mask.nbytes
        if sizes / (number + 1) * len(dataset.ids) > left:
            raise UserError(
                f"data.cache=ram would take about {sizes / (number + 1) * len(dataset.ids) / 2**30:.1f} GiB for "
                f"{len(dataset.ids)} decoded samples; expected at most the {left / 2**30:.1f} GiB that are free; give "
                "data.cache=disk, or null"
            )
        sample.image.flags.writeable = sample.mask.flags.writeable = False  # a change would be there in every epoch
        samples.append(sample)
        progress(number + 1)
    return samples


def free_memory() -> int:
    """Bytes that the system can give without swapping; very many where it does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 1 << 62


def pack(
    dataset: SegmentationDataset, file: IO[bytes], progress: Callable[[int], None], bad: Container[str] = ()
) -> np.ndarray[Any, np.dtype[np.void]]:
    """Writes all samples but the `bad`, decoded, one after the other.

    Returns:
        The index: a row of `ROW` a sample, where in the file its image and mask begin, and what they are.
    """
    index = np.zeros(len(dataset.ids), ROW)
    for number, (image, mask) in enumerate(_read(dataset, bad)):
        begins = [_append(file, array) for array in (image, mask)]
        index[number] = (*begins, *mask.shape, DTYPES.index(image.dtype.name))
        progress(number + 1)
    return index


class Mapped:
    """The samples of a packed file: views into it, so that a crop reads its own rows alone."""

    def __init__(self, folder: Path, channels: int) -> None:
        """Of `SAMPLES` and `INDEX` in the folder, images of so many channels.

        Raises:
            UserError: the file is shorter than its index says.
        """
        self.folder, self.channels = folder, channels
        self.index = np.load(folder / INDEX)
        size, needed = (folder / SAMPLES).stat().st_size, int((self.index["mask"] + self._pixels()).max(initial=0))
        if size < needed:
            raise UserError(
                f"the cache '{folder}' is damaged; expected {needed} bytes in {SAMPLES}; got {size}; delete the folder"
            )
        self._bytes: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the map: another process makes its own."""
        return {**self.__dict__, "_bytes": None}

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Sample:
        if self._bytes is None:
            self._bytes = np.memmap(self.folder / SAMPLES, mode="r").view(np.ndarray)
        row = self.index[number]
        height, width, dtype = int(row["height"]), int(row["width"]), np.dtype(DTYPES[row["dtype"]])
        shape = height, width, self.channels
        image = self._bytes[row["image"] : row["image"] + math.prod(shape) * dtype.itemsize]
        mask = self._bytes[row["mask"] : row["mask"] + height * width]
        return Sample(image.view(dtype).reshape(shape), mask.reshape(height, width))

    def _pixels(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        pixels: np.ndarray[Any, np.dtype[np.int64]] = self.index["height"].astype(np.int64) * self.index["width"]
        return pixels


def _append(file: IO[bytes], array: np.ndarray[Any, Any]) -> int:
    """Writes the array at the next aligned place; where that is."""
    file.write(bytes(-file.tell() % ALIGNED))
    begin = file.tell()
    file.write(np.ascontiguousarray(array).data)
    return begin


def _read(dataset: SegmentationDataset, bad: Container[str]) -> Iterator[Sample]:
    """Every sample in order, of no pixels where it is bad."""
    nothing = Sample(np.zeros((0, 0, dataset.channels), np.uint8), np.zeros((0, 0), np.uint8))
    yield from (nothing if name in bad else dataset.read(index) for index, name in enumerate(dataset.ids))
