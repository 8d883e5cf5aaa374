import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.model.bootstrap import HIGH, LOW, Interval
from segtrain.model.intervals import of_distances, of_means, of_scores
from segtrain.model.metrics import averages, per_image, scores

NAMES = ("background", "cell", "rim")


def matrices_of(seed, images=12, empty=0.3):
    """Confusion matrices (images, 3, 3) of predictions right in a share of pixels that is each image's own."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, (images, 8, 9))
    mask[rng.random(images) < empty] = 0
    right = rng.random(mask.shape) < rng.beta(4, 1, (images, 1, 1))
    pred = np.where(right, mask, rng.integers(0, 3, mask.shape))
    return per_image(torch.from_numpy(pred), torch.from_numpy(mask), 3, 255)


def pooled(key, sums):
    """Scores of summed matrices (d, 3, 3): an oracle written out for three classes."""
    right, truth, pred = np.diagonal(sums, axis1=1, axis2=2), sums.sum(2), sums.sum(1)
    dice, recall = 2 * right / (truth + pred), right / truth
    return {
        "dice/rim": dice[:, 2],
        "dice": dice[:, 1:].mean(1),
        "iou_all": (right / (truth + pred - right)).mean(1),
        "recall_micro": right[:, 1:].sum(1) / truth[:, 1:].sum(1),
        "precision_macro": (right / pred)[:, 1:].mean(1),
        "recall/cell": recall[:, 1],
        "pixel_accuracy": right.sum(1) / truth.sum(1),
    }[key]


def by_hand(statistic, count, draws, seed):
    """The bootstrap-t of a statistic of weights (d, count) to (d,), its errors by numeric derivatives."""

    def error(weights):
        step = 1e-4
        there, back = (
            np.stack([statistic(weights + sign * step * np.eye(count)[i]) for i in range(count)], 1) for sign in (1, -1)
        )
        return np.sqrt((weights * ((there - back) / (2 * step)) ** 2).sum(1))

    ones, drawn = np.ones((1, count)), np.random.default_rng(seed).multinomial(count, [1 / count] * count, draws)
    value, size = statistic(ones)[0], error(ones)[0]
    far = (statistic(drawn.astype(float)) - value) / error(drawn.astype(float))
    return value - np.quantile(far, 1 - LOW) * size, value - np.quantile(far, HIGH) * size


@pytest.mark.parametrize(
    "key", ["dice/rim", "dice", "iou_all", "recall_micro", "precision_macro", "recall/cell", "pixel_accuracy"]
)
def test_they_are_the_bootstrap_t_s_of_each_score(key):
    matrices = matrices_of(3, images=15, empty=0).numpy().astype(float)
    expected = by_hand(lambda weights: pooled(key, np.tensordot(weights, matrices, 1)), 15, 8000, seed=8)
    found = of_scores(matrices, NAMES, draws=8000)[key]
    assert found == pytest.approx(expected, abs=0.1 * (expected[1] - expected[0]))


def test_the_mean_of_a_large_sample_has_the_normal_interval_s_ends():
    values = np.random.default_rng(0).normal(0.6, 0.05, 600)
    (found,) = of_means(values[:, None])
    error = values.std() / np.sqrt(600)
    assert found == pytest.approx((values.mean() - 2.75 * error, values.mean() + 1.81 * error), abs=0.2 * error)


def test_means_are_those_of_the_weights_and_leave_an_image_without_score_out():
    rng = np.random.default_rng(2)
    values = rng.uniform(0.5, 1, (40, 2))
    values[rng.random((40, 2)) < 0.3] = np.nan
    found = of_means(values, draws=8000)
    for column, interval in zip(values.T, found, strict=True):
        known = ~np.isnan(column)
        filled = np.where(known, column, 0)
        expected = by_hand(lambda weights, v=filled, k=known: weights @ v / (weights @ k), 40, 8000, seed=5)
        assert interval == pytest.approx(expected, abs=0.08 * (expected[1] - expected[0]))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0, 0.5, 0.9]))
def test_every_score_lies_in_its_interval_and_that_between_0_and_1(seed, empty):
    matrices = matrices_of(seed, empty=empty)
    found = of_scores(matrices.numpy(), NAMES, draws=400, seed=seed)
    ours = {**scores(matrices.sum(0), NAMES), **averages(matrices, NAMES)}
    assert {*found, "absent_classes", "images_counted"} == {*ours}
    for key, (low, high) in found.items():
        assert math.isnan(low) or 0 <= low <= ours[key] + 1e-9 <= high + 2e-9 <= 1 + 3e-9, key
    assert not math.isnan(found["dice_image_mean"].low)


def test_a_class_in_few_images_has_none_and_takes_it_from_the_mean_over_classes_alone():
    matrices = matrices_of(0, images=30, empty=0).numpy()
    matrices[3:, 2] = matrices[3:, :, 2] = 0  # rim is in three images
    found = of_scores(matrices, NAMES, draws=400)
    lacking = {key for key, interval in found.items() if math.isnan(interval.low)}
    assert {"dice/rim", "recall/rim", "dice", "iou_all", "precision_macro"} <= lacking
    assert not lacking & {"dice/cell", "dice_micro", "pixel_accuracy", "dice_image_mean", "dice/background"}


def test_a_score_that_no_image_has_is_not_known():
    values = np.stack((np.full(6, np.nan), np.arange(6.0) / 10), 1)
    absent, known = of_means(values)
    assert math.isnan(absent.low) and math.isnan(absent.high)
    assert 0 <= known.low < 0.25 < known.high < 1


def test_the_same_seed_gives_the_same_interval():
    matrices = matrices_of(0).numpy()
    one, again, other = (of_scores(matrices, NAMES, draws=300, seed=seed)["dice"] for seed in (0, 0, 1))
    assert one == again != other


def test_images_of_a_group_are_drawn_together():
    """Ten groups of 20 like images are ten independent values, not 200."""
    values, groups = np.random.default_rng(0).random(10), [f"patient {i}" for i in range(10) for _ in range(20)]
    (together,), (of_ten,) = of_means(np.repeat(values, 20)[:, None], groups=groups), of_means(values[:, None])
    (apart,) = of_means(np.repeat(values, 20)[:, None])
    assert together == pytest.approx(of_ten)
    assert together.high - together.low > 3 * (apart.high - apart.low)
    shuffled = np.random.default_rng(1).permutation(200)
    (again,) = of_means(np.repeat(values, 20)[shuffled, None], groups=[groups[i] for i in shuffled])
    assert again == pytest.approx(together, abs=0.1 * (together.high - together.low))  # other draws


def test_a_large_distance_is_the_failure():
    """The interval reaches further up: one image in ten is far off."""
    rng = np.random.default_rng(0)
    values = np.where(rng.random((30, 1)) < 0.1, 90.0, rng.gamma(4, 1, (30, 1)))
    (found,), (mirrored,) = of_distances(values, 100), of_means(1 - values / 100)
    assert found == pytest.approx(Interval(100 * (1 - mirrored.high), 100 * (1 - mirrored.low)))
    assert found.high - values.mean() > 1.5 * (values.mean() - found.low) > 0
