"""Holds the race of `find`, by the product's own functions, as a way to name the best arm."""

from typing import NamedTuple

import numpy as np

from racing.ways import Outcome
from racing.worlds import Drawn
from segtrain.app.find.boundary import calibrate
from segtrain.app.find.elimination import eliminate
from segtrain.app.find.options import FIRST

LAST, TOLERANCE = 16, 0.005  # seeds of an arm, and Dice: defaults of conf/hydra/sweeper/find.yaml


class Raced(NamedTuple):
    """Holds what races ended with."""

    outcome: Outcome
    leads: np.ndarray  # (races, arms): of the leader, over the seeds that both ran


def find(drawn: Drawn, most: int) -> Raced:
    """Returns how the races end that may take so many runs."""
    boundary = calibrate(len(drawn.arms), FIRST, LAST)
    scores = drawn.scores[:, :, :LAST]
    ended = eliminate(scores, boundary.looks, tolerance=TOLERANCE, most_runs=most, marks=boundary.marks)
    each = np.arange(drawn.races)
    means = scores.cumsum(2) / np.arange(1, LAST + 1)
    both = np.minimum(ended.taken, ended.taken[each, ended.leader][:, None])[:, :, None] - 1
    leader = np.take_along_axis(np.broadcast_to(means[each, ended.leader][:, None], means.shape), both, 2)
    leads = (leader - np.take_along_axis(means, both, 2))[:, :, 0]
    return Raced(Outcome(ended.leader, ended.left, ended.runs.astype(float)), leads)


def pairs(drawn: Drawn, raced: Raced) -> tuple[np.ndarray, np.ndarray]:
    """Returns the leader of each race and what it is tested against, by the rule of segtrain/app/find/confirm.py.

    That is none, or where none leads the arm with augmentation that is least behind, of those left if there is one.
    """
    plain = drawn.arms.index("none")
    able = raced.outcome.left.copy()
    able[:, plain] = False
    able |= ~able.any(1, keepdims=True)
    able[:, plain] = False
    best = np.where(able, raced.leads, np.inf).argmin(1)
    named = raced.outcome.named
    return named, np.where(named == plain, best, plain)
