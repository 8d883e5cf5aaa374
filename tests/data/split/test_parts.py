"""What belongs together: for a split to keep whole, for a statistic to draw together."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.split import Blocks, Folds, Ratios, statistic_groups
from segtrain.data.split.parts import SEQUENCE, group_expression, whole_groups
from segtrain.errors import UserError

IDS = ["p1_a", "p1_b", "p2_a", "q3"]
ALL = np.arange(4)
PATIENT = re.compile(r"^(p\d+)_")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, IDS),
        ({"pattern": PATIENT}, ["p1", "p1", "p2", "q3"]),
        ({"pattern": re.compile(r"^\w\d")}, ["p1", "p1", "p2", "q3"]),
        ({"groups": ["x", "x", None, "y"]}, ["x", "x", "p2_a", "y"]),
        ({"groups": ["x", "x", "z", "y"], "pattern": PATIENT}, ["p1", "p1", "p2", "y"]),
        ({"cut": ALL, "groups": ["x", "x", "z", "y"]}, ["x", "x", "z", "y"]),
        ({"cut": ALL, "pattern": PATIENT}, ["p1", "p1", "p2", "q3"]),
    ],
)
def test_the_data_s_own_or_the_expression_s_or_itself(said, expected):
    assert list(statistic_groups(IDS, **said)) == expected


def test_what_was_cut_as_one_sequence_is_one_group():
    assert len({*statistic_groups(IDS, cut=ALL)}) == 1


@pytest.mark.parametrize(
    ("groups", "pattern"), [(False, None), (True, None), (False, r"(\d\d)$"), (True, r"^(s_\d\d)")]
)
def test_samples_that_blocks_cuts_as_one_sequence_are_one_group(groups, pattern):
    """However it is said that each of them stands by itself."""
    ids = [f"s_{i:02d}" for i in range(30)]
    own = ids if groups else None
    split = Blocks(0.2, 0.2, gap=1, group=pattern).assign(ids, [None] * 30, own)
    assert [len(part) for part in split] == [16, 6, 6, 2]
    assert {*statistic_groups(ids, own, group_expression(pattern), np.arange(30))} == {SEQUENCE}


def test_what_the_data_gives_to_a_part_keeps_its_group_beside_a_sequence():
    groups = ["x", "y", "z", "z"]
    assert list(statistic_groups(IDS, groups, cut=np.array([0, 1]))) == [SEQUENCE, SEQUENCE, "z", "z"]
    assert list(statistic_groups(IDS, [*"xyxy"], cut=np.array([0, 1]))) == [SEQUENCE, SEQUENCE, "x", "y"]


@given(st.lists(st.integers(0, 12), min_size=3, max_size=30), st.randoms())
def test_blocks_and_groups_agree_on_what_is_one_sequence(stacks, rng: random.Random):
    """Neighbours in a slab are never counted as apart: where a stack is cut, it is a group; else all are one."""
    ids = [f"p{stack}_{i:02d}" for i, stack in enumerate(stacks)]
    groups = [f"p{stack}" for stack in stacks]
    found = statistic_groups(ids, groups, cut=np.arange(len(ids)))
    assert list(found) == (groups if len({*groups}) < len(ids) else [SEQUENCE] * len(ids))


def test_an_expression_joins_groups_of_the_data_and_tears_none():
    scans = ["p1_x", "p1_x", "p1_y", "p2_x"]
    assert list(whole_groups(["p1_1", "p1_2", "p1_3", "p2_1"], scans, PATIENT)) == ["p1", "p1", "p1", "p2"]
    with pytest.raises(UserError, match=r"tears apart 'p1_x'.*into 'p1' and 'p2'"):
        whole_groups(["p1_1", "p2_2", "p1_3", "p2_1"], scans, PATIENT)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), min_size=12, max_size=40), st.integers(0, 9))
def test_a_sample_of_no_group_is_drawn_by_itself(groups, seed):
    """As if it had a group of its own, whoever draws."""
    ids = [f"s_{i:02d}" for i in range(len(groups))]
    named = [group or name for group, name in zip(groups, ids, strict=True)]
    given_splits = [None] * len(ids)
    if len({*named}) >= 3:
        for splitter in (Ratios(0.2, 0.2, seed), Folds(3, seed=seed)):
            assert splitter.assign(ids, given_splits, groups) == splitter.assign(ids, given_splits, named)
    assert list(statistic_groups(ids, groups)) == named


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.randoms())
def test_the_group_of_a_sample_does_not_hang_on_the_others(numbers, rng: random.Random):
    ids = [f"p{number}_{i}" for i, number in enumerate(numbers)]
    mixed = rng.sample(ids, len(ids))
    assert dict(zip(ids, statistic_groups(ids, pattern=PATIENT), strict=True)) == dict(
        zip(mixed, statistic_groups(mixed, pattern=PATIENT), strict=True)
    )


def test_no_regular_expression_is_refused():
    assert group_expression(None) is None
    with pytest.raises(UserError, match="no regular expression"):
        group_expression("(")
