import numpy as np
import pytest

from segtrain.app.report import paired
from segtrain.app.report.power import needed, power

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
    rows = needed(FOUND).rows
    assert rows is not None and found_share(rows, 30) == pytest.approx(0.8, abs=0.07)


def test_more_arms_take_more_seeds_and_more_power_takes_more_of_either() -> None:
    one, many = needed(FOUND).rows, needed(FOUND, arms=11).rows
    assert one is not None and many is not None and 8 < one < many
    assert power(FOUND, 8, 30) < power(FOUND, 16, 30) and power(FOUND, 8, 30) < power(FOUND, 8, 60)


def test_where_the_seeds_spread_too_widely_no_number_of_images_helps() -> None:
    assert needed(FOUND).units is None
