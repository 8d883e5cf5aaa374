"""Images that are empty in truth: what they count, and what is said of a network that predicts something there."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.model.averages import METRICS, averages
from segtrain.model.empties import as_counted, false_positives
from segtrain.model.intervals import of_scores
from segtrain.model.metrics import per_image

NAMES = ("background", "cell", "rim")


def of(*cells: tuple[int, int, int]) -> torch.Tensor:
    """A confusion matrix with (truth, prediction, pixels)."""
    matrix = torch.zeros(3, 3, dtype=torch.int64)
    for truth, pred, pixels in cells:
        matrix[truth, pred] += pixels
    return matrix


FOUND = of((0, 0, 80), (1, 1, 16), (1, 0, 4))  # a cell of 20 pixels, 16 of them found: Dice 32 / 36
RIGHT = of((0, 0, 100))  # empty, and nothing predicted
WRONG = of((0, 0, 99), (0, 1, 1))  # empty, and one pixel taken for a cell
IGNORED = of()


def test_a_network_that_sees_cells_on_twenty_of_forty_images_is_told_and_not_flattered() -> None:
    careful = torch.stack([FOUND] * 20 + [RIGHT] * 20)
    eager = torch.stack([FOUND] * 20 + [WRONG] * 20)
    assert false_positives(careful, NAMES)["false_positive_rate"] == 0
    told = false_positives(eager, NAMES)
    assert (told["empty_images"], told["false_positive_images"], told["false_positive_rate"]) == (20, 20, 1)
    assert averages(careful, NAMES)["dice_image_mean"] == pytest.approx((8 / 9 + 1) / 2)
    assert averages(eager, NAMES)["dice_image_mean"] == pytest.approx((8 / 9 + 0) / 2)
    for matrices, rates in ((careful, (0.85, 1)), (eager, (0.2, 0.7))):
        low, high = of_scores(matrices.numpy(), NAMES, draws=500)["dice_image_mean"]
        assert rates[0] < low < averages(matrices, NAMES)["dice_image_mean"] < high < rates[1]


def test_each_class_has_its_own_empty_images() -> None:
    """One cell is found, one taken for rim: of rim two images are empty, and on one of them something is predicted."""
    told = false_positives(torch.stack([FOUND, of((0, 0, 90), (1, 2, 10)), of((2, 2, 5)), IGNORED]), NAMES)
    assert told["empty_images"] == 0 and math.isnan(told["false_positive_rate"])
    assert (told["empty_images/rim"], told["false_positive_images/rim"]) == (2, 1)
    assert (told["empty_images/cell"], told["false_positive_images/cell"]) == (1, 0)
    assert told["empty_images/background"] == 1 and told["false_positive_rate/rim"] == 0.5
    assert told["unscored_images"] == 1


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_counts_are_those_of_the_pixels(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    mask, pred = (rng.choice([0, 0, 0, 1, 2], (images, 2, 2)).astype(np.uint8) for _ in range(2))
    mask[rng.random((images, 2, 2)) < 0.4] = 255
    told = false_positives(per_image(torch.from_numpy(pred), torch.from_numpy(mask), 3, 255), NAMES)
    for end, labels in (("", [1, 2]), ("/cell", [1]), ("/background", [0])):
        counts = mask != 255
        empty = ~(np.isin(mask, labels) & counts).any((1, 2)) & counts.any((1, 2))
        wrong = empty & (np.isin(pred, labels) & counts).any((1, 2))
        assert told[f"empty_images{end}"] == empty.sum() and told[f"false_positive_images{end}"] == wrong.sum()
    assert told["unscored_images"] == (mask == 255).all((1, 2)).sum()


def test_what_counts_as_one() -> None:
    """Right where nothing is, 0, a score, and an image of which no pixel counts."""
    found = as_counted(np.array([[np.nan, 0.0, 0.3], [np.nan] * 3]), np.array([9, 0]))
    assert found[0].tolist() == [1, 0, 0.3] and np.isnan(found[1]).all()


def test_an_image_without_a_counted_pixel_changes_no_mean() -> None:
    some = torch.stack([FOUND, RIGHT, WRONG, FOUND, FOUND, RIGHT])
    more = torch.cat([some, IGNORED[None]])
    before, after = averages(some, NAMES), averages(more, NAMES)
    assert before == pytest.approx(after, nan_ok=True) and after["images_counted"] == 6
    assert [after[f"{metric}_image_mean"] for metric in METRICS[:1]] == [pytest.approx((3 * 8 / 9 + 2) / 6)]
