"""Identical images across the parts of a split stop a run."""

import pytest

from segtrain.data.duplicates import leaks, refuse_leaks, refuse_torn, torn
from segtrain.data.files.columns import coded
from segtrain.data.split import Split
from segtrain.errors import UserError

IDS = [f"s{i}" for i in range(8)]
SPLIT = Split((0, 1, 2, 3), (4, 5), (6,), (7,))


def test_copies_within_a_part_or_unused_leak_nothing() -> None:
    refuse_leaks(IDS, SPLIT, ["a", "a", "b", "c", "d", "d", "e", "e"], allow=False)


def test_copies_across_parts_are_named_with_their_parts() -> None:
    with pytest.raises(UserError, match=r"'s1' \(train\) = 's4' \(val\); 's3' \(train\) = 's6' \(test\);.*allow_leak"):
        refuse_leaks(IDS, SPLIT, ["a", "b", "c", "d", "b", "e", "d", "f"], allow=False)


def test_of_many_copies_one_of_each_part_is_shown_first() -> None:
    with pytest.raises(UserError, match=r"'s0' \(train\) = 's4' \(val\) = 's6' \(test\) and 4 more"):
        refuse_leaks(IDS, SPLIT, ["a"] * 7 + ["b"], allow=False)


def test_of_many_leaks_five_are_named_and_all_counted() -> None:
    split = Split(tuple(range(6)), tuple(range(6, 12)), (), ())
    with pytest.raises(UserError, match="6 such images in all") as error:
        refuse_leaks([f"s{i}" for i in range(12)], split, [i % 6 for i in range(12)], allow=False)
    assert str(error.value).count(" = ") == 5


def test_allowed_they_pass() -> None:
    refuse_leaks(IDS, SPLIT, ["a"] * 8, allow=True)


def test_a_group_leaks_when_it_lies_in_two_parts() -> None:
    assert leaks(SPLIT, [[0, 1], [1, 5], [6, 7]]) == [[("train", 1), ("val", 5)]]


def test_none_is_a_copy_of_nothing() -> None:
    refuse_leaks(IDS, SPLIT, [None] * 8, allow=False)


def test_a_group_in_two_parts_is_refused_unless_that_is_allowed() -> None:
    groups = coded(["p", "p", "q", "q", "r", "p", "s", "s"])
    assert torn(groups, SPLIT) == {"p": ("train", "val")}
    with pytest.raises(UserError, match=r"group 'p' lies in train and in val.* 1 such.*allow_leak=true"):
        refuse_torn(groups, SPLIT, allow=False)
    refuse_torn(groups, SPLIT, allow=True)
    refuse_torn(coded(["p", "p", "q", "q", "r", "r", "s", "s"]), SPLIT, allow=False)  # s lies in a gap too
