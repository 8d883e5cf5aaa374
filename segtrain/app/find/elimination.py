"""Races arms over seeds, many races at once: who is dropped, after how many seeds, and what is then at stake.

Scores stand in a table (races, arms, seeds). All arms of a seed are run before the next seed. After every seed from the
first look on, arm i leaves where an arm j that is left is ahead of it by more than

    limit_ij = c · sqrt(v_ij / n),    v_ij = (PRIOR · 2 s² + (n - 1) · max(V_ij, w_i + w_j)) / (PRIOR + n - 1)

n is the number of seeds that all arms left have, V_ij the variance of the n paired differences, w_i the residual
variance of arm i alone (beside what seed and arm bring), s² that variance pooled over all arms, and c the quantile of
Student's t, at the degrees of freedom of v_ij, whose tail is that of the boundary's normal score. What a seed brings to
all arms cancels.

Why not s² alone: where the best arm is three times as noisy as eleven others, a boundary on s² drops it in more than a
quarter of races. Why not V_ij alone: with three seeds it has two degrees of freedom, and the race takes a third more
runs where one arm is clearly best. w_i sees a noisy arm by its differences to all arms, V_ij sees that arms of one
policy move together; with the larger of the two the race takes fewer runs than with either, at equal error. Other
weights of s² than two (1, 4, 8, or by how much the V_ij differ) take about as many runs at equal error in the worst
world, but four and more are far from the error that was asked for in all others.

s² pools what each seed brought anew: the deviations of its scores from their arms' means so far, times
sqrt((n - 1) / n), centred over the arms that ran it (Helmert's recursion). For arms that all have the same seeds that
is the residual of two-way analysis of variance. For a set that shrinks it stays right, whatever made it shrink, since
what a seed brings anew does not depend on the means before it; and arms that were dropped keep their part of it.

The stake of an arm left is max over arms j left of (mean_j - mean_i + limit_ij), at least 0: what naming it loses at
most against the truly best. Where the best is not behind any arm, in noise alone, by more than its limit, at no look,
it is never dropped and every stake holds, at all looks at once: it is one event, whose probability the boundary states.

Source: Hsu 1996, Multiple Comparisons, chapter 4 (comparisons with the best); Smyth 2004, Statistical Applications in
Genetics and Molecular Biology 3:3 (variances moderated towards a pooled one); Grubbs 1948, JASA 43:243 (w_i).
"""

from typing import NamedTuple

import numpy as np
from scipy import special, stats

PRIOR = 2.0  # degrees of freedom with which the pooled variance enters that of a pair
ENDS = (None, "one left", "tolerance", "seeds", "budget")  # why a race ended; None: it goes on
CHUNK = 1_000_000  # pairs of arms times races at a time, so that they stay in the processor's cache


class Races(NamedTuple):
    """Holds how races stand. B races, K arms; arms and seeds are numbered from 0."""

    seeds: np.ndarray  # (B,) that all arms left have
    left: np.ndarray  # (B, K) bool
    dropped: np.ndarray  # (B, K) number of seeds after which an arm was dropped; 0 where it was not
    behind: np.ndarray  # (B, K) the arm it was behind by most above the limit; -1 where it was not dropped
    by: np.ndarray  # (B, K) how far behind; NaN where it was not dropped
    limit: np.ndarray  # (B, K) how far it might have been
    failed: np.ndarray  # (B, K) seed at which it failed; -1 where it did not
    halted: np.ndarray  # (B,) seed at which all arms left failed, beyond which a race cannot go; -1 where none
    means: np.ndarray  # (B, K) over the seeds that an arm took part in; NaN without any
    sd: np.ndarray  # (B,) residual, of a run; NaN where nothing tells it
    stakes: np.ndarray  # (B, K) NaN where an arm is not left or nothing was looked at
    runs: np.ndarray  # (B,) that the race needed
    end: np.ndarray  # (B,) index into ENDS

    @property
    def leader(self) -> np.ndarray:
        """Returns the arm with the largest mean of those left, (B,); the first of equals."""
        means = np.where(self.left, self.means, -np.inf)
        return np.asarray(np.where(np.isnan(means), -np.inf, means).argmax(1))


def eliminate(
    scores: np.ndarray,
    looks: np.ndarray,
    failed: np.ndarray | None = None,
    tolerance: float | None = None,
    most_runs: int | None = None,
) -> Races:
    """Returns how each race stands, as far as its table goes: a pure function of it.

    Args:
        scores: (B, K, S), larger is better; NaN where a run is not there yet.
        looks: (last + 1,) by the number of seeds, the boundary's normal score; infinite where nobody is dropped.
        failed: (B, K, S) bool, runs that failed: the arm leaves at that seed.
        tolerance: a race ends where the leader's stake is no larger.
        most_runs: a race ends where the next seed of the arms left would take more runs in all.
    """
    scores = np.asarray(scores, float)
    failed = np.zeros(scores.shape, bool) if failed is None else failed
    step = max(1, CHUNK // scores.shape[1] ** 2)
    parts = [
        _eliminate(scores[i : i + step], looks, failed[i : i + step], tolerance, most_runs)
        for i in range(0, len(scores), step)
    ]
    return Races(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _eliminate(
    scores: np.ndarray, looks: np.ndarray, failed: np.ndarray, tolerance: float | None, most_runs: int | None
) -> Races:
    races, arms, seeds = scores.shape
    last = len(looks) - 1
    now = _begin(races, arms)
    squares, freedom = np.zeros(races), np.zeros(races)
    now.end[now.left.sum(1) == 1] = ENDS.index("one left")
    for n in range(1, min(last, seeds) + 1):
        if most_runs is not None:
            now.end[(now.end == 0) & (now.runs + now.left.sum(1) > most_runs)] = ENDS.index("budget")
        at = _take_seed(now, scores[:, :, n - 1], failed[:, :, n - 1], n)
        if not len(at):
            break
        table, left = scores[at, :, :n], now.left[at]
        new = _innovations(table, left)
        squares[at] += (new**2).sum(1)
        freedom[at] += (left.sum(1) - 1) * (n > 1)
        now.means[at] = np.where(left, table.mean(2), now.means[at])
        known = freedom[at] > 0
        variance = np.where(known, squares[at] / np.maximum(freedom[at], 1), np.nan)
        now.sd[at] = np.sqrt(variance)
        if np.isfinite(looks[n]):
            _look(now, at, table, variance, freedom[at], float(looks[n]))
        _end(now, at, n == last, tolerance)
    return now


def _begin(races: int, arms: int) -> Races:
    whole, none = (races, arms), np.full((races, arms), -1)
    nan = np.full(whole, np.nan)
    zero = np.zeros(races, int)
    return Races(
        zero, np.ones(whole, bool), np.zeros(whole, int), none, nan, nan.copy(), none.copy(), zero - 1, nan.copy(),
        np.full(races, np.nan), nan.copy(), zero.copy(), zero.copy(),
    )  # fmt: skip


def _take_seed(now: Races, scores: np.ndarray, failed: np.ndarray, n: int) -> np.ndarray:
    """Returns the races in which the nth seed is run by all arms left and not failed by all; those that fail leave."""
    there = ((~np.isnan(scores) | failed) | ~now.left).all(1) & (now.end == 0) & (now.seeds == n - 1) & (now.halted < 0)
    gone = failed & now.left & there[:, None]
    halts = there & (gone == now.left).all(1)
    now.halted[halts] = n - 1
    there &= ~halts
    now.runs[there] += now.left[there].sum(1)
    gone &= there[:, None]
    now.failed[gone], now.left[gone], now.stakes[gone] = n - 1, False, np.nan
    now.seeds[there] = n
    return np.flatnonzero(there)


def _innovations(table: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Returns what the last seed of (B, K, n) brought anew, (B, K), centred over the arms left and 0 for the others."""
    n = table.shape[2]
    if n == 1:
        return np.zeros(left.shape)
    new = (table[:, :, -1] - table[:, :, :-1].mean(2)) * np.sqrt((n - 1) / n)
    new = np.where(left, new, 0.0)
    return np.where(left, new - (new.sum(1) / left.sum(1))[:, None], 0.0)


def _look(
    now: Races, at: np.ndarray, table: np.ndarray, variance: np.ndarray, freedom: np.ndarray, score: float
) -> None:
    """Drops who is behind by more than the limit, and states what is at stake between the others."""
    left, n = now.left[at], table.shape[2]
    means = np.where(left, table.mean(2), 0.0)
    lead = means[:, None, :] - means[:, :, None]  # of arm j over arm i
    limit = pair_limits(table, left, variance, freedom, score)
    over = np.where(left[:, :, None] & left[:, None, :], lead - limit, -np.inf)
    worst = over.argmax(2)
    drop = over.max(2) > 0
    for field, values in (
        (now.dropped, n),
        (now.behind, worst),
        (now.by, _pick(lead, worst)),
        (now.limit, _pick(limit, worst)),
    ):
        field[at] = np.where(drop, values, field[at])
    left &= ~drop
    other = left[:, None, :] & ~np.eye(left.shape[1], dtype=bool)
    stakes = np.where(other, lead + limit, 0.0).max(2)
    stakes[variance == 0] = np.nan  # as above: nothing is known
    now.left[at], now.stakes[at] = left, np.where(left, np.maximum(stakes, 0.0), np.nan)


def pair_limits(
    table: np.ndarray, left: np.ndarray, variance: np.ndarray, freedom: np.ndarray, score: float
) -> np.ndarray:
    """Returns by how much an arm may be behind another, (B, K, K), for (B, K, n) scores; of arms left only.

    Args:
        table: scores of the n seeds that all arms left have.
        left: (B, K) bool.
        variance: (B,) residual variance of a run, pooled; its degrees of freedom are `freedom`.
        score: the boundary's, in standard deviations of a normal distribution.
    """
    n = table.shape[2]
    rest = np.where(left[:, :, None], table - table.mean(2, keepdims=True), 0.0)
    rest = np.where(left[:, :, None], rest - (rest.sum(1) / left.sum(1)[:, None])[:, None], 0.0)
    products = rest @ rest.transpose(0, 2, 1)
    own = np.einsum("bii->bi", products)
    of_pair = own[:, :, None] + own[:, None, :] - 2 * products
    of_arm = _arm_squares(own, left.sum(1)[:, None])
    squares = np.maximum(of_pair, of_arm[:, :, None] + of_arm[:, None, :])
    moderated = (PRIOR * 2 * variance[:, None, None] + squares) / (PRIOR + n - 1)
    quantile = student_score(score, np.minimum(freedom, PRIOR + n - 1))
    return np.asarray(quantile[:, None, None] * np.sqrt(moderated / n))


def _arm_squares(own: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """Returns (n - 1) w, (B, K), from sums of squared residuals: in expectation these hold a part of all arms' noise.

    Two arms alone cannot tell whose noise it is, nor can one that is left because the others failed: 0.
    """
    apart = (arms * own - own.sum(1, keepdims=True) / np.maximum(arms - 1, 1)) / np.maximum(arms - 2, 1)
    return np.where(arms > 2, np.maximum(apart, 0.0), 0.0)


def student_score(score: float, freedom: np.ndarray) -> np.ndarray:
    """Returns Student's quantiles whose tail is that of a normal score."""
    values, which = np.unique(freedom, return_inverse=True)
    return np.asarray(stats.t.isf(special.ndtr(-score), values))[which.reshape(freedom.shape)]


def _pick(pairs: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.asarray(np.take_along_axis(pairs, which[:, :, None], 2)[:, :, 0])


def _end(now: Races, at: np.ndarray, is_last: bool, tolerance: float | None) -> None:
    end = np.full(len(at), ENDS.index("seeds") if is_last else 0)
    if tolerance is not None:
        stakes = now.stakes[at][np.arange(len(at)), now.leader[at]]
        told = now.sd[at] > 0  # runs that score the same to the bit tell nothing of their spread
        end[(stakes <= tolerance) & told] = ENDS.index("tolerance")  # never where nothing was looked at: NaN
    end[now.left[at].sum(1) == 1] = ENDS.index("one left")
    now.end[at] = end
