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
    assert found.taken["cutmix"] == 3 and found.leads["cutmix"] == pytest.approx(
        scores[1 + means.argmax(), :3].mean() - scores[3, :3].mean()
    )
    assert found.stakes[found.left[1]] == pytest.approx(found.stakes[found.leader] + 2 * found.leads[found.left[1]])
    assert (found.seeds, found.runs, found.end, found.halted) == (8, 4 * 3 + 2 * 5, "seeds", None)


def test_before_the_first_look_nobody_is_dropped_and_nothing_is_at_stake() -> None:
    found = judge(drawn(2))
    assert found.left[0] == found.leader and set(found.left) == set(NAMES) and found.sd is not None
    assert not found.drops and not found.stakes and found.end is None and found.seeds == 2
    nothing = judge(np.full((4, 8), math.nan))
    coming = tuple((seed, NAMES) for seed in range(6))
    assert nothing == Standing(0, dict.fromkeys(NAMES, 0), NAMES, (), (), None, None, {}, None, {}, 0, None, coming)


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
    assert found.seeds == 8 and found.taken[leader] == 4


def test_what_fails_when_the_race_has_ended_does_not_count() -> None:
    found = judge(drawn(means=(0.7, 0.8, 0.95, 0.5)), failed=((2, 4),))
    assert (found.end, found.left, found.seeds, found.failures) == ("one left", ("elastic",), 3, ())


def test_the_race_goes_on_without_the_arm_that_failed() -> None:
    found = judge(drawn(means=(0.8, 0.8, 0.82, 0.8), sd=0.02), failed=((2, 1),))
    assert found.failures == (RunFailure("elastic", 1),) and set(found.left) == {"none", "flips", "cutmix"}
    assert found.seeds == 8 and found.taken["elastic"] == 1 and "elastic" in found.leads
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
    assert {"none", "flips"} <= set(twins.left) and twins.leads["none"] == twins.leads["flips"]
    assert twins.stakes["none"] == twins.stakes["flips"]


SIX = ("a", "b", "c", "d", "e", "f")
WIDE = Boundary(6, 3, (Stage(8, 0.04, 8.0),))  # nobody is dropped


def test_after_six_seeds_the_best_four_run_on_and_then_the_others() -> None:
    scores = np.array([0.1, 0.6, 0.5, 0.2, 0.4, 0.3])[:, None] + np.random.default_rng(0).normal(0, 0.01, (6, 8))
    none = np.zeros(scores.shape, bool)

    def standing(**seeds: int) -> Standing:
        table = scores.copy()
        for i, name in enumerate(SIX):
            table[i, seeds.get(name, 6) :] = math.nan
        return judge_race(SIX, table, none, WIDE, 0.0)

    assert standing(a=5).coming == ((5, SIX),)  # beyond the mark nobody knows who leads
    assert standing().coming == ((6, ("b", "c", "e", "f")), (7, ("b", "c", "e", "f")), (6, ("a", "d")), (7, ("a", "d")))
    later = standing(b=8, c=8, e=8, f=7)
    assert later.coming[0] == (7, ("f",)) or later.taken["b"] == 7
    ahead = standing(b=8, c=8, e=8, f=8)
    assert ahead.leader == "b" and ahead.seeds == 8 and ahead.taken["a"] == 6 and ahead.coming[0] == (6, ("a", "d"))
    assert set(ahead.left) == set(SIX) == set(ahead.stakes) and ahead.end is None and ahead.runs == 44
    assert ahead.leads["a"] == pytest.approx(scores[1, :6].mean() - scores[0, :6].mean())
    ended = judge_race(SIX, scores, none, WIDE, 0.0)
    assert ended.end == "seeds" and ended.coming == () and ended.taken == dict.fromkeys(SIX, 8)


def test_where_all_that_run_on_fail_it_is_not_theirs_and_one_that_catches_up_may_fail() -> None:
    scores = np.array([0.1, 0.6, 0.5, 0.2, 0.4, 0.3])[:, None] + np.random.default_rng(0).normal(0, 0.01, (6, 8))
    failed = np.zeros(scores.shape, bool)
    failed[[1, 2, 4, 5], 6] = True
    halted = judge_race(SIX, scores, failed, WIDE, 0.0)
    assert halted.halted == 6 and not halted.failures and set(halted.left) == set(SIX)
    failed[:] = False
    failed[0, 6] = failed[1, 6] = True  # b leaves, d takes its place; later a fails alone
    alone = judge_race(SIX, scores, failed, WIDE, 0.0)
    assert alone.halted is None and {one.arm for one in alone.failures} == {"a", "b"} and alone.end == "seeds"
    failed[:] = False
    failed[[0, 3], 6] = True  # all of those that waited, with a seed that the others had: they leave, and it goes on
    waited = judge_race(SIX, scores, failed, WIDE, 0.0)
    assert waited.halted is None and {one.arm for one in waited.failures} == {"a", "d"} and waited.end == "seeds"
