"""Holds ways to name the best of some arms with the runs of 8 seeds each, for many races at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from racing.worlds import Drawn

SEEDS, ALPHA = 8, 0.05
MOST_SEEDS = 32  # that a way may use of an arm; successive halving takes up to 26
IRACE_FIRST, IRACE_LAST = 5, 16


class Outcome(NamedTuple):
    """Holds what a way names in each race."""

    named: np.ndarray  # (races,): the arm to use
    left: np.ndarray  # (races, arms): those that it does not tell apart, among them the named one
    runs: np.ndarray  # (races,): whole trainings; a training for some of its epochs counts as that share of one

    @property
    def sole(self) -> np.ndarray:
        return np.asarray(self.left.sum(1) == 1)


Way = Callable[[Drawn], Outcome]


def outcome(named: np.ndarray, drawn: Drawn, runs: float | np.ndarray) -> Outcome:
    """Returns the outcome of a way that names one arm."""
    left = np.arange(len(drawn.arms)) == named[:, None]
    return Outcome(named, left, np.broadcast_to(np.asarray(runs, float), named.shape))


def grid(drawn: Drawn) -> Outcome:
    """Returns the best mean over the seeds of the grid."""
    return outcome(drawn.scores[:, :, :SEEDS].mean(2).argmax(1), drawn, SEEDS * len(drawn.arms))


def grid_set(drawn: Drawn) -> Outcome:
    """Returns the arms of the grid that may be the best: Hsu's comparisons with the best, by Dunnett's quantile."""
    scores = drawn.scores[:, :, :SEEDS]
    means, arms = scores.mean(2), len(drawn.arms)
    rest = scores - means[..., None] - scores.mean(1, keepdims=True) + means.mean(1)[:, None, None]
    freedom = (arms - 1) * (SEEDS - 1)
    error = np.sqrt(2 * (rest**2).sum((1, 2)) / freedom / SEEDS)
    behind = means.max(1, keepdims=True) - means
    left = behind <= dunnett(arms - 1, freedom) * error[:, None]
    return Outcome(means.argmax(1), left, np.full(drawn.races, float(SEEDS * arms)))


def dunnett(others: int, freedom: int, draws: int = 200_000) -> float:
    """Returns the one-sided quantile of the largest of some comparisons with one arm, by simulation."""
    rng = np.random.default_rng(0)
    apart = (rng.standard_normal((draws, others)).max(1) - rng.standard_normal(draws)) / np.sqrt(2)
    return float(np.quantile(apart / np.sqrt(rng.chisquare(freedom, draws) / freedom), 1 - ALPHA))


def one_seed(drawn: Drawn) -> Outcome:
    """Returns the best of one run each."""
    return outcome(drawn.scores[:, :, 0].argmax(1), drawn, len(drawn.arms))


def one_epoch(drawn: Drawn) -> Outcome:
    """Returns the best run of the three that are best after one epoch, all of one seed."""
    arms, epochs = drawn.curves.shape[1], drawn.curves.shape[3]
    first, kept = drawn.curves[:, :, 0, 0], 3
    among = first >= np.sort(first, 1)[:, -kept][:, None]
    named = np.where(among, drawn.scores[:, :, 0], -np.inf).argmax(1)
    return outcome(named, drawn, (arms + kept * (epochs - 1)) / epochs)


def halving(drawn: Drawn) -> Outcome:
    """Returns what sequential halving leaves: the same number of runs in each round, then the better half goes on.

    Source: Karnin, Koren and Somekh 2013 (ICML 28:1238), means over all runs of an arm.
    """
    races, arms = drawn.truth.shape
    alive, seeds, used = np.ones((races, arms), bool), 0, 0
    rounds, budget, left = int(np.ceil(np.log2(arms))), SEEDS * arms, arms
    for _ in range(rounds):
        more = max(1, budget // (rounds * left))
        seeds, used, left = seeds + more, used + more * left, -(-left // 2)
        means = np.where(alive, drawn.scores[:, :, :seeds].mean(2), -np.inf)
        alive &= means >= np.sort(means, 1)[:, -left][:, None]
    return outcome(alive.argmax(1), drawn, used)


def irace(drawn: Drawn) -> Outcome:
    """Returns what a race leaves that drops an arm by a paired t-test against the leader after each seed.

    As irace does with its option t-test (López-Ibáñez et al. 2016, Operations Research Perspectives 3:43): first after
    5 seeds, two-sided at 5 %, without a correction for the number of arms or tests.
    """
    races, arms = drawn.truth.shape
    alive, used, seeds = np.ones((races, arms), bool), np.zeros(races), np.zeros(races, int)
    for n in range(1, IRACE_LAST + 1):
        goes = (alive.sum(1) > 1) & (used + alive.sum(1) <= SEEDS * arms)
        used, seeds = used + goes * alive.sum(1), seeds + goes
        if n < IRACE_FIRST:
            continue
        now = drawn.scores[:, :, :n]
        leader = np.where(alive, now.mean(2), -np.inf).argmax(1)
        behind = now[np.arange(races), leader][:, None] - now
        error = behind.std(2, ddof=1) / np.sqrt(n)
        limit = stats.t.ppf(1 - ALPHA / 2, n - 1) * error
        alive &= ~((behind.mean(2) > limit) & goes[:, None])
    means = np.stack([drawn.scores[race, :, :n].mean(1) for race, n in enumerate(seeds)])
    return Outcome(np.where(alive, means, -np.inf).argmax(1), alive, used)


def untuned(policy: str) -> Way:
    """Returns the way that takes a policy at strength 1 without looking."""

    def way(drawn: Drawn) -> Outcome:
        arm = next(n for n, name in enumerate(drawn.arms) if name in (policy, f"{policy} × 1"))
        return outcome(np.full(drawn.races, arm), drawn, 0.0)

    return way


WAYS: dict[str, Way] = {
    "grid 8 × 12, best mean": grid,
    "grid 8 × 12, Hsu's set": grid_set,
    "one seed, best run": one_seed,
    "one epoch, then the top 3": one_epoch,
    "sequential halving": halving,
    "irace-like race": irace,
    "untuned trivialaugment": untuned("trivialaugment"),
    "untuned medical_elastic": untuned("medical_elastic"),
}
