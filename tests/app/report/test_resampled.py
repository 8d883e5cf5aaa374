import numpy as np
import pytest

from segtrain.app.report import paired, resampled


def test_the_bootstrap_agrees_with_the_model_where_there_is_much_data() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(0, 1, (40, 1)) + rng.normal(0, 2, (1, 60)) + rng.normal(0, 1, (40, 60)) + 0.5
    found, (low, high) = paired.crossed(table), resampled.bootstrap(table)
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.15 * (found.high - found.low))


def test_sign_flips_of_all_alike_reach_the_smallest_p() -> None:
    assert resampled.sign_flip(np.arange(1.0, 6.0)) == 2 / 32
    assert resampled.sign_flip(np.array([1.0, -1.0])) == 1
    assert resampled.sign_flip(np.ones(20)) == pytest.approx(0, abs=0.001)


def smooth(rng: np.random.Generator, arms: int, units: int, alike: float) -> np.ndarray:
    """Differences of which each is `alike` times the one before, plus what is new."""
    values = rng.normal(size=(arms, units))
    for unit in range(1, units):
        values[:, unit] = alike * values[:, unit - 1] + np.sqrt(1 - alike**2) * values[:, unit]
    return values


def test_neighbours_that_differ_alike_are_found() -> None:
    found = resampled.neighbours(smooth(np.random.default_rng(0), 4, 40, 0.8))
    assert found is not None and found.p < 0.001 and 0.4 < found.correlation < 0.95
    assert found.stretch == pytest.approx(np.sqrt((1 + found.correlation) / (1 - found.correlation)))


def test_neighbours_without_likeness_are_seldom_found() -> None:
    drawn = [resampled.neighbours(smooth(np.random.default_rng(i), 3, 20, 0.0)) for i in range(60)]
    assert sum(one is not None and one.p < 0.01 for one in drawn) <= 3


def test_an_interval_over_alike_neighbours_is_too_short_by_about_the_stretch() -> None:
    rng = np.random.default_rng(1)
    means = smooth(rng, 3000, 60, 0.6).mean(1)
    assert means.std() / (1 / np.sqrt(60)) == pytest.approx(resampled.Neighbours(0.6, 0.0).stretch, rel=0.08)


@pytest.mark.parametrize("table", [np.ones((3, 5)), np.zeros((2, 30))])
def test_too_few_units_or_no_variation_show_nothing(table: np.ndarray) -> None:
    assert resampled.neighbours(table) is None
