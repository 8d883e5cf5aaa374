"""The statistics: worked values, and properties of any right interval; coverage: scripts/validate_statistics.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segtrain.app.report import paired
from segtrain.app.report.paired import needed_for_power, power


def differences(seed: int, seeds: int = 6, images: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 2, (1, images))
    return effects + rng.normal(0, 1, (seeds, images)) + 0.5


def student(values: np.ndarray) -> tuple[float, float]:
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return float(low), float(high)


def test_without_image_effects_and_rest_it_is_students_interval_over_seeds() -> None:
    of_seeds = np.random.default_rng(0).normal(0.3, 1, 7)
    found = paired.crossed(np.repeat(of_seeds[:, None], 9, 1))
    assert (found.low, found.high) == pytest.approx(student(of_seeds))
    assert found.p == pytest.approx(stats.ttest_1samp(of_seeds, 0).pvalue)


def test_without_seed_effects_and_rest_it_is_students_interval_over_images() -> None:
    of_images = np.random.default_rng(1).normal(0.3, 1, 11)
    found = paired.crossed(np.repeat(of_images[None], 5, 0))
    assert (found.low, found.high) == pytest.approx(student(of_images))


def test_the_mean_squares_of_a_worked_table() -> None:
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 4.0]])  # means: rows 3, 3; columns 2, 2, 5; grand 3
    found = paired.crossed(table)
    # MS rows 0, MS units 2·(1+1+4)/2 = 6, MS rest (1+0+1+1+0+1)/2 = 2, each over 6 observations.
    assert found.mean == 3 and [part.value for part in found.parts] == pytest.approx([0, 1, -1 / 3])
    assert [part.freedom for part in found.parts] == [1, 2, 2]
    rng = np.random.default_rng(0)
    drawn = np.maximum(2 / rng.chisquare(2, 400_000) - 1 / 3 * 2 / rng.chisquare(2, 400_000), 1e-12)
    reach = np.quantile(np.abs(rng.standard_normal(400_000)) * np.sqrt(drawn), 0.95)
    assert found.high - found.mean == pytest.approx(reach, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "effects"),
    [((2, 20), (1.0, 2.0, 1.0)), ((2, 20), (1.0, 0.0, 1.0)), ((4, 12), (0.0, 2.0, 1.0)), ((8, 30), (0.0, 0.0, 1.0))],
)
def test_no_gain_is_seldom_called_one(effects: tuple[float, float, float], shape: tuple[int, int]) -> None:
    rng = np.random.default_rng([*shape, *map(int, effects)])
    of_rows, of_units, rest = effects
    tables = (
        of_rows * rng.normal(size=(shape[0], 1)) + of_units * rng.normal(size=shape[1]) + rest * rng.normal(size=shape)
        for _ in range(300)
    )
    assert sum(paired.crossed(table).p < 0.05 for table in tables) <= 0.085 * 300  # 5 % and 2.8 standard errors


@pytest.mark.parametrize("pool", [40, 100])
def test_rows_that_share_images_are_not_taken_for_independent(pool: int) -> None:
    """Each of eight seeds tests 15 % of the same images; the images rule. Student over seeds errs in 17 of 100."""
    rng = np.random.default_rng(pool)
    wrong = {"shared": 0, "student": 0}
    for _ in range(200):
        of_images, table = rng.normal(0, 0.04, pool), np.full((8, pool), np.nan)
        for row in table:
            tested = rng.choice(pool, int(0.15 * pool), replace=False)
            row[tested] = rng.normal(0, 0.005) + of_images[tested] + rng.normal(0, 0.01, len(tested))
        wrong["shared"] += paired.overlapping(table).p < 0.05
        wrong["student"] += paired.over_rows(np.nanmean(table, 1)).p < 0.05
    assert wrong["shared"] <= 0.09 * 200 < wrong["student"]


def test_seeds_that_come_again_in_every_split_are_a_source_of_chance() -> None:
    """Five seeds on each of four splits that test all images: the seeds' luck is in all of them."""
    rng, wrong = np.random.default_rng(2), {"counted": 0, "forgotten": 0}
    for _ in range(200):
        of_seeds = rng.normal(0, 0.01, 5)
        table = (
            of_seeds.mean() + rng.normal(0, 0.002, (4, 1)) + rng.normal(0, 0.004, 30) + rng.normal(0, 0.004, (4, 30))
        )
        wrong["counted"] += paired.overlapping(table, of_seeds).p < 0.05
        wrong["forgotten"] += paired.overlapping(table).p < 0.05
    assert wrong["counted"] <= 0.09 * 200 < wrong["forgotten"]


def test_rows_that_share_nothing_are_students() -> None:
    table = np.full((4, 8), np.nan)
    for row in range(4):
        table[row, 2 * row : 2 * row + 2] = [row, row + 1.0]
    found = paired.overlapping(table)
    assert (found.low, found.high) == pytest.approx(student(np.array([0.5, 1.5, 2.5, 3.5])))
    assert (found.rows, found.units) == (4, 8)


@given(st.integers(0, 10**6), st.floats(0.5, 0.999))
def test_p_and_limits_agree(seed: int, level: float) -> None:
    found = paired.crossed(differences(seed))
    low, high = paired.interval_at(found, level)
    at_the_limit = found._replace(mean=found.mean - low)
    assert paired.p_of(at_the_limit) == pytest.approx(1 - level, rel=1e-3)
    assert high - found.mean == pytest.approx(found.mean - low)


@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_scale_order_and_sides_change_nothing_that_they_should_not(seed: int, scale: float) -> None:
    table = differences(seed)
    found, scaled, flipped = (paired.crossed(t) for t in (table, scale * table, -table[::-1, ::-1]))
    assert (scaled.low, scaled.high) == pytest.approx((scale * found.low, scale * found.high))
    assert scaled.p == pytest.approx(found.p) == flipped.p
    assert (flipped.low, flipped.high) == pytest.approx((-found.high, -found.low))
    assert paired.crossed(table.T)[3:6] == pytest.approx(found[3:6])


def test_nothing_differs_at_all() -> None:
    found = paired.crossed(np.zeros((5, 9)))
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("shape", [(1, 9), (5, 1), (1, 1)])
def test_one_seed_or_one_image_gives_no_interval(shape: tuple[int, int]) -> None:
    assert math.isnan(paired.crossed(np.ones(shape)).p)


@pytest.mark.parametrize(("wins", "of", "low"), [(8, 8, 0.6306), (5, 5, 0.4782), (0, 8, 0.0), (6, 8, 0.3491)])
def test_the_share_of_wins_has_the_exact_interval(wins: int, of: int, low: float) -> None:
    found = paired.superiority(np.array([1.0] * wins + [-1.0] * (of - wins)))
    exact = stats.binomtest(wins, of).proportion_ci(0.95, "exact")
    assert found == pytest.approx((wins / of, exact.low, exact.high)) and found[1] == pytest.approx(low, abs=1e-4)


def test_wins_with_ties_count_half() -> None:
    share, low, high = paired.superiority(np.array([1.0, 2.0, 0.0, -1.0]))
    assert share == 2.5 / 4 and low < share < high


SPREADS = {"seed_sd": 0.03, "image_sd": 0.02, "rest_sd": 0.02}
FOUND = paired.Estimate(0.02, 8, 30, **SPREADS)


def found_share(rows: int, units: int, draws: int = 300) -> float:
    rng = np.random.default_rng([rows, units])
    tables = (
        0.02 + 0.03 * rng.normal(size=(rows, 1)) + 0.02 * rng.normal(size=units) + 0.02 * rng.normal(size=(rows, units))
        for _ in range(draws)
    )
    return sum(paired.crossed(table).p < 0.05 for table in tables) / draws


def test_the_number_that_is_named_finds_it_in_eight_of_ten() -> None:
    rows = needed_for_power(FOUND).rows
    assert rows is not None and found_share(rows, 30) == pytest.approx(0.8, abs=0.07)


def test_more_arms_take_more_seeds_and_more_power_takes_more_of_either() -> None:
    one, many = needed_for_power(FOUND).rows, needed_for_power(FOUND, arms=11).rows
    assert one is not None and many is not None and 8 < one < many
    assert power(FOUND, 8, 30) < power(FOUND, 16, 30) and power(FOUND, 8, 30) < power(FOUND, 8, 60)


def test_where_the_seeds_spread_too_widely_no_number_of_images_helps() -> None:
    assert needed_for_power(FOUND).units is None
