"""Divides the samples of a training among the processes that train together."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch.utils.data import Sampler


class Share(NamedTuple):
    """Says which part one process has: of each batch in training, and of the batches in evaluation."""

    rank: int = 0  # of the process
    ranks: int = 1  # how many processes there are

    def size(self, batch: int) -> int:
        """Returns how many samples of a training batch of so many it has: shares differ by one at most."""
        low, high = self._bounds(batch)
        return high - low

    def of_training(self, keys: "EpochKeys", batch: int) -> "SharedSampler":
        """Returns its samples of each batch, which lie beside each other: all shares in turn are the batch."""
        return SharedSampler(keys, batch, *self._bounds(batch))

    def of_evaluation(self, samples: int, batch: int) -> list[list[int]]:
        """Returns the places of its samples, batch by batch; every process has as many batches, the last maybe empty.

        Batches are dealt out whole, so that what comes out of one is to the bit what it is in one process.
        """
        whole = [list(range(low, min(low + batch, samples))) for low in range(0, samples, batch)]
        mine = whole[self.rank :: self.ranks]
        return mine + [[]] * (-(-len(whole) // self.ranks) - len(mine))

    def _bounds(self, batch: int) -> tuple[int, int]:
        return self.rank * batch // self.ranks, (self.rank + 1) * batch // self.ranks


WHOLE = Share()


class EpochKeys(Protocol):
    """Yields the keys (epoch, sample, view) of an epoch, from a batch on; its length is that of the whole epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[int, int, int]]: ...


class SharedSampler(Sampler[tuple[int, int, int]]):
    """Yields of each batch of keys those from number `low` to below `high`."""

    def __init__(self, keys: EpochKeys, batch: int, low: int, high: int) -> None:
        """Takes the keys, which begin with a batch."""
        self.keys, self.batch, self.low, self.high = keys, batch, low, high

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls this before each."""
        self.keys.set_epoch(epoch)

    def __len__(self) -> int:
        """Returns the keys of a whole epoch, skipped ones included."""
        return len(self.keys) // self.batch * (self.high - self.low)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        for number, key in enumerate(self.keys):
            if self.low <= number % self.batch < self.high:
                yield key
