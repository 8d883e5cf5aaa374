"""One rule by which small images are grown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.aug import Geometry, Photometry, Policy
from segtrain.padding import STRIDE, grown_size, largest, pad_to, reflected

SIDES = st.integers(1, 100)


@given(height=SIDES, width=SIDES, least=st.tuples(SIDES, SIDES))
def test_an_image_grows_to_the_stride_and_the_least_size_and_stays_at_the_top_left(
    height: int, width: int, least: tuple[int, int]
) -> None:
    size = grown_size((height, width), least)
    for grown, side, asked in zip(size, (height, width), least, strict=True):
        assert grown % STRIDE == 0 and grown >= side and grown >= asked and grown < max(side, asked) + STRIDE
    image = np.arange(height * width, dtype=np.float32).reshape(height, width, 1)
    mask = np.ones((height, width), np.uint8)
    grown_image, grown_mask = pad_to(image, mask, size, 255)
    assert np.array_equal(grown_image[:height, :width], image)
    assert (grown_mask[:height, :width] == 1).all() and (grown_mask == 1).sum() == mask.size
    rows, columns = reflected(height, size[0]), reflected(width, size[1])
    assert np.array_equal(grown_image, image[rows][:, columns])


def test_the_largest_size_holds_each() -> None:
    assert largest([(0, 0), (64, 32), (32, 96)]) == (64, 96)


@pytest.mark.parametrize("transforms", [[], [Geometry(hflip=0.5, p=0)], [Photometry(contrast=0.0)]], ids=[0, 1, 2])
def test_training_draws_the_place_of_an_image_smaller_than_the_crop(transforms: list[object]) -> None:
    policy = Policy(transforms, crop=(64, 48))
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 255, (35, 51, 1)).astype(np.uint8), np.ones((35, 51), np.uint8)
    tops = []
    for i in range(300):
        seen, labels = policy(image, mask, (0, 0, i))
        assert seen.shape == (64, 48, 1)
        rows, columns = (np.flatnonzero((labels == 1).any(axis)) for axis in (1, 0))
        assert (len(rows), len(columns)) == (35, 48)
        top = rows[0]
        place = [start for start in range(4) if np.array_equal(seen[top : top + 35], image[:, start : start + 48])]
        assert len(place) == 1
        above = np.pad(image[:, place[0] : place[0] + 48], ((top, 64 - 35 - top), (0, 0), (0, 0)), mode="reflect")
        assert np.array_equal(seen, above)
        tops.append(top)
    assert {*tops} == {*range(30)}
    assert np.mean(tops) == pytest.approx(14.5, abs=2)


def test_runs_of_earlier_versions_have_it_at_the_top_left() -> None:
    image, mask = np.ones((35, 51, 1), np.uint8), np.ones((35, 51), np.uint8)
    for i in range(20):
        _, labels = Policy([], crop=64, drawn_margin=False)(image, mask, (0, 0, i))
        assert (labels[:35, :51] == 1).all()
