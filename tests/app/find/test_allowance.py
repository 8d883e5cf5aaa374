"""What a budget can see, before anything is spent."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find.allowance import RunTime, allow, length_runs, require_enough
from segtrain.errors import UserError

times = st.builds(
    RunTime,
    fixed=st.floats(0.5, 600),
    an_epoch=st.floats(0.1, 600),
    epochs=st.integers(1, 200),
    basis=st.just("by a guess"),
)


@given(times, st.floats(1, 1e7), st.integers(1, 64), st.integers(2, 30), st.integers(3, 64), st.integers(5, 16))
def test_what_is_allowed_fits_into_the_budget(
    run: RunTime, seconds: float, slots: int, arms: int, most: int, confirm: int
) -> None:
    allowed = allow(seconds, slots, run, arms, most, confirm, 0.0)
    assert allowed.runs * run.seconds <= seconds * slots * (1 + 1e-9)
    assert allowed.race_runs + 2 * allowed.confirming <= max(allowed.runs, 2 * allowed.confirming)
    assert 0 <= allowed.seeds <= allowed.leading <= most
    assert allowed.seeds * arms <= max(0, allowed.race_runs) or slots > 1
    assert 5 <= allowed.confirming <= confirm
    more = allow(2 * seconds, slots, run, arms, most, confirm, 0.0)
    assert more.runs >= allowed.runs and more.seeds >= min(allowed.seeds, most) - 2 * (
        more.confirming - allowed.confirming
    )


RUN = RunTime(2.0, 3.0, 10, "by a guess")  # 32 s
NAMES = ["none", *(f"arm {i}" for i in range(11))]


def refused(seconds: float) -> str:
    allowed = allow(seconds, 2, RUN, len(NAMES), 16, 8, 0.0)
    with pytest.raises(UserError) as raised:
        require_enough(allowed, NAMES, "10min", seconds, 0.0, 2, RUN)
    return str(raised.value)


def test_a_budget_that_is_too_small_is_told_what_it_allows() -> None:
    said = refused(10 * 60)  # 18 rounds of two: 8 arms with 3 seeds, and 5 to confirm
    ways = {
        "arms": int(re.search(r"arms=(\d+)", said)[1]),
        "epochs": int(re.search(r"max_epochs=(\d+)", said)[1]),
        "minutes": int(re.search(r"by budget=(\d+)min", said)[1]),
    }
    assert ways["arms"] == 8
    fewer = allow(10 * 60, 2, RUN, ways["arms"], 16, 8, 0.0)
    shorter = allow(10 * 60, 2, RUN._replace(epochs=ways["epochs"]), len(NAMES), 16, 8, 0.0)
    longer = allow(60 * ways["minutes"], 2, RUN, len(NAMES), 16, 8, 0.0)
    for allowed in (fewer, shorter, longer):  # each way that is offered is enough, and for epochs one more is not
        assert allowed.seeds >= 3
    assert allow(10 * 60, 2, RUN._replace(epochs=ways["epochs"] + 1), len(NAMES), 16, 8, 0.0).seeds < 3


def test_nothing_is_offered_that_does_not_help() -> None:
    said = refused(60)  # 3 runs: no two arms, no epoch
    assert "arms=" not in said and "max_epochs=" not in said and "budget=" in said


def test_enough_is_enough() -> None:
    require_enough(allow(46 * 16, 2, RUN, len(NAMES), 16, 8, 0.0), NAMES, "1h", 46 * 16, 0.0, 2, RUN)


def test_the_time_of_other_lengths_is_kept() -> None:
    kept = length_runs((2.0, 4.0))
    assert math.isclose(kept, 36)  # none and two arms, two seeds, six times the length
    with_lengths, without = (allow(1e5, 2, RUN, 12, 16, 8, k) for k in (kept, 0.0))
    assert with_lengths.race_runs == without.race_runs - 36 and RUN.at(2) == 62


def test_where_not_all_can_run_on_the_first_have_more_seeds() -> None:
    def seeds(runs: int) -> tuple[int, int]:
        allowed = allow((runs + 10.5) * 32, 1, RUN, 12, 16, 5, 0.0)
        return allowed.seeds, allowed.leading

    assert [seeds(n) for n in (71, 72, 75, 76, 112, 191, 192, 400)] == [
        (5, 5), (6, 6), (6, 6), (6, 7), (6, 16), (6, 16), (16, 16), (16, 16),
    ]  # fmt: skip
    few = allow((40 + 10.5) * 32, 1, RUN, 4, 16, 5, 0.0)  # no more than run on
    assert (few.seeds, few.leading) == (10, 10)
