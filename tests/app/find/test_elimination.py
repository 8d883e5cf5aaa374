"""Many races at once: held against a plain loop, what must change nothing, and how often the best arm is dropped."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segtrain.app.find import elimination, limits
from segtrain.app.find.boundary import calibrate
from segtrain.app.find.elimination import ENDS, Races, eliminate
from segtrain.app.find.limits import PRIOR

LOOKS = np.array([math.inf, math.inf, math.inf, *[2.0] * 10])  # a small boundary: arms are dropped


def drawn(seed: int, races: int = 40, arms: int = 5, seeds: int = 12, spread: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 1, (races, arms, seeds)) * rng.uniform(0.3, 2, (races, arms, 1))
    return table + rng.normal(0, spread, (races, arms, 1)) + rng.normal(0, 3, (races, 1, seeds))


class Loop:
    """A race by the formulas as they are written, an arm and a pair at a time."""

    def __init__(self, table: np.ndarray, looks: np.ndarray, marks: tuple[int, ...]) -> None:
        self.table, self.looks, self.marks = table, looks, [*marks, len(looks) - 1]
        self.left, self.taken = list(range(len(table))), [0] * len(table)
        self.dropped, self.squares, self.freedom = [0] * len(table), 0.0, 0
        self.at_most: dict[tuple[int, int], float] = {}
        for turn, mark in enumerate(self.marks):
            order = sorted(self.left, key=lambda i: -table[i, : self.taken[i]].mean() if turn else i)
            abreast = max(4, math.ceil(len(table) / 3)) if turn else len(table)
            while len(self.left) > 1 and (go := self.next_arms([i for i in order if i in self.left], abreast, mark)):
                self.run(go)

    def next_arms(self, order: list[int], abreast: int, mark: int) -> list[int]:
        for first in range(0, len(order), abreast):
            group = [i for i in order[: first + abreast] if self.taken[i] < mark]
            if group:
                return [i for i in group if self.taken[i] == min(self.taken[j] for j in group)]
        return []

    def run(self, go: list[int]) -> None:
        n, table = self.taken[go[0]] + 1, self.table
        for i in go:
            self.taken[i] = n
        if n > 1:
            new = [(table[i, n - 1] - table[i, : n - 1].mean()) * math.sqrt((n - 1) / n) for i in go]
            self.squares, self.freedom = self.squares + float(np.var(new)) * len(go), self.freedom + len(go) - 1
        if n < 3:
            return
        there = [i for i in self.left if self.taken[i] >= n]
        lead = {(i, j): table[j, :n].mean() - table[i, :n].mean() for i in there for j in there if i != j}
        limit = self.limits(there, n)
        pairs = [pair for pair in lead if set(pair) & set(go)]
        gone = {i for i, j in pairs if lead[i, j] > limit[i, j]}
        for i in gone:
            self.dropped[i] = n
        self.left = [i for i in self.left if i not in gone]
        for pair in pairs:
            self.at_most[pair] = min(self.at_most.get(pair, math.inf), lead[pair] + limit[pair])

    def limits(self, there: list[int], n: int) -> dict[tuple[int, int], float]:
        pair = {(i, j): float(np.var(self.table[i, :n] - self.table[j, :n], ddof=1)) for i in there for j in there}
        own = dict.fromkeys(there, 0.0)
        if len(there) > 2:  # Grubbs' estimates: those that fit V_ij = w_i + w_j best
            total = sum(pair.values()) / 2 / (len(there) - 1)
            own = {i: max(0.0, (sum(pair[i, j] for j in there) - total) / (len(there) - 2)) for i in there}
        limit = {}
        for i, j in pair:
            variance = PRIOR * 2 * self.squares / self.freedom + (n - 1) * max(pair[i, j], own[i] + own[j])
            t = stats.t.isf(stats.norm.sf(self.looks[n]), min(self.freedom, PRIOR + n - 1))
            limit[i, j] = t * math.sqrt(variance / (PRIOR + n - 1) / n)
        return limit

    @property
    def stakes(self) -> list[float]:
        return [max([0.0, *(self.at_most[i, j] for j in self.left if j != i)]) for i in self.left]


@pytest.mark.parametrize(("arms", "marks"), [(2, ()), (3, ()), (7, ()), (7, (4,)), (6, (5, 8)), (14, (4,))])
def test_races_are_those_of_a_plain_loop(arms: int, marks: tuple[int, ...]) -> None:
    tables = drawn(arms, races=12, arms=arms)
    races = eliminate(tables, LOOKS, marks=marks)
    for b, table in enumerate(tables):
        loop = Loop(table, LOOKS, marks)
        assert np.flatnonzero(races.left[b]).tolist() == loop.left and races.dropped[b].tolist() == loop.dropped
        assert races.taken[b].tolist() == loop.taken and races.runs[b] == sum(loop.taken)
        assert races.stakes[b, loop.left] == pytest.approx(loop.stakes)
    assert (races.dropped > 3).any() and (races.left.sum(1) > 1).any()


@pytest.mark.parametrize("most", [40, 60, 75, 90])
def test_where_the_budget_ends_first_the_best_of_those_left_have_more_seeds(most: int) -> None:
    tables = drawn(2, races=30, arms=9, spread=0.3)
    races = eliminate(tables, np.full(13, 50.0) * np.r_[[np.inf] * 3, [1] * 10], most_runs=most, marks=(4,))
    assert races.left.all() and (races.runs <= most).all() and (races.runs.max() > most - 9)
    for taken, means in zip(races.taken, tables[:, :, :4].mean(2), strict=True):
        order = np.argsort(-means)
        assert (np.diff(taken[order]) <= 0).all()  # who led at the mark runs on first
        assert (taken[order[4:]] > 4).sum() == 0 or (taken[order[:4]] == 12).all()
    assert all(
        leader in np.argsort(-means)[:4] for leader, means in zip(races.leader, tables[:, :, :4].mean(2), strict=True)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(0, 12))
def test_a_waiting_arm_takes_the_place_of_one_that_is_dropped_and_catches_up(seed: int, arms: int, mark: int) -> None:
    tables = drawn(seed, races=8, arms=arms, spread=0.5)
    races = eliminate(tables, LOOKS, marks=(mark,))
    whole = races.left.sum(1) > 1
    assert (np.where(races.left, races.taken, 12)[whole] == 12).all()  # without a budget all that are left have all
    assert (races.left.sum(1) >= 1).all() and (races.stakes[races.left] >= 0).all()
    assert (races.by > races.limit)[races.dropped > 0].all()


def test_what_one_arm_can_be_better_than_another_is_the_least_that_a_look_has_told() -> None:
    tables = drawn(6, races=200, spread=0.2)
    before = None
    for seeds in range(3, 13):
        now = eliminate(tables[:, :, :seeds], np.array([math.inf] * 3 + [4.0] * 10))
        if before is not None:
            both = now.left & before.left
            assert (now.stakes[both] <= before.stakes[both] + 1e-12).all()
        before = now
    assert now.left.sum() > 200


def test_the_pooled_variance_of_arms_that_all_stay_is_that_of_two_way_analysis() -> None:
    table = drawn(1, races=1, seeds=6)
    rest = table - table.mean(2, keepdims=True) - table.mean(1, keepdims=True) + table.mean()
    found = eliminate(table, np.full(7, np.inf)).sd
    assert found == pytest.approx(math.sqrt((rest**2).sum() / (4 * 5)))


def test_the_pooled_variance_stays_right_where_far_arms_are_dropped_at_once() -> None:
    tables = np.random.default_rng(0).normal(0, 1, (500, 12, 10)) - np.r_[0, 0, [20] * 10][:, None]
    races = eliminate(tables, np.array([np.inf] * 3 + [5.0] * 8))
    assert (races.left[:, :2].all(1) & (races.left.sum(1) == 2)).all()
    # 11 · 2 degrees of freedom of three seeds and one each of the seven after
    assert np.mean(races.sd**2) == pytest.approx(1, abs=4 * math.sqrt(2 / 29 / 500))


def same_but(one: Races, other: Races, *, shift: float = 0, factor: float = 1) -> bool:
    exact = ("taken", "left", "dropped", "behind", "failed", "halted", "runs", "end")
    scaled = ("by", "limit", "sd", "stakes")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in exact) and all(
        np.allclose(getattr(one, name) * factor, getattr(other, name), equal_nan=True) for name in scaled
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.floats(-100, 100), st.floats(0.01, 100))
def test_what_a_seed_brings_to_all_arms_and_the_unit_change_nothing(seed: int, shift: float, factor: float) -> None:
    tables = drawn(seed, races=5)
    of_seeds = shift * np.random.default_rng(seed).normal(size=(5, 1, 12))
    races = eliminate(tables, LOOKS, tolerance=0.8)
    assert same_but(races, eliminate(tables + of_seeds, LOOKS, tolerance=0.8))
    assert same_but(races, eliminate(tables * factor, LOOKS, tolerance=0.8 * factor), factor=factor)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.permutations(range(5)))
def test_the_order_of_arms_changes_nothing(seed: int, order: list[int]) -> None:
    tables = drawn(seed, races=5)
    one, other = eliminate(tables, LOOKS, marks=(4,)), eliminate(tables[:, order], LOOKS, marks=(4,))
    for name in ("taken", "left", "dropped", "by", "limit", "means", "stakes"):
        assert np.allclose(getattr(one, name)[:, order], getattr(other, name), equal_nan=True)
    behind = np.where(other.behind < 0, -1, np.array(order)[other.behind])
    assert np.array_equal(one.behind[:, order], behind)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 11))
def test_a_race_over_fewer_seeds_is_the_beginning_of_the_longer_one(seed: int, seeds: int) -> None:
    tables = drawn(seed, races=10)
    whole, part = eliminate(tables, LOOKS), eliminate(tables[:, :, :seeds], LOOKS)
    early = (whole.dropped > 0) & (whole.dropped <= seeds)
    assert np.array_equal(part.dropped, np.where(early, whole.dropped, 0))
    assert np.array_equal(part.limit[early], whole.limit[early]) and np.array_equal(
        part.behind[early], whole.behind[early]
    )


def test_a_race_alone_is_the_same_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = drawn(3, races=7)
    together = eliminate(tables, LOOKS)
    monkeypatch.setattr(elimination, "CHUNK", 50)  # two races of five arms at a time
    for races in (
        eliminate(tables, LOOKS),
        Races(*map(np.concatenate, zip(*(eliminate(t[None], LOOKS) for t in tables), strict=True))),
    ):
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(together, races, strict=True))


def test_runs_that_are_not_there_are_waited_for_and_those_of_dropped_arms_are_not() -> None:
    table = drawn(0, races=1, spread=0) + np.array([0, 0, 0, -50, -50])[:, None]
    table[0, 3:, 5:] = np.nan  # dropped after three seeds
    races = eliminate(table, LOOKS)
    assert races.dropped[0, 3:].tolist() == [3, 3] and races.seeds[0] == 12
    table[0, 1, 3] = np.nan
    waiting = eliminate(table, LOOKS)
    assert waiting.seeds[0] == 3 and waiting.end[0] == 0 and waiting.runs[0] == 15


def test_a_race_ends_before_the_seed_that_it_cannot_pay() -> None:
    table = np.zeros((1, 4, 9))
    races = eliminate(table, LOOKS, most_runs=30)
    assert (races.seeds[0], races.runs[0], ENDS[races.end[0]]) == (7, 28, "budget")


def test_ties_crash_nothing_and_drop_nobody() -> None:
    same = np.full((1, 4, 12), 0.7123)
    assert eliminate(same, LOOKS).left.all() and np.isnan(eliminate(same, LOOKS).stakes).all()
    assert ENDS[eliminate(same, LOOKS, tolerance=0.0).end[0]] != "tolerance"
    twins = drawn(4, races=50)
    twins[:, 1] = twins[:, 0]
    races = eliminate(twins, LOOKS)
    assert np.array_equal(races.left[:, 0], races.left[:, 1]) and np.array_equal(
        races.dropped[:, 0], races.dropped[:, 1]
    )
    assert races.left[:, 0].any() and (~races.left[:, 0]).any()


# Worlds of equal arms, of which the first is called the best: noise of a run, (races, arms, seeds).


def one_noisy(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 1, (races, arms, seeds)) * np.r_[3, np.ones(arms - 1)][:, None]


def one_quiet(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 1, (races, arms, seeds)) * np.r_[1, np.full(arms - 1, 3)][:, None]


def half_noisy(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 1, (races, arms, seeds)) * np.where(np.arange(arms) < (arms + 1) // 2, 3, 1)[:, None]


def equal(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 1, (races, arms, seeds))


def skewed(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return -rng.lognormal(0, 1, (races, arms, seeds))


def crashes(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 0.8, (races, arms, seeds)) - 6 * (rng.random((races, arms, seeds)) < 0.05)


def heavy(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.standard_t(3, (races, arms, seeds))


def others_of_one_policy(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    shared = rng.normal(0, math.sqrt(0.8), (races, 2, seeds))[:, np.minimum(np.arange(arms), 1)]
    return shared + rng.normal(0, math.sqrt(0.2), (races, arms, seeds))


def policies_of_three(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    shared = rng.normal(0, math.sqrt(0.7), (races, arms, seeds))[:, np.arange(arms) // 3]
    return shared + rng.normal(0, math.sqrt(0.3), (races, arms, seeds))


def far_losers(rng: np.random.Generator, races: int, arms: int, seeds: int) -> np.ndarray:
    return rng.normal(0, 1, (races, arms, seeds)) - 20 * (np.arange(arms) >= max(2, arms - 10))[:, None]


WORLDS = (
    equal,
    one_noisy,
    one_quiet,
    half_noisy,
    skewed,
    crashes,
    heavy,
    others_of_one_policy,
    policies_of_three,
    far_losers,
)


def share_of_best_dropped(world: object, arms: int, last: int, races: int) -> float:
    tables = world(np.random.default_rng(7), races, arms, last)  # type: ignore[operator]
    boundary = calibrate(arms, 3, last)
    return 1 - float(eliminate(tables, boundary.looks, marks=boundary.marks).left[:, 0].mean())


@pytest.mark.parametrize("world", [equal, one_noisy, others_of_one_policy, crashes])
def test_the_best_of_five_is_seldom_dropped(world: object) -> None:
    assert share_of_best_dropped(world, 5, 8, 2000) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("arms", "last"), [(3, 16), (12, 16)])
def test_the_best_is_dropped_in_five_percent_of_races_at_most(world: object, arms: int, last: int) -> None:
    assert share_of_best_dropped(world, arms, last, 1000) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.slow
def test_where_the_best_is_ten_times_as_noisy_it_is_dropped_a_little_oftener() -> None:
    arms, last = 5, 8
    tables, boundary = equal(np.random.default_rng(7), 4000, arms, last), calibrate(arms, 3, last)
    for noise, most in ((3, 0.05), (10, 0.06)):
        of = tables * np.r_[noise, np.ones(arms - 1)][:, None]
        dropped = 1 - eliminate(of, boundary.looks, marks=boundary.marks).left[:, 0].mean()
        assert dropped <= most + 3 * math.sqrt(most * (1 - most) / 4000)


@pytest.mark.slow
def test_a_pooled_variance_alone_would_drop_a_noisy_best_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PRIOR", 1e9)
    tables = one_noisy(np.random.default_rng(7), 4000, 12, 16)
    assert eliminate(tables, np.array([math.inf] * 3 + [3.04] * 14)).left[:, 0].mean() < 0.75


@pytest.mark.slow
def test_a_clear_leader_is_found_with_sixty_percent_of_the_grid() -> None:
    gaps = -np.r_[0, 2 + np.linspace(0, 6, 11)][:, None]
    tables = np.random.default_rng(3).normal(0, 1, (4000, 12, 16)) + gaps
    races = eliminate(tables, calibrate(12, 3, 16).looks, most_runs=96, marks=(6,))
    assert races.runs.mean() < 0.56 * 96 and races.runs.max() <= 96 and (races.leader == 0).mean() > 0.999


@pytest.mark.slow
def test_a_sole_winner_of_a_close_race_is_seldom_wrong() -> None:
    gaps = -np.r_[0, 0.3, 0.5, 1.5 + np.linspace(0, 6, 9)][:, None]
    tables = np.random.default_rng(3).normal(0, 1, (4000, 12, 16)) + gaps
    races = eliminate(tables, calibrate(12, 3, 16).looks, most_runs=96, marks=(6,))
    assert ((races.left.sum(1) == 1) & (races.leader != 0)).mean() < 0.02


def test_stakes_hold_the_truth_at_every_number_of_runs() -> None:
    gaps = np.array([0, -0.3, -0.6, -0.6, -0.6, -2, -4.0])
    tables, boundary = np.random.default_rng(5).normal(0, 1, (2000, 7, 8)) + gaps[:, None], calibrate(7, 3, 8)
    wrong = np.zeros(len(tables), bool)
    for runs in range(21, 57, 4):
        races = eliminate(tables, boundary.looks, most_runs=runs, marks=boundary.marks)
        wrong |= (races.left & (races.stakes < -gaps)).any(1)
    assert wrong.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert np.nanmedian(races.stakes[:, 0]) < 2  # they say something


@pytest.mark.slow
def test_the_arm_that_a_flat_race_names_is_better_than_that_of_a_grid() -> None:
    rng = np.random.default_rng(8)
    truth = rng.permuted(np.tile(-0.2 * np.arange(12), (3000, 1)), axis=1)
    noise = rng.permuted(np.tile(np.linspace(0.5, 1.5, 12), (3000, 1)), axis=1)[:, :, None]
    tables = truth[:, :, None] + noise * rng.normal(0, 1, (3000, 12, 16))
    boundary, each = calibrate(12, 3, 16), np.arange(3000)
    races = eliminate(tables, boundary.looks, most_runs=96, marks=boundary.marks)
    regret, of_grid = -truth[each, races.leader].mean(), -truth[each, tables[:, :, :8].mean(2).argmax(1)].mean()
    assert regret < 0.9 * of_grid
