"""A sample of a list is spread over the whole of it."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import segtrain
from segtrain.spread import spread


@given(st.integers(0, 3000), st.integers(0, 300))
@example(500, 256)
@example(767, 256)
@example(1000, 256)
def test_it_has_as_many_as_asked_for_reaches_both_ends_and_its_gaps_differ_by_one_at_most(n: int, limit: int) -> None:
    found = spread(range(n), limit)
    assert len(set(found)) == len(found) == min(n, limit) and found == sorted(found)
    if limit > 1 and n:
        assert found[0] == 0 and found[-1] == n - 1
    gaps = [after - before for before, after in pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_items_of_any_kind_are_given_as_they_are() -> None:
    assert spread("abcdefg", 3) == ["a", "d", "g"] and spread(("x",), 1) == ["x"]


def cut_short(node: ast.AST) -> bool:
    """`items[::step][:count]`, which never comes to the end of the items unless the step divides them."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript)):
        return False
    inner, outer = node.value.slice, node.slice
    return (
        isinstance(inner, ast.Slice) and inner.step is not None and isinstance(outer, ast.Slice) and bool(outer.upper)
    )


def is_reversed(node: ast.AST) -> bool:
    """`items[::-1][:count]`: the last ones on purpose."""
    return isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("[::-1]")


@pytest.mark.parametrize("folder", ["app", "aug", "data", "model", "runs", "sweeps"])
def test_no_sample_is_every_nth_cut_short(folder: str) -> None:
    found = []
    for file in (Path(segtrain.__file__).parent / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if cut_short(node) and not is_reversed(node):
                found.append(f"{file.name}: {ast.unparse(node)}")
    assert not found


def test_what_is_looked_for_is_found() -> None:
    assert cut_short(ast.parse("items[::step][:256]", mode="eval").body)
    assert not cut_short(ast.parse("items[::step]", mode="eval").body)
