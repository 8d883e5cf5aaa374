"""Judges one race over seeds by its table of scores: who is left, who was dropped behind whom, what is at stake.

Looks come after every seed from the boundary's first on, in order, however many seeds were run at once; so how a race
stands depends on nothing but the table, and a race that was killed goes on as if it had not been.
"""

from typing import Literal, NamedTuple, cast

import numpy as np

from segtrain.app.find.boundary import Boundary
from segtrain.app.find.elimination import ENDS, Races, eliminate


class Drop(NamedTuple):
    """Holds that an arm was dropped."""

    arm: str
    seeds: int  # after how many
    behind: str
    by: float
    limit: float  # how far behind it might have been


class RunFailure(NamedTuple):
    """Holds that an arm left because a run of it failed."""

    arm: str
    seed: int


class Standing(NamedTuple):
    """Holds how a race stands."""

    seeds: int  # that every arm left has, and at which was looked
    left: tuple[str, ...]  # the leader first, by their mean
    drops: tuple[Drop, ...]  # in order
    failures: tuple[RunFailure, ...]
    halted: int | None  # the seed at which all arms left failed: nobody leaves, and the race cannot go beyond it
    leader: str | None  # None before the first seed
    means: dict[str, float]  # over the seeds that an arm took part in; without arms that have none
    leads: dict[str, float]  # of the leader over each arm left
    sd: float | None  # residual, of a run, pooled over arms; None before two seeds
    stakes: dict[str, float]  # of each arm left, what naming it loses at most; empty before the first look
    runs: int  # that the race needed
    end: Literal["one left", "tolerance", "seeds"] | None  # None: it goes on


def judge_race(
    names: tuple[str, ...],
    scores: np.ndarray,
    failed: np.ndarray,
    boundary: Boundary,
    tolerance: float,
) -> Standing:
    """Returns how a race stands.

    Args:
        names: of the arms.
        scores: (arms, seeds), larger is better; NaN where a run is not there yet.
        failed: (arms, seeds) bool.
        boundary: calibrated for as many arms.
        tolerance: the race ends where naming the leader loses no more than this; not negative.
    """
    races = eliminate(scores[None], boundary.looks, failed[None], tolerance)
    return _named(names, Races(*(field[0] for field in races)), int(races.leader[0]))


def _named(names: tuple[str, ...], race: Races, leader: int) -> Standing:
    seeds = int(race.seeds)
    by_mean = sorted(np.flatnonzero(race.left), key=lambda i: -race.means[i] if seeds else 0)
    drops = [
        Drop(names[i], int(race.dropped[i]), names[race.behind[i]], float(race.by[i]), float(race.limit[i]))
        for i in sorted(np.flatnonzero(race.dropped), key=lambda i: race.dropped[i])
    ]
    failures = sorted(np.flatnonzero(race.failed >= 0), key=lambda i: race.failed[i])
    return Standing(
        seeds=seeds,
        left=tuple(names[i] for i in by_mean),
        drops=tuple(drops),
        failures=tuple(RunFailure(names[i], int(race.failed[i])) for i in failures),
        halted=int(race.halted) if race.halted >= 0 else None,
        leader=names[leader] if seeds else None,
        means={name: float(mean) for name, mean in zip(names, race.means, strict=True) if not np.isnan(mean)},
        leads={names[i]: float(race.means[leader] - race.means[i]) for i in by_mean} if seeds else {},
        sd=None if np.isnan(race.sd) else float(race.sd),
        stakes={names[i]: float(race.stakes[i]) for i in by_mean if not np.isnan(race.stakes[i])},
        runs=int(race.runs),
        end=cast(Literal["one left", "tolerance", "seeds"] | None, ENDS[race.end]),
    )
