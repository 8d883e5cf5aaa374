"""Says what a budget of time can see before anything is spent: how many runs, arms and seeds, and which difference."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from segtrain.app.find.options import FIRST, LEAST_CONFIRMING, LENGTH_SEEDS
from segtrain.app.find.order import TOGETHER, count_abreast
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.runs.duration import time_in_words

LENGTH_ARMS = 3  # for which time is kept at another length: none and two others


class RunTime(NamedTuple):
    """Holds what a run takes beside others: so many seconds, of which some do not grow with the epochs."""

    fixed: float
    an_epoch: float
    epochs: int  # 0: the training's length is none of epochs, and all is `fixed`
    basis: str  # where this is known from, in words

    @property
    def seconds(self) -> float:
        """Returns the seconds of a whole run."""
        return self.fixed + self.an_epoch * self.epochs

    def at(self, factor: float) -> float:
        """Returns the seconds of a run of so many times the epochs."""
        return self.fixed + self.an_epoch * self.epochs * factor if self.epochs else self.fixed * factor


class Allowance(NamedTuple):
    """Holds what a budget allows."""

    runs: int  # in all
    confirming: int  # seeds of its own, each a run of two arms
    length_runs: float  # kept for other lengths, counted in runs of the usual one
    race_runs: int
    seeds: int  # of every arm, if none is dropped
    leading: int  # of those that run on first then


def allow(seconds: float, slots: int, run: RunTime, arms: int, most: int, confirm: int, kept: float) -> Allowance:
    """Returns what so many seconds with so many jobs at a time allow.

    An eighth of the runs confirms, by at least 5 seeds of two arms, and at most those that are asked for.

    Args:
        seconds: that are left of the budget.
        slots: jobs at a time.
        run: what one takes.
        arms: of the race.
        most: seeds of an arm.
        confirm: seeds that are asked for to confirm.
        kept: runs that are kept for other lengths.
    """
    runs = max(0, math.floor(seconds * slots / run.seconds))
    confirming = min(confirm, max(LEAST_CONFIRMING, runs // 16))
    race_runs = max(0, math.floor(runs - 2 * confirming - kept))
    rounds = seconds / run.seconds - math.ceil(2 * confirming / slots) - kept / slots  # of as many as run at a time
    return Allowance(runs, confirming, kept, race_runs, *_count_seeds(rounds, slots, arms, most))


def _count_seeds(rounds: float, slots: int, arms: int, most: int) -> tuple[int, int]:
    """Returns the seeds of every arm that so many rounds allow if none is dropped, and of those that run on first."""
    together, abreast = min(TOGETHER, most), min(arms, count_abreast(arms))
    seeds = min(together, _seeds_in(rounds, slots, arms))
    rounds -= _rounds_of(together, slots, arms)
    if seeds < together or rounds < 0:
        return seeds, seeds
    groups = [min(abreast, arms - first) for first in range(0, arms, abreast)]
    if sum(_rounds_of(most - together, slots, group) for group in groups) <= rounds:
        return most, most
    leading = min(most, together + _seeds_in(rounds, slots, abreast))
    return (leading if abreast == arms else together), leading


def _rounds_of(seeds: int, slots: int, arms: int) -> int:
    """Returns in how many rounds so many seeds run; of several at once where fewer arms than jobs are there."""
    at_once = max(1, slots // arms)
    return math.ceil(seeds / at_once) * math.ceil(at_once * arms / slots)


def _seeds_in(rounds: float, slots: int, arms: int) -> int:
    at_once = max(1, slots // arms)
    return max(0, math.floor(rounds / math.ceil(at_once * arms / slots)) * at_once)


def length_runs(factors: Sequence[float]) -> float:
    """Returns the runs, counted in those of the usual length, that are kept for other lengths."""
    return sum(factors) * LENGTH_SEEDS * LENGTH_ARMS


def require_enough(
    allowed: Allowance, names: Sequence[str], budget: str, seconds: float, timing: float, slots: int, run: RunTime
) -> None:
    """Raises UserError where a budget allows fewer than three seeds of every arm: it offers what can be done instead.

    Args:
        allowed: what it allows.
        names: of the arms, in their order.
        budget: as it was typed.
        seconds: what is left of it.
        timing: seconds that it took to time a run, which are used.
        slots: jobs at a time.
        run: what one takes.
    """
    if allowed.seeds >= FIRST:
        return

    def rounds(arms: int) -> float:
        return _rounds_of(FIRST, slots, arms) + math.ceil(2 * LEAST_CONFIRMING / slots) + allowed.length_runs / slots

    ways, many = [], len(names)
    if fewer := [arms for arms in range(many - 1, 1, -1) if rounds(arms) * run.seconds <= seconds]:
        ways.append(f"fewer arms, by arms={fewer[0]} ({', '.join(names[: fewer[0]])})")
    epochs = math.floor((seconds / rounds(many) - run.fixed) / run.an_epoch) if run.an_epoch > 0 else 0
    if 1 <= epochs < run.epochs:
        ways.append(f"a shorter training, by trainer.max_epochs={epochs} instead of {run.epochs}")
    ways.append(f"more time, by budget={math.ceil((rounds(many) * run.seconds + timing) / 60)}min")
    needed = math.ceil(FIRST * many + 2 * LEAST_CONFIRMING + allowed.length_runs)
    raise UserError(
        f"budget={budget} is not enough for {many} arms: a run takes about {time_in_words(run.seconds)} "
        f"({run.basis}), {slots} at a time, so that it allows {counted(allowed.runs, 'run')}; expected room for "
        f"{FIRST} seeds of every arm and {LEAST_CONFIRMING} that confirm the winner, {needed} runs, below which "
        f"nothing can be said; give {'; or '.join(ways)}"
    )
