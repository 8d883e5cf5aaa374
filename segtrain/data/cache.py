"""Keeps decoded samples: in memory, or in a file that is mapped and read only where it is used.

A cache changes no result. What it lacks, because it could not be read, and what has been written since, is asked of the
dataset, which gives it or says what is wrong as it does without a cache.
"""

import functools
import hashlib
import importlib.metadata
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from segtrain.data.datasets import Sample, SegmentationDataset
from segtrain.errors import UserError
from segtrain.files import opened, require_regular

SAMPLES, INDEX = "samples.bin", "index.npy"
ALIGNED = 64  # bytes: every array begins with a line of the processor's cache
DTYPES = ("uint8", "uint16", "float32")
# Of a sample: where its image and mask begin, what they are, and the dataset's stamp of it. Height 0: it is not there.
ROW = np.dtype(
    [("image", "<i8"), ("mask", "<i8"), ("height", "<i4"), ("width", "<i4"), ("dtype", "u1"), ("stamp", "<u8")]
)
# What decodes, beside our own code: other versions of these may give other pixels.
DECODERS = (
    *("datasets", "imagecodecs", "litdata", "nibabel", "nilearn", "numpy", "opencv-python-headless", "pillow"),
    *("pycocotools", "pydicom", "pylibjpeg", "tifffile"),
)
OURS = "segtrain.data."  # modules of which `_our_code` holds every one

Stamps = np.ndarray[Any, np.dtype[np.uint64]]


class KeptSamples(Protocol):
    """Gives samples by number: a list, or `Mapped`."""

    def __getitem__(self, index: int, /) -> Sample | None:
        """Returns one; None where it is not kept."""


class Cached:
    """Gives a dataset's samples as they were read before; all else it says is the dataset's own."""

    def __init__(self, dataset: SegmentationDataset, samples: KeptSamples, stamps: Stamps | None = None) -> None:
        """Keeps what `read` gives: `samples[index]`, as long as `dataset.stamp(index)` is `stamps[index]`."""
        self.dataset, self.samples = dataset, samples
        self.stamps = stamps if stamps is not None and stamps.any() else None

    def __getattr__(self, name: str) -> Any:
        if name in ("dataset", "samples"):  # not there yet: unpickling asks
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def read(self, index: int) -> Sample:
        """Returns the sample of `ids[index]`; arrays that were kept are read-only."""
        if self.stamps is None or stamp_of(self.dataset, index) == self.stamps[index]:
            kept = self.samples[index]
            if kept is not None:
                return kept
        return self.dataset.read(index)


def hold_samples(dataset: SegmentationDataset, progress: Callable[[int], None]) -> list[Sample | None]:
    """Returns all samples that can be read, decoded, in this process's memory, which forked loader processes share.

    Raises:
        UserError: they would take more than the memory that is free.
    """
    samples: list[Sample | None] = []
    left, sizes = free_memory(), 0
    for number, (sample, _) in enumerate(_read(dataset)):
        samples.append(sample)
        progress(number + 1)
        if sample is None:
            continue
        sizes += sample.image.nbytes + sample.mask.nbytes
        if sizes / (number + 1) * len(dataset.ids) > left:
            raise UserError(
                f"data.cache=ram would take about {sizes / (number + 1) * len(dataset.ids) / 2**30:.1f} GiB for "
                f"{len(dataset.ids)} decoded samples; expected at most the {left / 2**30:.1f} GiB that are free; give "
                "data.cache=disk, or null"
            )
        sample.image.flags.writeable = sample.mask.flags.writeable = False  # a change would be there in every epoch
    return samples


def stamp_of(dataset: SegmentationDataset, index: int) -> int:
    """Returns the dataset's stamp of a sample, 0 where it has none: see its contract."""
    asked: Callable[[int], int] | None = getattr(dataset, "stamp", None)
    return 0 if asked is None else asked(index)


def reading_code(dataset: Any) -> str:
    """Returns hex digits that change when what reads a dataset may: its module, our code, or `DECODERS`.

    Our own wrappers, such as the one of on_bad=skip, read nothing themselves: with and without them it is the same.
    """
    code = hashlib.blake2b(_our_code(), digest_size=10)
    while dataset is not None:
        name = type(dataset).__module__
        source = None if name.startswith(OURS) else getattr(sys.modules.get(name), "__file__", None)
        code.update(Path(source).read_bytes() if source and Path(source).is_file() else b"")
        dataset = getattr(dataset, "dataset", None)  # which another wraps
    return code.hexdigest()


@functools.cache
def _our_code() -> bytes:
    code = hashlib.blake2b(digest_size=32)
    here = Path(__file__).parent
    for file in sorted((*here.parent.glob("*.py"), *here.rglob("*.py"))):
        code.update(file.read_bytes())
    for name in DECODERS:
        try:
            code.update(f"{name} {importlib.metadata.version(name)};".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return code.digest()


def free_memory() -> int:
    """Returns the bytes that the system can give without swapping; very many where it does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 1 << 62


def pack_samples(
    dataset: SegmentationDataset, file: IO[bytes], progress: Callable[[int], None]
) -> np.ndarray[Any, np.dtype[np.void]]:
    """Writes all samples that can be read, decoded, one after the other.

    Returns:
        The index: a row of `ROW` a sample.
    """
    index = np.zeros(len(dataset.ids), ROW)
    for number, (sample, stamp) in enumerate(_read(dataset)):
        if sample is not None:
            image, mask = sample
            begins = [_append(file, array) for array in (image, mask)]
            index[number] = (*begins, *mask.shape, DTYPES.index(image.dtype.name), stamp)
        progress(number + 1)
    return index


class Mapped:
    """Gives the samples of a packed file as views into it, so that a crop reads its own rows alone."""

    def __init__(self, folder: Path, channels: int) -> None:
        """Opens `SAMPLES` and `INDEX` in the folder, of images of so many channels.

        Raises:
            UserError: the file is shorter than its index says.
        """
        self.folder, self.channels = folder, channels
        with opened(folder / INDEX) as file:
            self.index = np.load(file)
        size, needed = (folder / SAMPLES).stat().st_size, int((self.index["mask"] + self._pixels()).max(initial=0))
        if size < needed:
            raise UserError(
                f"the cache '{folder}' is damaged; expected {needed} bytes in {SAMPLES}; got {size}; delete the folder"
            )
        self._bytes: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the map out: another process makes its own."""
        return {**self.__dict__, "_bytes": None}

    def __len__(self) -> int:
        return len(self.index)

    @property
    def stamps(self) -> Stamps:
        """Returns the stamps (n,) of the samples when they were read; 0 where the fingerprint follows their files."""
        stamps: Stamps = self.index["stamp"]
        return stamps

    def __getitem__(self, number: int) -> Sample | None:
        row = self.index[number]
        if not row["height"]:
            return None
        if self._bytes is None:
            require_regular(self.folder / SAMPLES)
            self._bytes = np.memmap(self.folder / SAMPLES, mode="r").view(np.ndarray)
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


def _read(dataset: SegmentationDataset) -> Iterator[tuple[Sample | None, int]]:
    """Yields every sample in order, None where it cannot be kept, and its stamp from before."""
    yield from (_tried(dataset, index) for index in range(len(dataset.ids)))


def _tried(dataset: SegmentationDataset, index: int) -> tuple[Sample | None, int]:
    try:
        stamp, sample = stamp_of(dataset, index), dataset.read(index)
    except Exception:  # whatever it is, who asks for the sample will be told; it may be one that no part has
        return None, 0
    image, mask = sample
    fits = image.shape == (*mask.shape, dataset.channels) and image.dtype.name in DTYPES and mask.dtype == np.uint8
    return (sample, stamp) if fits else (None, 0)
