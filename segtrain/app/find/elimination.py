"""Races arms over seeds, many races at once: who is dropped, after how many seeds, and what is then at stake.

Scores stand in a table (races, arms, seeds). Which arms run the next seed, order.py says. After every seed from the
first look on, an arm leaves where another that is left is ahead of it, over the seeds that both have, by more than
their limit (limits.py). Every two arms are looked at once for each number of seeds.

The residual variance of a run pools what each seed brought anew to the arms that ran it together: the deviations of its
scores from their arms' means so far, times sqrt((n - 1) / n), centred over these arms (Helmert's recursion). For arms
that all have the same seeds that is the residual of two-way analysis of variance. For a set that shrinks it stays
right, whatever made it shrink, since what a seed brings anew does not depend on the means before it; and arms that were
dropped keep their part of it.

What arm j can be better than arm i is at most mean_j - mean_i + limit_ij, by the look that tells most. The stake of an
arm left is the largest of these over the arms left, at least 0: what naming it loses at most against the truly best.
Where the best is not behind any arm, in noise alone, by more than its limit, at no look, it is never dropped and every
stake holds, at all looks at once: it is one event, whose probability the boundary states.

Source: Hsu 1996, Multiple Comparisons, chapter 4 (comparisons with the best).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.app.find.limits import pair_limits
from segtrain.app.find.order import choose_next, count_abreast

ENDS = (None, "one left", "tolerance", "seeds", "budget")  # why a race ended; None: it goes on
CHUNK = 100_000  # pairs of arms times races at a time, so that they stay in the processor's cache


class Races(NamedTuple):
    """Holds how races stand. B races, K arms; arms and seeds are numbered from 0."""

    taken: np.ndarray  # (B, K) seeds that each arm has
    place: np.ndarray  # (B, K) of an arm in the order in which they run on; 0 is the first
    turn: np.ndarray  # (B,) which mark they run up to
    left: np.ndarray  # (B, K) bool
    dropped: np.ndarray  # (B, K) number of seeds after which an arm was dropped; 0 where it was not
    behind: np.ndarray  # (B, K) the arm it was behind by most above the limit; -1 where it was not dropped
    by: np.ndarray  # (B, K) how far behind; NaN where it was not dropped
    limit: np.ndarray  # (B, K) how far it might have been
    failed: np.ndarray  # (B, K) seed at which it failed; -1 where it did not
    halted: np.ndarray  # (B,) seed that all arms left that ran it failed, beyond which a race cannot go; -1 where none
    sums: np.ndarray  # (B, K) of the scores of the seeds that an arm has
    squares: np.ndarray  # (B,) of what seeds brought anew
    freedom: np.ndarray  # (B,) degrees of freedom of these
    at_most: np.ndarray  # (B, K, K) that the second arm can be better than the first; infinite before a look
    stakes: np.ndarray  # (B, K) NaN where an arm is not left or nothing was looked at
    runs: np.ndarray  # (B,) that the race needed
    end: np.ndarray  # (B,) index into ENDS

    @property
    def seeds(self) -> np.ndarray:
        """Returns the most seeds that an arm left has, (B,)."""
        return np.asarray(np.where(self.left, self.taken, 0).max(1))

    @property
    def means(self) -> np.ndarray:
        """Returns means over the seeds that an arm has, (B, K); NaN without any."""
        return np.where(self.taken > 0, self.sums / np.maximum(self.taken, 1), np.nan)

    @property
    def sd(self) -> np.ndarray:
        """Returns the residual standard deviation of a run, (B,); NaN where nothing tells it."""
        return np.sqrt(np.where(self.freedom > 0, self.squares / np.maximum(self.freedom, 1), np.nan))

    @property
    def leader(self) -> np.ndarray:
        """Returns the arm with the largest mean of those left with the most seeds, (B,); the first of equals."""
        able = self.left & (self.taken == self.seeds[:, None]) & (self.taken > 0)
        return np.asarray(np.where(able, self.means, -np.inf).argmax(1))


def eliminate(
    scores: np.ndarray,
    looks: np.ndarray,
    failed: np.ndarray | None = None,
    tolerance: float | None = None,
    most_runs: int | None = None,
    marks: Sequence[int] = (),
) -> Races:
    """Returns how each race stands, as far as its table goes: a pure function of it.

    Args:
        scores: (B, K, S), larger is better; NaN where a run is not there yet.
        looks: (last + 1,) by the number of seeds, the boundary's normal score; infinite where nobody is dropped.
        failed: (B, K, S) bool, runs that failed: the arm leaves at that seed.
        tolerance: a race ends where the leader's stake is no larger.
        most_runs: a race ends where the next seed would take more runs in all.
        marks: increasing numbers of seeds before `last`, at which those left are put in order; none: all run abreast.
    """
    scores = np.asarray(scores, float)
    failed = np.zeros(scores.shape, bool) if failed is None else failed
    step = max(1, CHUNK // scores.shape[1] ** 2)
    parts = [
        _eliminate(scores[i : i + step], looks, failed[i : i + step], tolerance, most_runs, (*marks, len(looks) - 1))
        for i in range(0, len(scores), step)
    ]
    return Races(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _eliminate(
    scores: np.ndarray,
    looks: np.ndarray,
    failed: np.ndarray,
    tolerance: float | None,
    most_runs: int | None,
    marks: Sequence[int],
) -> Races:
    races, arms, _ = scores.shape
    whole = _begin(races, arms)
    whole.end[whole.left.sum(1) == 1] = ENDS.index("one left")
    at, limits = np.flatnonzero(whole.end == 0), np.array(marks)
    while len(at):
        now = Races(*(field[at] for field in whole))
        _begin_turn(now, limits)
        abreast = np.where(now.turn == 0, arms, count_abreast(arms))
        go = choose_next(now.left, now.taken, now.place, limits[now.turn], abreast)
        n = np.where(go, now.taken, 0).max(1) + 1
        if most_runs is not None:
            now.end[go.any(1) & (now.runs + go.sum(1) > most_runs)] = ENDS.index("budget")
        on = _take_seed(now, scores[at], failed[at], go, n)
        look = np.flatnonzero(on & np.isfinite(looks[n]))
        if len(look):
            part = Races(*(field[look] for field in now))
            _look(part, scores[at[look]], go[look], n[look], looks[n[look]])
            _put(now, part, look)
        _end(now, on, len(looks) - 1, tolerance)
        _put(whole, now, at)
        at = at[on & (now.end == 0)]
    return whole


def _begin(races: int, arms: int) -> Races:
    def full(value: float, *more: int) -> np.ndarray:
        return np.full((races, *more), value)

    nan, inf = float("nan"), float("inf")
    return Races(
        full(0, arms), full(0, arms), full(0), full(True, arms), full(0, arms), full(-1, arms), full(nan, arms),
        full(nan, arms), full(-1, arms), full(-1), full(0.0, arms), full(0.0), full(0), full(inf, arms, arms),
        full(nan, arms), full(0), full(0),
    )  # fmt: skip


def _put(whole: Races, part: Races, at: np.ndarray) -> None:
    for field, values in zip(whole, part, strict=True):
        field[at] = values


def _begin_turn(now: Races, marks: np.ndarray) -> None:
    """Puts the arms left in order, where all of them have reached the mark and there is another."""
    reached = (~now.left | (now.taken >= marks[now.turn][:, None])).all(1) & (now.turn + 1 < len(marks))
    order = np.argsort(np.where(now.left, -now.means, np.inf)[reached], axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
    now.place[reached] = place
    now.turn[reached] += 1


def _take_seed(now: Races, scores: np.ndarray, failed: np.ndarray, go: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Returns the races, (B,) bool, whose next seed is there and not failed by all; adds it; arms that fail leave.

    Where some catch up, those left that have the seed already are among all.
    """
    each = np.arange(len(n))
    inside = np.minimum(n, scores.shape[2]) - 1
    new, fails = scores[each, :, inside], failed[each, :, inside] & go
    on = ((~np.isnan(new) | fails) | ~go).all(1) & go.any(1) & (n <= scores.shape[2]) & (now.end == 0)
    others = now.left & ~go & (now.taken >= n[:, None])  # have that seed already: then it is the arms' own doing
    halts = on & (fails == go).all(1) & ~others.any(1)
    now.halted[halts] = n[halts] - 1
    on &= ~halts
    now.runs[on] += go[on].sum(1)
    gone, go = fails & on[:, None], go & ~fails & on[:, None]
    now.failed[gone] = np.broadcast_to((n - 1)[:, None], gone.shape)[gone]
    now.left[gone], now.stakes[gone] = False, np.nan
    _pool(now, new, go, n)
    now.sums[go] += new[go]
    now.taken[go] += 1
    return np.asarray(on)


def _pool(now: Races, scores: np.ndarray, go: np.ndarray, n: np.ndarray) -> None:
    """Adds to the pooled variance what the nth seed brought anew to the arms that ran it."""
    arms = np.maximum(go.sum(1), 1)[:, None]
    later = go & (n > 1)[:, None]
    factor = np.sqrt((n - 1) / n)[:, None]
    new = np.where(later, (scores - now.sums / np.maximum(now.taken, 1)) * factor, 0.0)
    new = np.where(later, new - new.sum(1, keepdims=True) / arms, 0.0)
    now.squares[:] += (new**2).sum(1)
    now.freedom[:] += np.maximum(later.sum(1) - 1, 0)


def _look(now: Races, table: np.ndarray, go: np.ndarray, n: np.ndarray, scores: np.ndarray) -> None:
    """Drops who is behind by more than the limit, and states what is at stake between the others."""
    table = table[:, :, : n.max()]
    there = now.left & (now.taken >= n[:, None])
    known = there[:, :, None] & (np.arange(table.shape[2]) < n[:, None])[:, None]
    means = np.where(known, table, 0.0).sum(2) / n[:, None]
    lead = means[:, None, :] - means[:, :, None]  # of arm j over arm i
    variance = now.sd**2
    limit = pair_limits(table, there, n, variance, now.freedom, scores)
    new = there[:, :, None] & there[:, None, :] & (go[:, :, None] | go[:, None, :])  # pairs not looked at before
    over = np.where(new, lead - limit, -np.inf)
    worst = over.argmax(2)
    drop = over.max(2) > 0
    for field, values in (
        (now.dropped, n[:, None]),
        (now.behind, worst),
        (now.by, _pick(lead, worst)),
        (now.limit, _pick(limit, worst)),
    ):
        field[:] = np.where(drop, values, field)
    now.left[drop] = False
    told = (variance > 0)[:, None, None]  # runs that score the same to the bit tell nothing of their spread
    now.at_most[:] = np.where(new & told, np.minimum(now.at_most, lead + limit), now.at_most)
    other = now.left[:, None, :] & ~np.eye(go.shape[1], dtype=bool)
    stakes = np.where(other, now.at_most, 0.0).max(2)
    now.stakes[:] = np.where(now.left & told[:, 0] & np.isfinite(stakes), np.maximum(stakes, 0.0), np.nan)


def _pick(pairs: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.asarray(np.take_along_axis(pairs, which[:, :, None], 2)[:, :, 0])


def _end(now: Races, on: np.ndarray, last: int, tolerance: float | None) -> None:
    end = np.where((~now.left | (now.taken >= last)).all(1), ENDS.index("seeds"), 0)
    if tolerance is not None:
        stakes = now.stakes[np.arange(len(end)), now.leader]
        end[(stakes <= tolerance) & (now.sd > 0)] = ENDS.index("tolerance")  # never where nothing was looked at: NaN
    end[now.left.sum(1) == 1] = ENDS.index("one left")
    now.end[on] = end[on]
