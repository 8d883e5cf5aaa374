"""Makes batches of a dataset: which sample comes when, its augmentation, and the fixed tail behind it."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import BatchSampler, Dataset, Sampler

from segtrain.aug.policy import Key, Pair, Policy, channels_first
from segtrain.data.batch import Batch, stack, stack_by_size, to_tensors
from segtrain.data.datasets import Sample, SegmentationDataset
from segtrain.data.feed import Feed, Reading
from segtrain.data.share import WHOLE
from segtrain.data.split import Split
from segtrain.lightning import L
from segtrain.padding import NO_SIZE, Size, grown_size, pad_to

Place = tuple[int, int, int]  # epoch, sample, view

FEEDS = 3  # of training, validation and test; each has its processes


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
        self.reading, self.in_worker, self.least = Reading(num_workers, FEEDS), in_worker, least
        self.share = WHOLE  # of the batches, where several processes train together

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

    def train_dataloader(self) -> Feed:
        """Returns batches `stack`ed from keyed samples."""
        samples = TrainSamples(self.dataset, self.policy, self.seed, self.reading)
        collate = functools.partial(stack, ignore_index=self.dataset.ignore_index)
        keys: Any = self.sampler()
        if self.share != WHOLE:
            keys = self.share.of_training(keys, self.batch_size)
        return self._feed(samples, BatchSampler(keys, self.share.size(self.batch_size), drop_last=False), collate)

    def val_dataloader(self) -> Feed:
        """Returns lists of batches of equal size, in the order of the split."""
        return self._evaluating(self.validated, 1)

    def test_dataloader(self) -> Feed:
        """Returns lists of batches as `val_dataloader` does, for the test split."""
        return self._evaluating(self.tested, 2)

    def _evaluating(self, indices: Sequence[int], number: int) -> Feed:
        samples = PlainSamples(self.dataset, indices, self.reading, self.least, number)
        return self._feed(samples, self.share.of_evaluation(len(indices), self.batch_size), stack_by_size)

    def _feed(self, samples: Dataset[Batch], batches: Any, collate: Any) -> Feed:
        return Feed(samples, batches, collate, workers=self.num_workers, in_worker=self.in_worker)


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
        feed: int = 0,
    ) -> None:
        """Takes the samples `indices` of `dataset`, in that order, grown to at least `least`, for a feed's number."""
        self.dataset, self.indices = dataset, indices
        self.reading, self.least, self.feed = reading, least, feed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        index = self.indices[position]
        if self.reading is not None:
            self.reading.note(index, self.feed)
        image, mask = self.dataset.read(index)
        size = mask.shape[0], mask.shape[1]
        image, mask = pad_to(image, mask, grown_size(size, self.least), self.dataset.ignore_index)
        return {**to_tensors(channels_first(image), mask, index), "size": torch.tensor(size)}
