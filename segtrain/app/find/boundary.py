"""Calibrates how far behind an arm must be to leave a race, so that the truly best is seldom dropped.

The least favourable means are equal ones. Races of equal arms are simulated, eliminations included; since arms are then
alike, the share of arms that are ever dropped is the probability that the best is. Then come races in which the best is
three times as noisy as the others, the hardest of the unequal worlds tried: where a boundary for equal noise would drop
it in more than .05 (few looks, 4 to 12 arms), the boundary grows until it does not. It is a normal score, the same at
all looks of a stage, which each look turns into Student's quantile at its degrees of freedom. Scores that fall or rise
with the looks, and one quantile for all degrees of freedom, took as many runs or more at equal error. In what is
simulated all arms run abreast: that some run before others (order.py) leaves each look at two arms as it is, and moves
the boundary of twelve arms by .003.

A largest number of seeds that is raised later begins a new stage, whose looks have a boundary of their own: the first
stage spends .04 of the probability, the next .005, each further one half of that, so that all of them, however many,
spend at most .05. A budget that is raised within the largest number of seeds changes nothing.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from segtrain.app.find.elimination import eliminate
from segtrain.app.find.limits import PRIOR, student_score
from segtrain.app.find.order import TOGETHER

SPENT_FIRST, SPENT_NEXT = 0.04, 0.005  # probabilities of dropping the best
POWER = 0.8
SEED = 20261130
NOISE, MORE = 3.0, 1.25  # where the best arm is so many times as noisy, it may be dropped that much oftener
STEEPNESS = 1.3  # by how much the normal score of the share dropped grows with the boundary's: speeds up the search


class Stage(NamedTuple):
    """Holds the looks up to `last` seeds, after those of the stage before."""

    last: int
    spent: float  # the probability that the best is dropped at one of these looks
    score: float  # the boundary, in standard deviations of a normal distribution


class Boundary(NamedTuple):
    """Holds when an arm is dropped."""

    arms: int
    first: int  # seeds after which an arm may be dropped
    stages: tuple[Stage, ...]

    @property
    def last(self) -> int:
        """Returns the largest number of seeds at which it holds."""
        return self.stages[-1].last

    @property
    def marks(self) -> tuple[int, ...]:
        """Returns the numbers of seeds, before the last, at which the arms left are put in order: who runs on first.

        A stage that ends before all run abreast up to the first has nobody to put in order.
        """
        ends = [stage.last for stage in self.stages]
        return tuple(sorted({mark for mark in (TOGETHER, *ends) if TOGETHER <= mark < self.last}))

    @property
    def looks(self) -> np.ndarray:
        """Returns the normal score by the number of seeds, (last + 1,); infinite before the first look."""
        scores = np.full(self.last + 1, np.inf)
        for stage in reversed(self.stages):
            scores[self.first : stage.last + 1] = stage.score
        return scores


def calibrate(arms: int, first: int, last: int) -> Boundary:
    """Returns the boundary of a race of `arms` arms with looks after `first` to `last` seeds."""
    return _with_stage(Boundary(arms, first, ()), last)


def extend(boundary: Boundary, last: int) -> Boundary:
    """Returns a boundary that goes on to `last` seeds; the looks that were there keep theirs."""
    return boundary if last <= boundary.last else _with_stage(boundary, last)


@cache
def _with_stage(before: Boundary, last: int) -> Boundary:
    """Returns the boundary with one more stage, in steps, of which the first take a quarter of the races."""
    spent = SPENT_NEXT * 0.5 ** (len(before.stages) - 1) if before.stages else SPENT_FIRST
    start = before.stages[-1].last + 1 if before.stages else before.first
    score = float(stats.norm.isf(spent / before.arms)) + 0.3  # near, so that a few steps end within .001
    if before.arms == 1:  # has won already
        return before._replace(stages=(*before.stages, Stage(last, spent, round(score, 3))))
    rng = np.random.default_rng(SEED)

    def step(score: float, tables: np.ndarray, arms: int, aim: float) -> float:
        """Returns by how much the score must grow for a share `aim` of the first `arms` arms to be dropped."""
        tried = before._replace(stages=(*before.stages, Stage(last, spent, score)))
        share = float((eliminate(tables, tried.looks).dropped[:, :arms] >= start).mean())
        return float(stats.norm.isf(aim) - stats.norm.isf(max(share, 1e-5))) / STEEPNESS

    equal = rng.standard_normal((int(np.clip(60_000 // before.arms, 2_000, 20_000)), before.arms, last))
    for part in (4, 4, 1, 1):
        score += step(score, equal[: len(equal) // part], before.arms, spent)
    noisy = rng.standard_normal((int(np.clip(150_000 // before.arms, 4_000, 12_000)), before.arms, last))
    noisy[:, 0] *= NOISE
    for _ in range(2):  # its tail is longer than that of equal arms: a step falls short
        score += max(0.0, step(score, noisy, 1, MORE * spent))
    return before._replace(stages=(*before.stages, Stage(last, spent, round(score, 3))))


def detectable(boundary: Boundary, seeds: int, sd: float) -> float:
    """Returns the lead of one arm at which another is dropped by `seeds` seeds, with a probability of .8.

    It is that of the look after `seeds` seeds alone. The looks before make the probability a little larger, up to .87;
    so do other arms that are nearly as good as the leader.
    Source: the power of Student's test, by the noncentral t distribution.

    Args:
        boundary: that of the race.
        seeds: at least boundary.first.
        sd: residual standard deviation of a run, beside what its seed and its arm bring.
    """
    freedom = min((boundary.arms - 1.0) * (seeds - 1), PRIOR + seeds - 1)  # as of a pair of arms left, at a look
    limit = float(student_score(boundary.looks[seeds], np.array([freedom]))[0])
    low, high = 0.0, limit + 10
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if stats.nct.sf(limit, freedom, middle) < POWER else (low, middle)
    return high * sd * float(np.sqrt(2 / seeds))
