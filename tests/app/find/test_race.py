"""One race: what is told of it, arms that fail, and what ends it."""

import math

import numpy as np
import pytest

from segtrain.app.find.boundary import Boundary, Stage
from segtrain.app.find.race import Drop, RunFailure, Standing, judge_race

NAMES = ("none", "flips", "elastic", "cutmix")
BOUNDARY = Boundary(4, 3, (Stage(8, 0.04, 2.4),))


def drawn(seeds: int = 8, means: tuple[float, ...] = (0.7, 0.8, 0.8, 0.5), sd: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(2)
    table = np.array(means)[:, None] + rng.normal(0, sd, (len(means), 8)) + rng.normal(0, 0.05, 8)
    return table[:, :seeds]


def judge(
    scores: np.ndarray, failed: tuple[tuple[int, int], ...] = (), tolerance: float = 0.0, names: tuple[str, ...] = NAMES
) -> Standing:
    fails = np.zeros(scores.shape, bool)
    for arm, seed in failed:
        fails[arm, seed], scores[arm, seed] = True, math.nan
    return judge_race(names, scores, fails, BOUNDARY._replace(arms=len(names)), tolerance)


def test_arms_that_are_far_behind_are_dropped_at_the_first_look() -> None:
    scores = drawn()
    found = judge(scores)
    assert [(drop.arm, drop.seeds) for drop in found.drops] == [("none", 3), ("cutmix", 3)]
    for drop in found.drops:
        arm, behind = NAMES.index(drop.arm), NAMES.index(drop.behind)
        assert drop.by == pytest.approx(scores[behind, :3].mean() - scores[arm, :3].mean()) and drop.by > drop.limit > 0
    means = scores[1:3].mean(1)
    assert found.leader == NAMES[1 + means.argmax()] == found.left[0] and set(found.left) == {"flips", "elastic"}
    assert found.leads[found.left[1]] == pytest.approx(abs(means[0] - means[1])) and found.leads[found.leader] == 0
    assert found.means["cutmix"] == pytest.approx(scores[3, :3].mean())
    assert found.stakes[found.left[1]] == pytest.approx(found.stakes[found.leader] + 2 * found.leads[found.left[1]])
    assert (found.seeds, found.runs, found.end, found.halted) == (8, 4 * 3 + 2 * 5, "seeds", None)


def test_before_the_first_look_nobody_is_dropped_and_nothing_is_at_stake() -> None:
    found = judge(drawn(2))
    assert found.left[0] == found.leader and set(found.left) == set(NAMES) and found.sd is not None
    assert not found.drops and not found.stakes and found.end is None and found.seeds == 2
    nothing = judge(np.full((4, 8), math.nan))
    assert nothing == Standing(0, NAMES, (), (), None, None, {}, {}, None, {}, 0, None)


def test_a_race_that_goes_on_tells_of_drops_what_it_told_before() -> None:
    scores = drawn(means=(0.79, 0.8, 0.8, 0.78))
    drops: tuple[Drop, ...] = ()
    for seeds in range(1, 9):
        found = judge(scores[:, :seeds].copy())
        assert found.drops[: len(drops)] == drops
        drops = found.drops
    assert drops and {drop.seeds for drop in drops} != {3}


def test_a_leader_that_fails_leaves_as_failed_and_wins_nothing() -> None:
    scores = drawn(means=(0.8, 0.8, 0.8, 0.5))
    leader = judge(scores[:, :4].copy()).leader or ""
    found = judge(scores, failed=((NAMES.index(leader), 4),))
    assert found.failures == (RunFailure(leader, 4),) and [drop.arm for drop in found.drops] == ["cutmix"]
    assert set(found.left) == set(NAMES) - {leader, "cutmix"} and found.leader != leader and leader not in found.stakes
    assert found.seeds == 8 and found.means[leader] == pytest.approx(scores[NAMES.index(leader), :4].mean())


def test_what_fails_when_the_race_has_ended_does_not_count() -> None:
    found = judge(drawn(means=(0.7, 0.8, 0.95, 0.5)), failed=((2, 4),))
    assert (found.end, found.left, found.seeds, found.failures) == ("one left", ("elastic",), 3, ())


def test_the_race_goes_on_without_the_arm_that_failed() -> None:
    found = judge(drawn(means=(0.8, 0.8, 0.82, 0.8), sd=0.02), failed=((2, 1),))
    assert found.failures == (RunFailure("elastic", 1),) and set(found.left) == {"none", "flips", "cutmix"}
    assert found.seeds == 8 and "elastic" not in found.leads and "elastic" in found.means
    assert found.runs == 4 * 2 + 3 * 6  # the failed run was one


def test_where_every_arm_fails_at_a_seed_nobody_leaves_and_it_is_told() -> None:
    scores = drawn(means=(0.8, 0.8, 0.8, 0.8))
    found = judge(scores, failed=tuple((arm, 5) for arm in range(4)))
    assert (found.halted, found.seeds, found.failures, found.end) == (5, 5, (), None)
    assert set(found.left) == set(NAMES) and set(found.stakes) == set(NAMES)


def test_a_failure_counts_when_the_seed_is_whole() -> None:
    scores = drawn(means=(0.8, 0.8, 0.8, 0.8))
    scores[0, 4] = math.nan
    found = judge(scores, failed=((1, 4),))
    assert found.seeds == 4 and not found.failures and set(found.left) == set(NAMES)


@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_an_arm_that_alone_does_not_fail_is_left(seed: int) -> None:
    found = judge(drawn(means=(0.8,) * 4), failed=((0, seed), (1, seed), (2, seed)))
    assert found.left == ("cutmix",) and found.end == "one left" and len(found.failures) == 3
    assert found.stakes == ({} if seed < 2 else {"cutmix": 0}) and found.seeds == seed + 1


def test_one_arm_has_won_and_two_may_race() -> None:
    alone = judge(np.full((1, 8), math.nan), names=("none",))
    assert (alone.end, alone.left, alone.leader) == ("one left", ("none",), None)
    two = judge(drawn()[:2], names=NAMES[:2])
    assert two.left == ("flips",) and two.end == "one left" and two.stakes == {"flips": 0}


def test_it_ends_where_the_leader_is_within_the_tolerance() -> None:
    scores = drawn(means=(0.8, 0.8, 0.8, 0.5))
    open_ = judge(scores.copy())
    found = judge(scores.copy(), tolerance=open_.stakes[open_.leader or ""] * 1.0001)
    assert found.end == "tolerance" and found.seeds <= 8 and len(found.left) > 1
    assert judge(scores.copy(), tolerance=1.0).seeds == 3


def test_of_runs_that_score_the_same_to_the_bit_nothing_is_said() -> None:
    found = judge(np.full((4, 8), 0.7))
    assert (found.end, found.left, found.sd) == ("seeds", NAMES, 0) and found.stakes == {}
    scores = drawn(means=(0.8, 0.8, 0.8, 0.5))
    scores[1] = scores[0]
    twins = judge(scores)
    assert {"none", "flips"} <= set(twins.left) and twins.means["none"] == twins.means["flips"]
    assert twins.stakes["none"] == twins.stakes["flips"]
