"""The statistics: worked values, and properties of any right interval; coverage: scripts/validate_statistics.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segtrain.sweeps import paired


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
    # MS seeds 0, MS images 2·(1+1+4)/2 = 6, MS rest (1+0+1+1+0+1)/2 = 2; the sum of all less the rest, 4, is below 6.
    error = math.sqrt(6 / 6)
    assert found.mean == 3 and found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 2) * error)


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


def test_the_bootstrap_agrees_with_the_model_where_there_is_much_data() -> None:
    table = differences(3, 40, 60)
    found, (low, high) = paired.crossed(table), paired.bootstrap(table)
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.15 * (found.high - found.low))


def test_sign_flips_of_all_alike_reach_the_smallest_p() -> None:
    assert paired.sign_flip(np.arange(1.0, 6.0)) == 2 / 32
    assert paired.sign_flip(np.array([1.0, -1.0])) == 1
    assert paired.sign_flip(np.ones(20)) == pytest.approx(0, abs=0.001)


def test_wins_with_ties_count_half() -> None:
    share, low, high = paired.superiority(np.array([1.0, 2.0, 0.0, -1.0]))
    assert share == 2.5 / 4 and low < share < high


def test_holm_by_hand() -> None:
    assert paired.holm([0.01, 0.04, 0.03, math.nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(paired.holm([math.nan])[0])


def test_needed_seeds_would_settle_it() -> None:
    found = paired.Estimate(0.01, 4, 30, seed_sd=0.02, image_sd=0.01, rest_sd=0.02)
    seeds, images = paired.needed(found)
    assert seeds is not None and images is None  # the seeds' spread alone is too wide for 4 of them

    def reach(n: int) -> float:
        return 1.96 * math.sqrt(0.02**2 / n + 0.01**2 / 30 + 0.02**2 / (30 * n))

    assert reach(seeds) < 0.01 < reach(seeds - 1)
