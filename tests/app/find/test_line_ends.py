"""Names at the ends of lines: each has its place, and lines can be told apart."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find.line_ends import line_look, shortened, spread_down


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.1))
def test_labels_are_spread_in_their_order_and_stay_where_there_is_room(places: list[float], gap: float) -> None:
    wanted = sorted(places, reverse=True)
    found = spread_down(wanted, gap, 0.1, 0.9)
    steps = [high - low for high, low in pairwise(found)]
    fits = gap * (len(wanted) - 1) <= 0.8
    assert all(step >= (gap if fits else 0) - 1e-9 for step in steps)
    assert all(0.1 - 1e-9 <= place <= 0.9 + 1e-9 for place in found)
    alone = all(high - low >= gap for high, low in pairwise(wanted))
    if alone and all(0.1 <= place <= 0.9 for place in wanted):
        assert found == pytest.approx(wanted)


@given(st.text(), st.integers(4, 60))
def test_a_long_name_is_shortened_in_the_middle(name: str, longest: int) -> None:
    short = shortened(name, longest)
    assert len(short) <= longest + 1 and (short == name) == (len(name) <= longest or ("…" in name and short == name))
    assert short[: longest // 2] == name[: longest // 2] and short[-1:] == name[-1:]


def test_two_dozen_lines_differ() -> None:
    assert len({tuple(line_look(index).values()) for index in range(24)}) == 24
