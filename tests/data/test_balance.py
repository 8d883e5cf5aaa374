"""Class weights, against values worked out by hand."""

import numpy as np
import pytest

from segtrain.data.datasets import Sample
from segtrain.data.statistics import Counts, class_weights, count, presence, repeats
from segtrain.errors import UserError

MASKS = [
    np.array([[0, 0, 0, 1]], np.uint8),
    np.array([[0, 0, 255, 255]], np.uint8),
    np.array([[0, 1, 2, 2]], np.uint8),
]


class Stored:
    classes = ("background", "cell", "nucleus")

    def read(self, index: int) -> Sample:
        return Sample(np.zeros((1, 4, 1), np.uint8), MASKS[index])


def test_pixels_and_images_are_counted_without_the_ignored_ones() -> None:
    assert count(Stored(), [0, 1, 2]) == Counts([6, 2, 2], [10, 8, 4], [3, 2, 1], 3)  # type: ignore[arg-type]
    assert count(Stored(), [1]) == Counts([2, 0, 0], [2, 0, 0], [1, 0, 0], 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("inverse", [1 / 6, 1 / 2, 1 / 2]),
        ("median_frequency", [0.5 / 0.6, 0.5 / 0.25, 0.5 / 0.5]),
        ("effective_number", [1 / (1 + 2 / 3 + 4 / 9), 1 / (1 + 2 / 3), 1]),  # (1 - b^n)/(1 - b) as its sum
    ],
)
def test_weights_follow_their_formula_with_mean_one(kind: str, expected: list[float]) -> None:
    weights = class_weights(kind, count(Stored(), [0, 1, 2]), Stored.classes)  # type: ignore[arg-type]
    assert np.mean(weights) == pytest.approx(1, abs=1e-5)
    assert weights == pytest.approx(np.array(expected) / np.mean(expected), abs=1e-5)


def test_what_has_no_weight_is_said() -> None:
    counts = count(Stored(), [0, 1])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no value for nucleus: none of the 2 training masks shows it"):
        class_weights("inverse", counts, Stored.classes)
    with pytest.raises(UserError, match="no class weights 'inverted'; expected inverse, median_frequency"):
        class_weights("inverted", counts, Stored.classes)


def test_a_sample_comes_by_its_rarest_class() -> None:
    shown = presence(Stored(), [0, 1, 2])  # type: ignore[arg-type]
    assert shown == [[0, 1], [0], [0, 1, 2]]
    assert repeats([*shown, []], 3) == pytest.approx([(2 / 4) ** -0.5, (3 / 4) ** -0.5, (1 / 4) ** -0.5, 1.0])
