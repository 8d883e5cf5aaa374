"""Which sample comes when: a function of (seed, epoch), so that order survives workers, ranks and restarts."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

Key = tuple[int, int, int]


class EpochSampler(Sampler[Key]):
    """Keys (epoch, sample index, view) of one training epoch.

    The order is a permutation of the indices drawn from (seed, epoch, view); an epoch longer than the data goes on
    with the permutation of the next view, so that a sample seen twice in an epoch is drawn afresh.
    """

    def __init__(self, indices: Sequence[int], seed: int, length: int) -> None:
        """Sampler over `indices` with `length` keys an epoch."""
        self.indices, self.seed, self.length, self.epoch = np.asarray(indices), seed, length, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Key]:
        for position in range(self.length):
            view, i = divmod(position, len(self.indices))
            if i == 0:
                order = np.random.default_rng([self.seed, self.epoch, view]).permutation(self.indices)
            yield self.epoch, int(order[i]), view
