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
    means: np.ndarray  # (races, arms): over the seeds that an arm ran


def find(drawn: Drawn, most: int) -> Raced:
    """Returns how the races end that may take so many runs."""
    boundary = calibrate(len(drawn.arms), FIRST, LAST)
    ended = eliminate(drawn.scores[:, :, :LAST], boundary.looks, tolerance=TOLERANCE, most_runs=most)
    return Raced(Outcome(ended.leader, ended.left, ended.runs.astype(float)), ended.means)


def pairs(drawn: Drawn, raced: Raced) -> tuple[np.ndarray, np.ndarray]:
    """Returns the leader of each race and what it is tested against, by the rule of segtrain/app/find/confirm.py.

    That is none, or where none leads the best arm with augmentation by its mean, of those left if there is one.
    """
    plain = drawn.arms.index("none")
    able = raced.outcome.left.copy()
    able[:, plain] = False
    able |= ~able.any(1, keepdims=True)
    able[:, plain] = False
    best = np.where(able, raced.means, -np.inf).argmax(1)
    named = raced.outcome.named
    return named, np.where(named == plain, best, plain)
