"""The keys of a find."""

import math

import pytest

from segtrain.app.find.options import Options
from segtrain.command_line import find_arguments
from segtrain.config.values import LENGTHS, TIME, seconds_of
from segtrain.errors import UserError

OPTIONS = Options("2h", 0.005, 16, 8, "auto", None, None, 0.01)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45min", 2700), ("2h", 7200), ("1h30min", 5400), ("1.5h", 5400), ("3d", 259200), ("90s", 90)]
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds and TIME.holds(text)
    assert OPTIONS._replace(budget=text).seconds == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-1h", "1h x", "2hours", "0min"])
def test_another_text_is_no_time(text: str) -> None:
    assert math.isnan(seconds_of(text)) or seconds_of(text) == 0
    assert not TIME.holds(text)


def test_a_budget_must_be_given() -> None:
    with pytest.raises(UserError, match="budget=2h"):
        _ = OPTIONS._replace(budget=None).seconds


def test_lengths() -> None:
    assert OPTIONS.factors == (2.0,) and not OPTIONS.keeps_time_for_lengths
    asked = OPTIONS._replace(lengths=(4.0, 1.0, 2.0))
    assert asked.factors == (2.0, 4.0) and asked.keeps_time_for_lengths
    none = OPTIONS._replace(lengths=(1.0,))
    assert none.factors == () and not none.keeps_time_for_lengths
    assert LENGTHS.holds("auto") and LENGTHS.holds([1, 2.5]) and not LENGTHS.holds([0.5]) and not LENGTHS.holds("1,2")


def test_own_keys_are_those_of_the_sweeper() -> None:
    typed = ["dataset=cells", "budget=2h", "lengths=1,2,4", "aug=none,flips", "n_jobs=4"]
    found = find_arguments(typed)
    assert {"hydra/sweeper=find", "sweep=find", "dataset=cells", "aug=none,flips"} <= set(found)
    assert {"hydra.sweeper.budget=2h", "hydra.sweeper.lengths=[1,2,4]", "hydra.sweeper.n_jobs=4"} <= set(found)
    assert "sweep=find" not in find_arguments(["sweep=mine"])
