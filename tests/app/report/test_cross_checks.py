"""What guards a comparison: many arms at once, bootstrap, sign flips, and neighbours."""

import math

import numpy as np
import pytest

from segtrain.app.report import cross_checks, paired


def test_holm_by_hand() -> None:
    assert cross_checks.holm([0.01, 0.04, 0.03, math.nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(cross_checks.holm([math.nan])[0])


def arms(rng: np.random.Generator, many: int, shared: float, shape: tuple[int, int] = (8, 30)) -> list[np.ndarray]:
    """Differences without a gain; a part of each effect is the baseline's, shared by all arms."""

    def effect(size: tuple[int, ...]) -> np.ndarray:
        common, own = rng.normal(size=size), rng.normal(size=(many, *size))
        return np.sqrt(shared) * common + np.sqrt(1 - shared) * own

    return list(effect((shape[0], 1)) + effect((1, shape[1])) + effect(shape))


def test_one_arm_is_taken_at_its_own_level() -> None:
    assert cross_checks.level_for_each(arms(np.random.default_rng(0), 1, 0.0)) == pytest.approx(0.95)


def test_equal_arms_count_as_one_and_unrelated_ones_as_many() -> None:
    one = arms(np.random.default_rng(0), 1, 0.0)[0]
    assert cross_checks.level_for_each([one] * 9) == pytest.approx(0.95, abs=0.005)
    apart = cross_checks.level_for_each(arms(np.random.default_rng(1), 9, 0.0, (60, 200)))
    assert apart == pytest.approx(0.95 ** (1 / 9), abs=0.002)


def test_arms_of_other_tables_are_bonferronis() -> None:
    first, second = (arms(np.random.default_rng(0), 1, 0.0, shape)[0] for shape in ((8, 30), (5, 30)))
    assert cross_checks.level_for_each([first, second]) == pytest.approx(0.975)
    gaps = first.copy()
    gaps[0, 0] = np.nan
    assert cross_checks.level_for_each([first, gaps]) == pytest.approx(0.975)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_all_intervals_hold_at_once_and_so_does_that_of_the_arm_that_is_picked(shared: float) -> None:
    rng, all_hold, picked, picked_alone = np.random.default_rng(5), 0, 0, 0
    for _ in range(300):
        tables = arms(rng, 8, shared)
        level = cross_checks.level_for_each(tables)
        found = [paired.crossed(table) for table in tables]
        holds = [low <= 0 <= high for low, high in (paired.interval_at(one, level) for one in found)]
        best = int(np.argmax([one.mean for one in found]))
        all_hold, picked = all_hold + all(holds), picked + holds[best]
        picked_alone += found[best].low <= 0 <= found[best].high
    assert all_hold >= 0.92 * 300 and picked >= 0.93 * 300 > picked_alone


def test_the_bootstrap_agrees_with_the_model_where_there_is_much_data() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(0, 1, (40, 1)) + rng.normal(0, 2, (1, 60)) + rng.normal(0, 1, (40, 60)) + 0.5
    found, (low, high) = paired.crossed(table), cross_checks.bootstrap(table)
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.15 * (found.high - found.low))


def test_sign_flips_of_all_alike_reach_the_smallest_p() -> None:
    assert cross_checks.sign_flip(np.arange(1.0, 6.0)) == 2 / 32
    assert cross_checks.sign_flip(np.array([1.0, -1.0])) == 1
    assert cross_checks.sign_flip(np.ones(20)) == pytest.approx(0, abs=0.001)


def smooth(rng: np.random.Generator, arms: int, units: int, alike: float) -> np.ndarray:
    """Differences of which each is `alike` times the one before, plus what is new."""
    values = rng.normal(size=(arms, units))
    for unit in range(1, units):
        values[:, unit] = alike * values[:, unit - 1] + np.sqrt(1 - alike**2) * values[:, unit]
    return values


def test_neighbours_that_differ_alike_are_found() -> None:
    found = cross_checks.neighbours(smooth(np.random.default_rng(0), 4, 40, 0.8))
    assert found is not None and found.p < 0.001 and 0.4 < found.correlation < 0.95
    assert found.stretch == pytest.approx(np.sqrt((1 + found.correlation) / (1 - found.correlation)))


def test_neighbours_without_likeness_are_seldom_found() -> None:
    drawn = [cross_checks.neighbours(smooth(np.random.default_rng(i), 3, 20, 0.0)) for i in range(60)]
    assert sum(one is not None and one.p < 0.01 for one in drawn) <= 3


def test_an_interval_over_alike_neighbours_is_too_short_by_about_the_stretch() -> None:
    rng = np.random.default_rng(1)
    means = smooth(rng, 3000, 60, 0.6).mean(1)
    assert means.std() / (1 / np.sqrt(60)) == pytest.approx(cross_checks.Neighbours(0.6, 0.0).stretch, rel=0.08)


@pytest.mark.parametrize("table", [np.ones((3, 5)), np.zeros((2, 30))])
def test_too_few_units_or_no_variation_show_nothing(table: np.ndarray) -> None:
    assert cross_checks.neighbours(table) is None
