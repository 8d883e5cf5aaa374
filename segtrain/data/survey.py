"""Reads every sample of a dataset once, for the facts that an audit rests on, and finds those that cannot be read.

What training does with the latter is on_bad: raise or skip. A split is assigned first, by names alone, and bad samples
leave their part afterwards: so a sample that is mended comes back where it was and moves no other, and all arms of a
sweep lose the same ones.
"""

import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from segtrain.data.datasets import SegmentationDataset
from segtrain.data.duplicates import Mark, mark
from segtrain.data.files.digest import hash_pixels
from segtrain.data.files.samples import Pixels
from segtrain.data.pixel_meaning import Span, span_of
from segtrain.data.split import PARTS, Split
from segtrain.data.statistics import Moments, moments
from segtrain.errors import Remark, UserError, hearing, noting

AT_ONCE = 16  # samples a process takes at a time
FEW = 32  # samples that are read sooner than processes start
_read_from: list[SegmentationDataset] = []  # of a process of the pool


class Seen(NamedTuple):
    """Holds what is kept of a sample that could be read."""

    height: int
    width: int
    channels: int
    dtype: str
    low: float  # of the finite values
    high: float
    finite: bool  # whether all values are
    total: tuple[float, ...]  # sum of each channel
    squares: tuple[float, ...]  # sum of squares of each channel
    pixels: dict[int, int]  # label -> pixels of it
    extent: dict[int, int]  # label -> longest side of its largest object
    mark: Mark
    mask_hash: bytes
    remarks: tuple[Remark, ...] = ()  # of its reader
    span: Span | None = None  # None: of 8 bits, or with values that are not finite

    @property
    def moments(self) -> Moments:
        """Says what the image gives to mean and standard deviation: no number where one of its pixels is none."""
        if self.finite:
            return Moments(self.height * self.width, self.total, self.squares)
        return Moments(self.height * self.width, *((math.nan,) * self.channels,) * 2)


class Unread(NamedTuple):
    """Holds why a sample could not be read; `codes` are what its mask holds that is no class."""

    reason: str
    codes: dict[str, int]
    away: bool = False  # its files could not be reached: that says nothing about the sample


Survey = dict[int, Seen | Unread]


def survey(
    dataset: SegmentationDataset,
    indices: Sequence[int],
    workers: int = 2,
    meanwhile: Callable[[], object] = lambda: None,
    shown: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Survey:
    """Returns what each of the samples is, by index.

    Args:
        dataset: read in the order of indices.
        indices: of its samples.
        workers: processes; 1, or few samples, are read in this one.
        meanwhile: called once while other processes read.
        shown: what the results run through, such as a progress bar.

    Raises:
        UserError: a process died, of memory or of a decoder.
    """
    if workers < 2 or len(indices) <= FEW:
        meanwhile()
        return dict(zip(indices, shown(survey_sample(dataset, i) for i in indices), strict=True))
    return dict(zip(indices, shown(_elsewhere(dataset, indices, workers, meanwhile)), strict=True))


def survey_sample(dataset: SegmentationDataset, index: int) -> Seen | Unread:
    """Returns the facts about one sample."""
    try:
        with hearing() as heard:
            image, mask = dataset.read(index)
    except Exception as error:  # a user's own dataset may raise anything, and the audit goes on
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        return Unread(f"{kind}{error}", getattr(error, "codes", {}), _of_the_disk(error))
    if image.shape[:2] != mask.shape:
        sizes = [
            f"{kind} {width} x {height}" for kind, (height, width) in (("image", image.shape[:2]), ("mask", mask.shape))
        ]
        return Unread(f"'{dataset.ids[index]}': image and mask differ in size; got {', '.join(sizes)}", {})
    labels = np.bincount(mask.ravel(), minlength=1)
    pixels = {int(label): int(labels[label]) for label in np.flatnonzero(labels)}
    extent = {label: _extent(mask == label) for label in pixels if label != dataset.ignore_index}
    height, width, channels = image.shape
    facts = _values(image)
    kind, marks = image.dtype.name, (mark(image), hash_pixels(mask))
    span = span_of(image) if facts[2] and kind != "uint8" else None
    return Seen(height, width, channels, kind, *facts, pixels, extent, *marks, tuple(heard), span)


class Skipping:
    """Gives a dataset some of whose samples cannot be read; all else it says is the dataset's own."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        """Takes a dataset from `open_with_bad`; nothing is read yet."""
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not there yet: unpickling asks
            raise AttributeError(name)
        return getattr(self.dataset, name)

    @cached_property
    def bad(self) -> dict[str, str]:
        """Returns what `find_unreadable` finds, over all samples."""
        return find_unreadable(self.dataset, range(len(self.dataset.ids)))


def open_with_bad(open_it: Callable[[], SegmentationDataset]) -> SegmentationDataset:
    """Returns the dataset, opened though some of its files are broken.

    Raises:
        UserError: something is wrong that leaving samples out does not mend, such as an image without a mask.
    """
    with noting() as noted:
        dataset = open_it()
    if noted:
        raise UserError(noted[0].message)
    return dataset


def find_unreadable(dataset: SegmentationDataset, indices: Sequence[int], workers: int = 1) -> dict[str, str]:
    """Returns id -> why, of those of the samples that cannot be read; every one is tried.

    Raises:
        UserError: a file cannot be reached, because of the disk, the network or its permissions: another run might
            read it, and runs that are compared must not differ in their data.
    """
    found = survey(dataset, indices, workers)
    bad = {dataset.ids[index]: one for index, one in found.items() if isinstance(one, Unread)}
    for name, one in bad.items():
        if one.away:
            raise UserError(
                f"sample '{name}' cannot be reached, which on_bad=skip does not leave out: another run might read it, "
                f"and its data would differ; got: {one.reason}"
            )
    return {name: one.reason for name, one in bad.items()}


def leave_out_bad(split: Split, ids: Mapping[str, int], bad: Mapping[str, str]) -> Split:
    """Returns the split with the samples `bad` (id -> why) moved to `unused`.

    Args:
        split: as it was assigned.
        ids: id -> index.
        bad: as `find_unreadable` found it, or split.json holds it; ids that are gone count for nothing.

    Raises:
        UserError: nothing is left of a part.
    """
    gone = {ids[name] for name in bad if name in ids}
    parts = {part: tuple(i for i in getattr(split, part) if i not in gone) for part in PARTS}
    for part in PARTS:
        if not parts[part]:
            name, reason = next((name, why) for name, why in bad.items() if ids.get(name) in getattr(split, part))
            raise UserError(
                f"no sample of {part} can be read, so on_bad=skip leaves none; expected at least one; "
                f"got, for '{name}': {reason}"
            )
    return Split(parts["train"], parts["val"], parts["test"], tuple(sorted({*split.unused, *gone})))


def _start(dataset: SegmentationDataset) -> None:
    cv2.setNumThreads(0)  # processes are the parallelism
    _read_from[:] = [dataset]


def _look(index: int) -> Seen | Unread:
    return survey_sample(_read_from[0], index)


def _elsewhere(
    dataset: SegmentationDataset, indices: Sequence[int], workers: int, meanwhile: Callable[[], object]
) -> Iterator[Seen | Unread]:
    # as a loader's workers start: a fork, where there is one, takes no import and no copy
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
    pool = ProcessPoolExecutor(workers, context, _start, (dataset,))
    try:
        found = pool.map(_look, indices, chunksize=AT_ONCE)
        meanwhile()
        yield from found
    except BrokenProcessPool as error:
        raise UserError(
            "a process that read the data died; expected it to say what is wrong with a sample; got no word: out of "
            "memory, or a decoder that crashed on a file; try workers=1, which shows what it dies of"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _of_the_disk(error: BaseException | None) -> bool:
    """Returns whether the system failed, not the file: decoders raise OSError too, but without a number."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return True
        error = error.__cause__ or error.__context__
    return False


def _values(image: Pixels) -> tuple[float, float, bool, tuple[float, ...], tuple[float, ...]]:
    """Returns lowest and highest finite value, whether all are finite, and each channel's sum and sum of squares."""
    good = np.isfinite(image)
    whole = bool(good.all())
    sums = moments(image if whole else np.where(good, image, 0))
    finite = image if whole else image[good]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return low, high, whole, sums.total, sums.squares


def _extent(region: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Returns the longest side, in pixels, of the box about the largest connected piece."""
    stats = np.asarray(cv2.connectedComponentsWithStats(region.astype(np.uint8))[2])[1:]
    largest = stats[stats[:, cv2.CC_STAT_AREA].argmax()]
    return int(max(largest[cv2.CC_STAT_WIDTH], largest[cv2.CC_STAT_HEIGHT]))
