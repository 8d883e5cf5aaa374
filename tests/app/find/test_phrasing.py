"""Numbers are rounded so that what is said of them stays true; names are said so that a sentence cannot be misread."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find.phrasing import NOTHING, bound, listed_names, outward, size, spoken
from tests.app.find import answers

DIFFERENCES = st.floats(-1, 1, allow_nan=False) | st.integers(-1000, 1000).map(lambda n: n / 10_000)


@given(DIFFERENCES)
def test_a_bound_is_never_less_than_what_it_bounds(value: float) -> None:
    assert float(bound(value)) >= 100 * value - 1e-7
    assert float(bound(value)) <= max(0.0, 100 * value) + 0.01 + 1e-7


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0044, "0.44"),
        (0.00441, "0.45"),
        (0.003, "0.30"),
        (0.032 + 0.004, "3.60"),
        (0, "0"),
        (-0.01, "0"),
        (1e-6, "0.01"),
    ],
)
def test_bounds(value: float, said: str) -> None:
    assert bound(value) == said


@given(DIFFERENCES, DIFFERENCES)
def test_an_interval_holds_the_one_that_it_stands_for_and_0_lies_on_the_same_side(one: float, other: float) -> None:
    low, high = sorted((round(one, 9), round(other, 9)))
    said_low, said_high = map(float, outward(low, high).split(" to "))
    assert said_low <= 100 * low + 1e-7 and said_high >= 100 * high - 1e-7
    assert (said_low > 0) == (low > 0) and (said_high < 0) == (high < 0)
    assert re.fullmatch(r"[+-]?\d+\.\d+ to [+-]?\d+\.\d+", outward(low, high))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((-0.00201, 0.0188), "-0.21 to +1.88"),
        ((0.00003, 0.01), "+0.003 to +1.00"),
        ((-0.01, -0.00004), "-1.00 to -0.004"),
        ((0.0, 0.01), "0.00 to +1.00"),
        ((-7.0, 3.0), "-100.00 to +100.00"),
        ((math.nan, 0.1), "no interval"),
    ],
)
def test_intervals(limits: tuple[float, float], said: str) -> None:
    assert outward(*limits).replace("+0.00 ", "0.00 ") == said


def test_sizes_and_lists() -> None:
    assert size(-0.01234) == "1.23"
    assert [listed_names(n) for n in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert listed_names(list("abcdefg")) == "a, b, c, d, e, … (7 in all)"


def test_the_arm_without_augmentation_is_called_so_everywhere() -> None:
    race = answers.race({"none": 0.9, "flips": 0.8, "geometric": 0.5}, 6)
    found = answers.answer(race, answers.confirmation(race, 0.1, 0.05, 0.15))
    said = spoken(found)
    assert (said.race.leader, said.race.left, said.confirmation and said.confirmation.winner) == (
        NOTHING,
        (NOTHING,),
        NOTHING,
    )
    assert [arm.behind for arm in said.race.arms if arm.behind] == [NOTHING] * 2 and "none" not in repr(said).replace(
        "aug=none", ""
    )
    several = found._replace(race=race._replace(arms=(*race.arms, race.arms[0]._replace(name="none, model=fpn"))))
    assert spoken(several) == several
