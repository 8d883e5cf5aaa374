"""The order in which arms run: all abreast, or the best first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find.order import choose_next, count_abreast

arms = st.integers(2, 9).flatmap(
    lambda k: st.tuples(
        st.lists(st.booleans(), min_size=k, max_size=k),
        st.lists(st.integers(0, 6), min_size=k, max_size=k),
        st.permutations(range(k)),
        st.integers(1, k),
    )
)


@given(arms)
def test_those_that_run_have_the_fewest_seeds_of_the_first_that_are_not_done(
    drawn: tuple[list[bool], list[int], list[int], int],
) -> None:
    left, taken, place, abreast = drawn
    go = choose_next(np.array([left]), np.array([taken]), np.array([place]), np.array([6]), np.array([abreast]))[0]
    able = [i for i in sorted(range(len(left)), key=lambda i: place[i]) if left[i]]
    open_ = [i for i in able if taken[i] < 6]
    assert go.any() == bool(open_) and not (go & ~np.array(left)).any()
    if open_:
        assert len({taken[i] for i in np.flatnonzero(go)}) == 1
        block = able.index(open_[0]) // abreast  # nobody of a later block runs while one of this is open
        assert all(able.index(int(i)) // abreast <= block for i in np.flatnonzero(go))
        assert min(taken[i] for i in open_ if able.index(i) // abreast <= block) == taken[np.flatnonzero(go)[0]]


def test_a_third_of_the_arms_runs_on_and_at_least_four() -> None:
    assert [count_abreast(k) for k in (2, 12, 13, 30)] == [4, 4, 5, 10]
