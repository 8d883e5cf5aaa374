"""Holds what is asked of a find: the keys of conf/hydra/sweeper/find.yaml."""

from collections.abc import Sequence
from typing import NamedTuple

from segtrain.config.values import seconds_of
from segtrain.errors import UserError

FIRST = 3  # seeds after which an arm may be dropped: fewer say too little of the spread
LEAST_CONFIRMING = 5  # seeds, as report's LEAST_SEEDS: fewer settle nothing
LENGTH_SEEDS = 2  # of each arm at another training length
LENGTHS_BY_ITSELF = (1.0, 2.0)  # lengths=auto


class Options(NamedTuple):
    """Holds the values of conf/hydra/sweeper/find.yaml."""

    budget: str | None
    tolerance: float
    seeds: int
    confirm: int
    lengths: str | Sequence[float]
    arms: int | None
    n_jobs: int | None
    spread: float

    @property
    def seconds(self) -> float:
        """Returns the budget in seconds.

        Raises:
            UserError: none is given.
        """
        if self.budget is None:
            raise UserError(
                "find wants a budget, the time in which its jobs may run; expected budget=TIME; got none; give it, "
                "such as budget=45min, budget=2h or budget=3d"
            )
        return seconds_of(self.budget)

    @property
    def factors(self) -> tuple[float, ...]:
        """Returns the training lengths beside 1 that are asked for, ascending; those of `auto` where it is that."""
        asked = LENGTHS_BY_ITSELF if isinstance(self.lengths, str) else self.lengths
        return tuple(sorted({float(one) for one in asked} - {1.0}))

    @property
    def keeps_time_for_lengths(self) -> bool:
        """Returns whether other lengths were asked for by name, so that part of the budget is kept for them."""
        return not isinstance(self.lengths, str) and bool(self.factors)
