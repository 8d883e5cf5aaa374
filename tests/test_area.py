import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segtrain.area import shrink_labels
from segtrain.data.datasets import BrainScanners

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def blob(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return ((((y - 0.42 * height) / (0.3 * height)) ** 2 + ((x - 0.6 * width) / (0.25 * width)) ** 2) < 1).astype(
        np.uint8
    )


def centre(soft: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: soft.shape[0], : soft.shape[1]]
    return np.array([(soft * y).sum(), (soft * x).sum()]) / soft.sum()


@pytest.mark.parametrize("size", [(79, 75), (64, 64), (50, 91), (100, 120)])
def test_labels_lie_where_the_shrunk_image_has_them(size: tuple[int, int]) -> None:
    mask = blob(151, 158)
    image = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    assert (
        abs(centre(image) - centre(shrink_labels(mask, size))).max() < 0.1
    )  # pixels; nearest neighbour is off by .5 at a factor of two


@given(SIZES, SIZES, st.integers(0, 9))
@example((7, 9), (4, 5), 0)  # shares that tie but for rounding
@example((12, 10), (7, 3), 1)
def test_mirrored_labels_are_the_labels_of_the_mirrored_mask(
    large: tuple[int, int], small: tuple[int, int], seed: int
) -> None:
    size = (min(large[0], small[0]), min(large[1], small[1]))
    mask = np.random.default_rng(seed).integers(0, 4, large[::-1], np.uint8)
    shrunk = shrink_labels(mask, size)
    assert shrunk.shape == size[::-1]
    assert np.isin(shrunk, mask).all()
    assert np.array_equal(shrink_labels(np.ascontiguousarray(mask[:, ::-1]), size)[:, ::-1], shrunk)
    assert np.array_equal(shrink_labels(np.ascontiguousarray(mask[::-1]), size)[::-1], shrunk)


def test_the_label_with_the_largest_share_wins() -> None:
    mask = np.array([[0, 0, 2, 1], [0, 1, 1, 255], [3, 3, 255, 255], [0, 3, 255, 1]], np.uint8)
    assert shrink_labels(mask, (2, 2)).tolist() == [[0, 1], [3, 255]]


def test_labels_of_brain_scanners_do_not_lean_to_a_side() -> None:
    """The template is its own mirror image, so training slices of one scanner must have mirrored labels."""
    pytest.importorskip("nilearn")
    dataset = BrainScanners(train=4, val=1, test=1)
    for index in (i for i, part in enumerate(dataset.splits) if part == "train"):
        labels = dataset.read(index).mask
        agreed = [2 * ((labels == c) & (labels[:, ::-1] == c)).sum() / (2 * (labels == c).sum()) for c in (1, 2, 3)]
        assert min(agreed) > 0.97
