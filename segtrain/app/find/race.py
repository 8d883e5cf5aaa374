"""Judges one race over seeds by its table of scores: who is left, who was dropped behind whom, what is at stake.

Looks come after every seed from the boundary's first on, in the order in which arms run, however many were run at once;
so how a race stands depends on nothing but the table, and a race that was killed goes on as if it had not been.
"""

from typing import Literal, NamedTuple, cast

import numpy as np

from segtrain.app.find.boundary import Boundary
from segtrain.app.find.elimination import ENDS, Races, eliminate
from segtrain.app.find.order import choose_next, count_abreast


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

    seeds: int  # the most that an arm left has
    taken: dict[str, int]  # seeds of each arm
    left: tuple[str, ...]  # the leader first, then by its lead over them
    drops: tuple[Drop, ...]  # in order
    failures: tuple[RunFailure, ...]
    halted: (
        int | None
    )  # the seed that all arms left that ran it failed: nobody leaves, and the race cannot go beyond it
    leader: str | None  # the best mean of those left with the most seeds; None before the first seed
    leads: dict[str, float]  # of the leader over each arm that has seeds, over those that both have
    sd: float | None  # residual, of a run, pooled over arms; None before two seeds
    stakes: dict[str, float]  # of each arm left, what naming it loses at most; empty before the first look
    runs: int  # that the race needed
    end: Literal["one left", "tolerance", "seeds"] | None  # None: it goes on
    coming: tuple[tuple[int, tuple[str, ...]], ...]  # a seed, and the arms that run it next; what follows if all stay


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
    races = eliminate(scores[None], boundary.looks, failed[None], tolerance, marks=boundary.marks)
    leader = int(races.leader[0]) if races.seeds[0] else None
    leads = _leads(scores, races.taken[0], leader)
    race = Races(*(field[0] for field in races))
    left = sorted(np.flatnonzero(race.left), key=lambda i: (i != leader, leads.get(int(i), 0.0)))
    drops = [
        Drop(names[i], int(race.dropped[i]), names[race.behind[i]], float(race.by[i]), float(race.limit[i]))
        for i in sorted(np.flatnonzero(race.dropped), key=lambda i: race.dropped[i])
    ]
    failures = sorted(np.flatnonzero(race.failed >= 0), key=lambda i: race.failed[i])
    sd = float(races.sd[0])
    return Standing(
        seeds=int(races.seeds[0]),
        taken={name: int(taken) for name, taken in zip(names, race.taken, strict=True)},
        left=tuple(names[i] for i in left),
        drops=tuple(drops),
        failures=tuple(RunFailure(names[i], int(race.failed[i])) for i in failures),
        halted=int(race.halted) if race.halted >= 0 else None,
        leader=None if leader is None else names[leader],
        leads={names[i]: lead for i, lead in leads.items()},
        sd=None if np.isnan(sd) else sd,
        stakes={names[i]: float(race.stakes[i]) for i in left if not np.isnan(race.stakes[i])},
        runs=int(race.runs),
        end=cast(Literal["one left", "tolerance", "seeds"] | None, ENDS[race.end]),
        coming=() if race.end else _coming(names, races, np.array([*boundary.marks, boundary.last])),
    )


def _leads(scores: np.ndarray, taken: np.ndarray, leader: int | None) -> dict[int, float]:
    """Returns by how much the leader leads over each arm that has seeds, over those that both have."""
    if leader is None:
        return {}
    both = np.minimum(taken, taken[leader])
    return {int(i): float(scores[leader, : both[i]].mean() - scores[i, : both[i]].mean()) for i in np.flatnonzero(both)}


def _coming(names: tuple[str, ...], races: Races, marks: np.ndarray) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Returns what runs up to the next mark, beyond which the order is not known, if nobody leaves."""
    abreast = np.where(races.turn == 0, len(names), count_abreast(len(names)))
    coming, taken = [], races.taken.copy()
    while (go := choose_next(races.left, taken, races.place, marks[races.turn], abreast)).any():
        coming.append((int(taken[go][0]), tuple(names[i] for i in np.flatnonzero(go[0]))))
        taken[go] += 1
    return tuple(coming)
