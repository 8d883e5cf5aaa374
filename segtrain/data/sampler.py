"""Says which sample comes when, as a function of (seed, epoch), so that order survives workers and restarts."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

Key = tuple[int, int, int]


class EpochSampler(Sampler[Key]):
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

    def __iter__(self) -> Iterator[Key]:
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
