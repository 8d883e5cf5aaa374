"""Holds what a find has found, as find.json has it and find.html shows it.

Scores are val/dice in [0, 1] of the race, the mean foreground Dice of a test image in the confirmation; differences are
in the same unit, so that .01 is a Dice point. Nothing here depends on when or how fast it was found: what runs cost is
`Cost`, in a file of its own, so that a find that was killed on the way ends with the same find.json.
"""

from typing import Literal, NamedTuple

End = Literal["one left", "tolerance", "seeds", "budget"]  # why a race ended


class ArmAnswer(NamedTuple):
    """Holds what the race found of an arm."""

    name: str  # such as "flips × 0.5"
    overrides: tuple[str, ...]  # without seed, such as ("aug=flips", "aug.strength=0.5")
    plain: bool  # whether it trains without augmentation
    scores: tuple[float | None, ...]  # of race seed 0, 1, …; None where the run failed
    state: Literal["left", "dropped", "failed"]
    stake: float | None  # what training with it loses at most against the best arm; None unless left
    seed: int | None = None  # number of seeds after which it was dropped, or the seed at which it failed
    behind: str | None = None  # the arm that it was behind
    by: float | None = None  # how far behind it was
    limit: float | None = None  # how far behind it might have been
    error: str = ""
    train_loss: float | None = None  # mean of the last epoch over its seeds: larger, the harder its augmentation


class RaceAnswer(NamedTuple):
    """Holds how the race went."""

    arms: tuple[ArmAnswer, ...]
    leader: str
    left: tuple[str, ...]  # names of arms that cannot be told from the leader, itself first, then by its lead over them
    mildest: str  # of those left: the one whose training is easiest
    seeds: int  # the most that an arm left has; one left with fewer waits (segtrain.app.find.order)
    first: int  # seeds after which an arm may be dropped
    last: int  # seeds up to which the boundary holds
    boundary: float  # of this stage, a normal score, which each look turns into Student's quantile
    stages: int  # 1; 2 and more where `seeds` was raised after the race had begun
    residual_sd: float | None  # of a run, beside what its seed and its arm bring; pooled over arms
    detectable: float | None  # the difference that so many seeds find with 80 %
    end: End
    tolerance: float


class Confirmation(NamedTuple):
    """Holds the test on seeds of its own: the winner against the arm without augmentation.

    Where no augmentation won, `against` is the best arm with one.
    """

    winner: str
    against: str
    seeds: tuple[int, ...]
    images: int
    groups: int  # as many as images where each stands alone
    score: float  # the winner's mean Dice
    gain: float
    low: float  # of the 95 % interval, crossed over seeds and test images
    high: float
    p: float
    verdict: str  # of segtrain.app.report.contrasts
    over: str  # what the interval is taken over, in words
    cautions: tuple[str, ...] = ()
    needed: tuple[int | None, int | None] = (None, None)  # seeds, or images (groups), that would settle such a gain


class LengthPoint(NamedTuple):
    """Holds the gain of an arm over none on validation, at a multiple of the training length."""

    arm: str
    factor: float
    gain: float
    low: float
    high: float
    seeds: int


class FindAnswer(NamedTuple):
    """Holds all of it."""

    title: str  # the name of the find, such as "cells-find"
    dataset: str
    race: RaceAnswer
    confirmation: Confirmation | None  # None where the budget left no room, or every run of it failed
    lengths: tuple[LengthPoint, ...]
    members: tuple[str, ...]  # run folders of the winner that best/ was made of
    budget_is_used_up: bool


class Cost(NamedTuple):
    """Holds what an arm took."""

    arm: str
    runs: int
    seconds: float  # of its runs, one after the other


class Costs(NamedTuple):
    """Holds what the find took."""

    budget: float  # seconds
    spent: float  # seconds in which jobs ran
    slots: int  # jobs at a time
    seconds_a_run: float  # as it was reckoned before the race
    arms: tuple[Cost, ...]
    grid_runs: int  # that all arms with 8 seeds each would have taken
    race_runs: int
    confirming_runs: int
    length_runs: int
