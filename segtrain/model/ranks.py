"""Holds the processes that train one network together, and pools what a loss sums over their pixels.

Each process, a rank, has a share of every batch. A loss that is a function of sums over the batch, as all of
`segtrain.model.losses` are, takes the sums over all shares: its value is that of one process with the whole batch, on
every rank, and so is the gradient. A mean of each share's own loss would be another number where shares or their
ignored pixels are unequal, and Dice, which pools the batch, would be another loss.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segtrain.errors import UserError

SIDE = 64  # pixels: a multiple of the strides of all networks that are shipped


class Ranks:
    """Holds which rank this process is, and of how many; one process alone is rank 0 of 1, and has nobody to ask."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        """Takes the rank, from 0, and how many there are; the default process group is theirs."""
        self.rank, self.count = rank, count

    @property
    def is_first(self) -> bool:
        """Returns whether this is the one rank that writes and speaks."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Returns whether there is no other."""
        return self.count == 1

    def gather(self, value: Any) -> list[Any]:
        """Returns the values of all ranks, in their order; every rank must ask."""
        if self.is_alone:
            return [value]
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found

    def agree(self, *numbers: int) -> list[int]:
        """Returns the largest of the ranks' numbers at each place; every rank must ask."""
        if self.is_alone:
            return list(numbers)
        shared = torch.tensor(numbers)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        found: list[int] = shared.tolist()
        return found

    def wait(self) -> None:
        """Returns when every rank is here."""
        if not self.is_alone:
            self.agree(0)

    def require_well(self, mistake: str | None) -> None:
        """Raises UserError on every rank where one has a mistake to tell; every rank must ask."""
        for found in self.gather(mistake):
            if found is not None:
                raise UserError(found)

    def deal(self, pieces: int) -> Iterator[int]:
        """Yields the numbers of pieces of work, from 0, that this rank is to do: who is free takes the next one."""
        yield from range(pieces)

    def claim(self, what: str, owner: str) -> str:
        """Returns who owns something, over all ranks: whoever claimed it first."""
        return owner

    def share_buffers(self, module: nn.Module) -> None:
        """Gives every rank the first one's buffers, such as the running means of batch norm."""
        if not self.is_alone:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)

    def pool_loss(self, compute: Callable[[], Tensor], samples: int) -> Tensor:
        """Returns the loss over the shares of all ranks, whose gradients are to be averaged over the ranks.

        Where it pools no sums, as losses of other packages, it is the mean of the ranks' losses by their samples.

        Args:
            compute: takes the loss of this rank's share.
            samples: in it.
        """
        if self.is_alone:
            return compute()
        with _pooling(self) as pool:
            loss = compute()
            if pool.used:
                return loss
            number = loss.new_tensor(float(samples))
            weighted, among = total(loss * number, number)
            return weighted / among

    def why(self, error: BaseException) -> BaseException | None:
        """Returns the end of another rank that an error here comes of; None where it is of our own."""
        return None


ALONE = Ranks()


class _Pool:
    """Notes whether anything was pooled among ranks."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.used = ranks, False


_pools: list[_Pool] = []  # the one that is open, if any: a loss is handed logits and mask alone


@contextmanager
def _pooling(ranks: Ranks) -> Iterator[_Pool]:
    _pools.append(_Pool(ranks))
    try:
        yield _pools[-1]
    finally:
        _pools.pop()


def total(*sums: Tensor) -> tuple[Tensor, ...]:
    """Returns sums over this rank's share as those over the shares of all ranks; as they are outside `pool_loss`."""
    if not _pools:
        return sums
    _pools[-1].used = True
    flat: Tensor = _Total.apply(torch.cat([one.flatten() for one in sums]), _pools[-1].ranks.count)  # type: ignore[no-untyped-call]
    parts = torch.split(flat, [one.numel() for one in sums])
    return tuple(part.view(one.shape) for part, one in zip(parts, sums, strict=True))


def joined(values: Tensor) -> Tensor:
    """Returns (K, P) with the columns of all ranks behind each other, in their order; as it is outside `pool_loss`."""
    if not _pools:
        return values
    _pools[-1].used = True
    whole: Tensor = _Joined.apply(values, _pools[-1].ranks)  # type: ignore[no-untyped-call]
    return whole


class _Total(torch.autograd.Function):
    """Sums over ranks. What follows is the same on every rank, and so is its gradient.

    Ranks average the gradients of parameters afterwards, which divides by their number: hence the factor.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, count: int) -> Tensor:
        context.count, summed = count, values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.count, None


class _Joined(torch.autograd.Function):
    """Puts the columns of all ranks together; the gradient of each goes back to its own, see `_Total`."""

    @staticmethod
    def forward(context: Any, values: Tensor, ranks: Ranks) -> Tensor:
        widths = ranks.gather(values.shape[1])
        context.start, context.width = sum(widths[: ranks.rank]), values.shape[1]
        context.count = ranks.count
        padded = values.new_zeros(len(values), max(widths))
        padded[:, : values.shape[1]] = values
        found = [torch.empty_like(padded) for _ in widths]
        dist.all_gather(found, padded)
        return torch.cat([one[:, :width] for one, width in zip(found, widths, strict=True)], 1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[:, context.start : context.start + context.width] * context.count, None


def reaches_all(network: nn.Module, channels: int) -> bool:
    """Returns whether a loss on the network's output moves every parameter, by a small batch of nothing.

    The network's modes, its gradients, which are none, and chance stay as they are; what refuses such a batch is said
    not to.
    """
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            network.eval()(torch.zeros(1, channels, SIDE, SIDE)).sum().backward()
        return all(weight.grad is not None for weight in network.parameters() if weight.requires_grad)
    except Exception:  # whatever a network makes of it
        return False
    finally:
        network.zero_grad(set_to_none=True)
        for module, mode in modes.items():
            module.training = mode
