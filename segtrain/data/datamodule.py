"""Makes batches of a dataset: which sample comes when, its augmentation, and the fixed tail behind it."""

import functools
import itertools
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from segtrain.aug.policy import Key, Pair, Policy, channels_first
from segtrain.data.datasets import Sample, SegmentationDataset
from segtrain.data.split import Split
from segtrain.lightning import L
from segtrain.padding import NO_SIZE, Size, grown_size, pad_to

Place = tuple[int, int, int]  # epoch, sample, view
Batch = dict[str, torch.Tensor]


class EpochSampler(Sampler[Place]):
    """Yields the keys (epoch, sample index, view) of one training epoch.

    The order is a permutation of the indices drawn from (seed, epoch, view); an epoch longer than the data goes on
    with the permutation of the next view, so that a sample seen twice in an epoch is drawn afresh.
    With weights each is drawn by itself, so that a sample comes in proportion to its own; its view is its place in the
    epoch.
    A resumed epoch begins at `start`: what came before is skipped by number, no sample of it is read.
    """

    def __init__(
        self,
        indices: Sequence[int],
        seed: int,
        length: int,
        epoch: int = 0,
        start: int = 0,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Takes `indices`, with `length` keys an epoch, at first those of `epoch` from number `start` on."""
        self.indices, self.seed, self.length = np.asarray(indices), seed, length
        self.epoch, self.start = epoch, start
        self.shares = None if weights is None else np.asarray(weights) / np.sum(weights)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls this before each. Another epoch begins at its beginning."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Returns the keys of a whole epoch, skipped ones included: Lightning counts them as done."""
        return self.length

    def __iter__(self) -> Iterator[Place]:
        epoch, order = self.epoch, np.empty(0, np.int64)
        for position in range(self.start, self.length):
            part, i = divmod(position, len(self.indices))
            if i == 0 or position == self.start:
                order = self._order(np.random.default_rng([self.seed, epoch, part]))
            yield epoch, int(order[i]), part if self.shares is None else position

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        if self.shares is None:
            return rng.permutation(self.indices)
        return rng.choice(self.indices, len(self.indices), p=self.shares)


class Augment(Protocol):
    """Augments a sample: a policy, or one chosen by the key's epoch."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns image (h, w, C) and mask (h, w) of a draw."""

    def tensors(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the same with the image's channels first."""

    def at(self, epoch: int) -> Policy:
        """Returns the policy of an epoch."""


class Reading:
    """Holds a row for each loader process in memory that all share: its process id, and its sample."""

    def __init__(self, workers: int) -> None:
        """Makes rows for this many processes."""
        self._shared = torch.full((max(1, workers), 2), -1, dtype=torch.int64)
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self._table = self._shared.numpy()

    def __getstate__(self) -> torch.Tensor:
        """Returns the tensor: a spawned process is handed its memory, not a copy."""
        return self._shared

    def __setstate__(self, shared: torch.Tensor) -> None:
        self._shared, self._table = shared, shared.numpy()

    def note(self, index: int) -> None:
        """Notes that this process begins with the sample of that index; nothing in the training process itself."""
        worker = get_worker_info()
        if worker is not None:
            self._table[worker.id] = os.getpid(), index

    def dead(self) -> list[int]:
        """Returns the loader processes that live no more."""
        alive = {process.pid for process in multiprocessing.active_children()}
        return [pid for pid, index in self._table.tolist() if index >= 0 and pid not in alive]

    def of(self, process: int) -> int | None:
        """Returns the index of the sample that a process began with last; None where it began with none."""
        return next((int(index) for pid, index in self._table.tolist() if pid == process and index >= 0), None)


class DataModule(L.LightningDataModule):
    """Makes the loaders of the three splits; training goes through the policy, evaluation sees whole images."""

    def __init__(
        self,
        dataset: SegmentationDataset,
        split: Split,
        policy: Augment,
        *,
        seed: int,
        batch_size: int,
        steps_per_epoch: int | None = None,
        num_workers: int = 0,
        weights: Sequence[float] | None = None,
        in_worker: Callable[[], None] | None = None,
        least: Size = NO_SIZE,
        validated: Sequence[int] | None = None,
        tested: Sequence[int] | None = None,
    ) -> None:
        """Holds the parts; nothing is read yet.

        Args:
            dataset, split, policy: what to read, which sample goes where, how training samples are augmented.
            seed: of order and augmentation.
            batch_size: samples a batch, in training and evaluation.
            steps_per_epoch: training batches an epoch; None is one pass over the data, the odd rest left out.
            num_workers: loader processes; 0 loads in the training process. Results do not depend on it.
            weights: of the training samples, in the order of `split.train`: how often each comes; None: all alike.
            in_worker: called in each loader process as it starts.
            least: height and width in pixels to which images are grown at least in evaluation: training's crop.
            validated, tested: which of the samples of val and test are; None: all of them.
        """
        super().__init__()
        self.dataset, self.split, self.policy = dataset, split, policy
        self.seed, self.batch_size, self.num_workers = seed, batch_size, num_workers
        self.steps_per_epoch = steps_per_epoch or max(1, len(split.train) // batch_size)
        self.validated = split.val if validated is None else validated
        self.tested = split.test if tested is None else tested
        self.epoch, self.batches = 0, 0  # where training stands: batches done of an epoch; who trains keeps it
        self.weights = weights
        self.reading, self.in_worker, self.least = Reading(num_workers), in_worker, least

    def sampler(self) -> EpochSampler:
        """Returns the keys of training from where it stands."""
        return self._sampler(self.epoch, self.batches)

    def keys(self, epoch: int, number: int) -> list[tuple[int, int]]:
        """Returns (index, view) of the samples of batch `number` of an epoch, both from 0."""
        keys = itertools.islice(self._sampler(epoch, number), self.batch_size)
        return [(index, view) for _, index, view in keys]

    def _sampler(self, epoch: int, batches: int) -> EpochSampler:
        length, start = self.steps_per_epoch * self.batch_size, batches * self.batch_size
        return EpochSampler(self.split.train, self.seed, length, epoch, start, self.weights)

    def state_dict(self) -> dict[str, int]:
        """Returns where training stands, for a checkpoint."""
        return {"epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Goes on from there: the next `train_dataloader` begins with the batch that would have come."""
        self.epoch, self.batches = state_dict["epoch"], state_dict["batches"]

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns batches `stack`ed from keyed samples."""
        samples = TrainSamples(self.dataset, self.policy, self.seed, self.reading)
        collate = functools.partial(stack, ignore_index=self.dataset.ignore_index)
        return self._loader(samples, collate, sampler=self.sampler(), persistent_workers=self.num_workers > 0)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns lists of batches of equal size, in the order of the split."""
        return self._loader(PlainSamples(self.dataset, self.validated, self.reading, self.least), stack_by_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns lists of batches as `val_dataloader` does, for the test split."""
        return self._loader(PlainSamples(self.dataset, self.tested, self.reading, self.least), stack_by_size)

    def _loader(self, samples: Dataset[Batch], collate: Any, **options: Any) -> DataLoader[Any]:
        if self.num_workers:
            cv2.setNumThreads(0)  # a fork while a thread of OpenCV's holds its lock would leave it locked in the worker
        return DataLoader(
            samples,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate,
            worker_init_fn=functools.partial(_start_worker, self.in_worker),
            generator=torch.Generator(),  # a loader's own draw, of seeds we do not use, must not move torch's state
            pin_memory=torch.cuda.is_available(),
            **options,
        )


class TrainSamples(Dataset[Batch]):
    """Gives augmented samples by key (epoch, index, view); same key, same sample, in any process."""

    def __init__(
        self, dataset: SegmentationDataset, policy: Augment, seed: int, reading: Reading | None = None
    ) -> None:
        """Takes samples of `dataset` through `policy`; `seed` is the first part of every key."""
        self.dataset, self.policy, self.seed = dataset, policy, seed
        self.reading = reading

    def __getitem__(self, key: tuple[int, int, int]) -> Batch:
        epoch, index, view = key
        if self.reading is not None:
            self.reading.note(index)
        planes, mask = self.policy.tensors(*self.dataset.read(index), (self.seed, epoch, index, view))
        return to_tensors(planes, mask, index)


class Source(Protocol):
    """Names what is read of a dataset."""

    @property
    def ignore_index(self) -> int:
        """Returns the label in masks that counts nowhere."""

    def read(self, index: int) -> Sample:
        """Returns the sample of an index."""


class PlainSamples(Dataset[Batch]):
    """Gives samples as they are, padded to a multiple of the network's stride; `size` (2,) is that without padding.

    The test of a training and `evaluate` both read by it.
    """

    def __init__(
        self,
        dataset: Source,
        indices: Sequence[int],
        reading: Reading | None = None,
        least: Size = NO_SIZE,
    ) -> None:
        """Takes the samples `indices` of `dataset`, in that order, grown to at least the size `least`."""
        self.dataset, self.indices = dataset, indices
        self.reading, self.least = reading, least

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        index = self.indices[position]
        if self.reading is not None:
            self.reading.note(index)
        image, mask = self.dataset.read(index)
        size = mask.shape[0], mask.shape[1]
        image, mask = pad_to(image, mask, grown_size(size, self.least), self.dataset.ignore_index)
        return {**to_tensors(channels_first(image), mask, index), "size": torch.tensor(size)}


def to_tensors(image: np.ndarray, mask: np.ndarray, index: int) -> Batch:
    """Returns image (C, H, W) and mask (H, W) as tensors: uint8 or float32, and uint8; index () int64.

    uint8 travels as it is and is normalised by the module, on its device; uint16 becomes float32.
    """
    image = image if image.dtype == np.uint8 else image.astype(np.float32)
    mask = mask if mask.flags.writeable else mask.copy()  # of a cache: torch wants memory that may be written
    return {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask), "index": torch.tensor(index)}


def stack(samples: Sequence[Batch], ignore_index: int) -> Batch:
    """Returns one batch: image (N, C, H, W), mask (N, H, W), index (N,); smaller samples are padded to the largest."""
    height, width = (max(s["mask"].shape[i] for s in samples) for i in (0, 1))
    size = grown_size((height, width))
    return {key: torch.stack([_grown(s, size, ignore_index)[key] for s in samples]) for key in samples[0]}


def stack_by_size(samples: Sequence[Batch]) -> list[Batch]:
    """Returns batches of equal size each, so that a prediction never depends on its neighbours in the batch."""
    groups: dict[tuple[int, ...], list[Batch]] = defaultdict(list)
    for sample in samples:
        groups[tuple(sample["mask"].shape)].append(sample)
    return [{key: torch.stack([s[key] for s in group]) for key in group[0]} for group in groups.values()]


def _grown(sample: Batch, size: Size, ignore_index: int) -> Batch:
    if tuple(sample["mask"].shape) == size:
        return sample
    image = sample["image"].numpy().transpose(1, 2, 0)
    image, mask = pad_to(image, sample["mask"].numpy(), size, ignore_index)
    return to_tensors(channels_first(image), mask, int(sample["index"]))


def _start_worker(also: Callable[[], None] | None, _: int) -> None:
    if also is not None:
        also()
    cv2.setNumThreads(0)  # processes are the parallelism here; OpenCV's own threads would fight for the same cores
