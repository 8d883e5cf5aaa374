import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.report.design import Design, arrange
from segtrain.app.report.read_runs import Repetition

IMAGES = [f"i{j}" for j in range(12)]


def values(reps: list[Repetition], images: list[str] = IMAGES) -> dict[Repetition, dict[str, float]]:
    return {rep: {name: hash((rep, name)) % 97 / 97 for name in images} for rep in reps}


def test_folds_that_test_each_image_once_are_one_row() -> None:
    of = {
        Repetition(seed, 0, fold): {name: 10 * seed + fold for name in IMAGES[3 * fold : 3 * fold + 3]}
        for seed in range(2)
        for fold in range(4)
    }
    table = arrange(of, {})
    assert table is not None and table.design is Design.CROSSED and table.cells.shape == (2, 12)
    assert table.of_rows.tolist() == [1.5, 11.5] and table.units == tuple(IMAGES)  # i2 before i10


def test_a_seed_that_lacks_a_fold_has_a_test_set_of_its_own() -> None:
    of = {Repetition(s, 0, f): dict.fromkeys(IMAGES[4 * f : 4 * f + 4], 0.1) for s in range(3) for f in range(3)}
    del of[Repetition(2, 0, 1)]
    table = arrange(of, {})
    assert table is not None and table.design is Design.OWN_SETS and np.isnan(table.cells[2]).sum() == 4


def test_groups_are_averaged_first_and_weigh_alike() -> None:
    of = {Repetition(s): dict(zip(IMAGES, range(12), strict=True)) for s in range(2)}
    table = arrange(of, {name: "a" if name in ("i0", "i1", "i2") else name for name in IMAGES})
    assert table is not None and table.grouped and table.images == 12 and len(table.units) == 10
    assert table.mean == pytest.approx((1 + sum(range(3, 12))) / 10)


@pytest.mark.parametrize(
    ("reps", "images", "design"),
    [
        ([Repetition(s) for s in range(4)], IMAGES, Design.CROSSED),
        ([Repetition(s) for s in range(4)], IMAGES[:4], Design.THESE_IMAGES),
        ([Repetition(0)], IMAGES, Design.ONE),
        ([Repetition(s, d) for s in range(2) for d in range(2)], IMAGES, Design.OWN_SETS),
        ([Repetition(s, s) for s in range(4)], IMAGES, Design.CROSSED),
        ([Repetition(s, d) for s in range(3) for d in range(3)], IMAGES[:3], Design.OWN_SETS),
    ],
)
def test_what_the_interval_is_over(reps: list[Repetition], images: list[str], design: Design) -> None:
    table = arrange(values(reps, images), {})
    assert table is not None and table.design is design
    assert math.isnan(table.estimate().p) == (design is Design.ONE)


def test_nothing_known_is_no_table() -> None:
    assert arrange({}, {}) is None and arrange({Repetition(0): {"a": math.nan}}, {}) is None


@given(st.permutations(range(4)), st.permutations(IMAGES))
def test_order_means_nothing(seeds: list[int], images: list[str]) -> None:
    first = arrange(values([Repetition(s) for s in range(4)]), {})
    other = arrange(values([Repetition(s) for s in seeds], images), {})
    assert first is not None and other is not None and first.units == other.units
    assert other.mean == pytest.approx(first.mean) and other.estimate().p == pytest.approx(first.estimate().p)
