"""Annotations against plain values: what typing says is taken, and what no config can hold is not judged."""

import numbers
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.config.kinds import is_of, kinds_of, same_kind, words

T = TypeVar("T")
PLAIN = {
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False) | st.integers(),
    str: st.text(),
    Sequence[int]: st.lists(st.integers()),
    tuple[float, float]: st.tuples(st.floats(), st.floats()).map(list),
    Mapping[str, int]: st.dictionaries(st.text(), st.integers()),
    Literal["a", 3]: st.sampled_from(["a", 3]),
    type(None): st.none(),
}
ANY = st.one_of(*PLAIN.values(), st.lists(st.text(min_size=1), min_size=1))


@pytest.mark.parametrize("hint", PLAIN)
@given(data=st.data())
def test_what_is_of_a_kind_is_taken_alone_and_among_others(hint: Any, data: st.DataObject) -> None:
    value = data.draw(PLAIN[hint])
    assert is_of(value, hint) and is_of(value, hint | Path) and is_of(value, hint | None)
    assert words(hint) and words(hint | None).endswith("null")


@given(ANY)
def test_what_is_of_no_plain_kind_is_not_judged(value: Any) -> None:
    for hint in (np.ndarray, Any, T, Callable[..., int], object):
        assert is_of(value, hint)
    assert is_of(value, int | Any) and is_of(value, int | T)
    assert is_of({"_target_": "x.Y"}, int)


def test_a_number_of_the_library_is_a_number() -> None:
    hint = numbers.Number | Sequence[float]
    assert is_of(3, hint) and is_of(0.5, hint) and is_of([1, 2], hint) and not is_of("a", hint)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        *[(True, int), (True, float), (1.0, int), ("1", int), (1, str), ("ab", Sequence[str])],
        *[([1], tuple[float, float]), (["a"], Sequence[int]), ({"a": "b"}, Mapping[str, int])],
        *[(None, int), (1, bool), (True, Literal[1])],
    ],
)
def test_another_kind_is_not_taken(value: Any, hint: Any) -> None:
    assert (not is_of(value, hint) and not is_of(value, hint | Path)) or isinstance(value, str)


@given(known=ANY, value=ANY)
def test_values_of_the_same_kind_need_no_annotation(known: Any, value: Any) -> None:
    """Whatever plain annotation the known value fits, the other fits too."""
    if same_kind(value, known):
        for hint in (bool, int, float, str, Sequence[int], tuple[float, float], Sequence[str]):
            assert not is_of(known, hint) or is_of(value, hint)


def test_a_default_that_contradicts_its_annotation_has_none() -> None:
    def wrong(a: int = 0.5, b: int = 1, c: int = None, d: "Nothing" = 1) -> None:  # type: ignore[assignment,name-defined]  # noqa: F821, RUF013
        """Some libraries do so."""

    assert kinds_of(wrong) == {"b": int, "c": int | None}
