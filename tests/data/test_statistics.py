"""Mean and deviation, class counts and weights are those that numpy gives over all pixels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.datasets import Sample
from segtrain.data.statistics import (
    IMAGES,
    Counts,
    class_weights,
    count_classes,
    find_labels,
    images_looked_at,
    mean_and_std,
    measure_mean_and_std,
    moments,
    repeats,
)
from segtrain.data.survey import Seen, survey_sample
from segtrain.errors import UserError
from tests.data.made import InMemory

MASKS = [
    np.array([[0, 0, 0, 1]], np.uint8),
    np.array([[0, 0, 255, 255]], np.uint8),
    np.array([[0, 1, 2, 2]], np.uint8),
]


class Levels(InMemory):
    """Small images of one value each, of which it is noted which were read."""

    def __init__(self, values: list[float]) -> None:
        super().__init__([])
        self.values, self.ids, self.seen = values, tuple(f"s{i:05d}" for i in range(len(values))), list[int]()
        self.channels = 1

    def read(self, index: int) -> Sample:
        self.seen.append(index)
        return Sample(np.full((2, 2, 1), self.values[index], np.float32), np.zeros((2, 2), np.uint8))


@given(st.integers(1, 3000))
def test_the_images_that_are_read_are_spread_over_the_whole_list(n: int) -> None:
    found = images_looked_at(range(n))
    assert len(found) == min(n, IMAGES) and found[0] == 0 and (found[-1] == n - 1 or n == 1)


@pytest.mark.parametrize("n", [2, 256, 258, 500, 766, 1000, 5000])
def test_two_halves_weigh_alike_however_many_there_are(n: int) -> None:
    data = Levels([100.0] * (n // 2) + [200.0] * (n // 2))
    mean, std = measure_mean_and_std(data, images_looked_at(range(n)))
    assert mean == [150.0] and std == [50.0] and max(data.seen) == n - 1


def test_they_are_those_of_all_pixels_and_a_constant_channel_is_not_divided_by_nothing() -> None:
    rng = np.random.default_rng(0)
    images = [rng.normal(5, 3, (30 + i, 40, 2)).astype(np.float32) for i in range(5)]
    for image in images:
        image[..., 1] = 7
    mean, std = mean_and_std(moments(images[i]) for i in (0, 2, 4))
    pixels = np.concatenate([images[i].reshape(-1, 2) for i in (0, 2, 4)])
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-4)
    np.testing.assert_allclose(std, [pixels[:, 0].std(), 1], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_survey_keeps_the_very_numbers(dtype: str) -> None:
    images = [np.random.default_rng(i).integers(0, 250, (9, 7, 3)).astype(dtype) for i in range(4)]
    data = InMemory([(image, np.zeros((9, 7), np.uint8)) for image in images])
    seen: list[Any] = [survey_sample(data, i) for i in range(4)]
    assert mean_and_std(one.moments for one in seen) == measure_mean_and_std(data, range(4))


def test_what_is_no_number_spoils_both_alike() -> None:
    image = np.ones((3, 3, 3), np.float32)
    image[0, 0] = np.nan
    data = InMemory([(image, np.zeros((3, 3), np.uint8))])
    seen = survey_sample(data, 0)
    assert isinstance(seen, Seen)
    assert np.isnan(mean_and_std([seen.moments])[0]).all() and np.isnan(measure_mean_and_std(data, [0])[0]).all()


def test_bits_of_sets_that_are_read_whole_are_as_they_were() -> None:
    """Of up to 256 images the numbers are those of the sums in float64, pixel by pixel, image after image."""
    rng = np.random.default_rng(1)
    for images in (
        [rng.integers(0, 256, (11, 13, 3), np.uint8) for _ in range(5)],
        [rng.normal(0, 300, (11, 13, 3)).astype(np.float32) for _ in range(5)],
    ):
        count, total, squares = 0, np.zeros(3), np.zeros(3)
        for image in images:
            pixels = image.reshape(-1, 3).astype(np.float64)
            count, total, squares = count + len(pixels), total + pixels.sum(0), squares + (pixels**2).sum(0)
        mean = total / count
        expected = mean.tolist(), np.sqrt(squares / count - mean**2).tolist()
        assert mean_and_std(map(moments, images)) == expected


class Stored:
    classes = ("background", "cell", "nucleus")

    def read(self, index: int) -> Sample:
        return Sample(np.zeros((1, 4, 1), np.uint8), MASKS[index])


def test_pixels_and_images_are_counted_without_the_ignored_ones() -> None:
    assert count_classes(Stored(), [0, 1, 2]) == Counts([6, 2, 2], [10, 8, 4], [3, 2, 1], 3)  # type: ignore[arg-type]
    assert count_classes(Stored(), [1]) == Counts([2, 0, 0], [2, 0, 0], [1, 0, 0], 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("inverse", [1 / 6, 1 / 2, 1 / 2]),
        ("median_frequency", [0.5 / 0.6, 0.5 / 0.25, 0.5 / 0.5]),
        ("effective_number", [1 / (1 + 2 / 3 + 4 / 9), 1 / (1 + 2 / 3), 1]),  # (1 - b^n)/(1 - b) as its sum
    ],
)
def test_weights_follow_their_formula_with_mean_one(kind: str, expected: list[float]) -> None:
    weights = class_weights(kind, count_classes(Stored(), [0, 1, 2]), Stored.classes)  # type: ignore[arg-type]
    assert np.mean(weights) == pytest.approx(1, abs=1e-5)
    assert weights == pytest.approx(np.array(expected) / np.mean(expected), abs=1e-5)


def test_what_has_no_weight_is_said() -> None:
    counts = count_classes(Stored(), [0, 1])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no value for nucleus: none of the 2 training masks shows it"):
        class_weights("inverse", counts, Stored.classes)
    with pytest.raises(UserError, match="no class weights 'inverted'; expected inverse, median_frequency"):
        class_weights("inverted", counts, Stored.classes)


def test_a_sample_comes_by_its_rarest_class() -> None:
    shown = find_labels(Stored(), [0, 1, 2])  # type: ignore[arg-type]
    assert shown == [[0, 1], [0], [0, 1, 2]]
    assert repeats([*shown, []], 3) == pytest.approx([(2 / 4) ** -0.5, (3 / 4) ** -0.5, (1 / 4) ** -0.5, 1.0])
