import math

import numpy as np
import pytest

from segtrain.app.report import multiplicity, paired


def test_holm_by_hand() -> None:
    assert multiplicity.holm([0.01, 0.04, 0.03, math.nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(multiplicity.holm([math.nan])[0])


def arms(rng: np.random.Generator, many: int, shared: float, shape: tuple[int, int] = (8, 30)) -> list[np.ndarray]:
    """Differences without a gain; a part of each effect is the baseline's, shared by all arms."""

    def effect(size: tuple[int, ...]) -> np.ndarray:
        common, own = rng.normal(size=size), rng.normal(size=(many, *size))
        return np.sqrt(shared) * common + np.sqrt(1 - shared) * own

    return list(effect((shape[0], 1)) + effect((1, shape[1])) + effect(shape))


def test_one_arm_is_taken_at_its_own_level() -> None:
    assert multiplicity.level_for_each(arms(np.random.default_rng(0), 1, 0.0)) == pytest.approx(0.95)


def test_equal_arms_count_as_one_and_unrelated_ones_as_many() -> None:
    one = arms(np.random.default_rng(0), 1, 0.0)[0]
    assert multiplicity.level_for_each([one] * 9) == pytest.approx(0.95, abs=0.005)
    apart = multiplicity.level_for_each(arms(np.random.default_rng(1), 9, 0.0, (60, 200)))
    assert apart == pytest.approx(0.95 ** (1 / 9), abs=0.002)


def test_arms_of_other_tables_are_bonferronis() -> None:
    first, second = (arms(np.random.default_rng(0), 1, 0.0, shape)[0] for shape in ((8, 30), (5, 30)))
    assert multiplicity.level_for_each([first, second]) == pytest.approx(0.975)
    gaps = first.copy()
    gaps[0, 0] = np.nan
    assert multiplicity.level_for_each([first, gaps]) == pytest.approx(0.975)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_all_intervals_hold_at_once_and_so_does_that_of_the_arm_that_is_picked(shared: float) -> None:
    rng, all_hold, picked, picked_alone = np.random.default_rng(5), 0, 0, 0
    for _ in range(300):
        tables = arms(rng, 8, shared)
        level = multiplicity.level_for_each(tables)
        found = [paired.crossed(table) for table in tables]
        holds = [low <= 0 <= high for low, high in (paired.limits(one, level) for one in found)]
        best = int(np.argmax([one.mean for one in found]))
        all_hold, picked = all_hold + all(holds), picked + holds[best]
        picked_alone += found[best].low <= 0 <= found[best].high
    assert all_hold >= 0.92 * 300 and picked >= 0.93 * 300 > picked_alone
