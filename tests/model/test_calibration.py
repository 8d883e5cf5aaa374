import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from segtrain.model.calibration import Calibration

IGNORE = 255


def drawn(seed, classes, shape=(9, 11)):
    """Probabilities (classes, H, W) float32 and a mask with a fifth of it ignored."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.5), shape).transpose(2, 0, 1).astype(np.float32)
    mask = rng.integers(0, classes, shape).astype(np.uint8)
    mask[rng.random(shape) < 0.2] = IGNORE
    return probabilities, mask


def counted(*images, bins=15):
    calibration = Calibration(bins)
    for probabilities, mask in images:
        calibration.add(probabilities, mask, IGNORE)
    return calibration


def test_by_hand():
    """Two bins of five: three pixels of confidence .9, two of them right; one of .55, which is wrong; one ignored."""
    second = np.array([[0.9, 0.1, 0.9, 0.55, 0.99]], np.float64)
    mask = np.array([[1, 0, 0, 0, IGNORE]])
    calibration = counted((np.stack((1 - second, second)), mask), bins=5)
    curve = calibration.curve()
    assert curve.pixels.tolist() == [0, 0, 1, 0, 3]
    assert curve.confidence[[2, 4]] == pytest.approx([0.55, 0.9])
    assert curve.accuracy[[2, 4]] == pytest.approx([0.0, 2 / 3])
    assert np.isnan(curve.accuracy[[0, 1, 3]]).all() and np.isnan(curve.confidence[[0, 1, 3]]).all()
    assert calibration.error() == pytest.approx(1 / 4 * 0.55 + 3 / 4 * (0.9 - 2 / 3))


def test_a_bin_holds_its_upper_end():
    second = np.array([[0.5, 0.75, 0.8, 1.0]], np.float32)
    curve = counted((second[None], np.ones((1, 4))), bins=4).curve()
    assert curve.pixels.tolist() == [0, 1, 1, 2]


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 6), st.sampled_from([5, 10, 15]))
def test_the_curve_is_scikit_learns(seed, classes, bins):
    """Of "the prediction is right" as the event and the confidence as its probability."""
    images = [drawn(seed + i, classes) for i in range(2)]
    sure = np.concatenate([p.max(0)[m != IGNORE] for p, m in images]).astype(np.float64)
    right = np.concatenate([(p.argmax(0) == m)[m != IGNORE] for p, m in images])
    accuracy, confidence = calibration_curve(right, np.minimum(sure, 1.0), n_bins=bins)
    calibration = counted(*images, bins=bins)
    curve = calibration.curve()
    full = curve.pixels > 0
    assert curve.accuracy[full] == pytest.approx(accuracy)
    assert curve.confidence[full] == pytest.approx(confidence)
    assert curve.pixels.sum() == len(sure)
    assert calibration.error() == pytest.approx((np.abs(accuracy - confidence) * curve.pixels[full]).sum() / len(sure))


def test_images_add_up():
    images = [drawn(seed, 3) for seed in range(4)]
    whole = np.concatenate([p for p, _ in images], 1), np.concatenate([m for _, m in images], 0)
    assert counted(*images).error() == pytest.approx(counted(whole).error())


def test_one_channel_is_the_second_of_two_classes():
    probabilities, mask = drawn(0, 2)
    one, two = counted((probabilities[1:], mask)), counted((probabilities, mask))
    assert one.error() == pytest.approx(two.error())
    assert one.curve().pixels.tolist() == two.curve().pixels.tolist()


def test_a_sure_and_right_network_has_no_error():
    mask = np.random.default_rng(0).integers(0, 3, (8, 8))
    calibration = counted((np.eye(3, dtype=np.float32)[mask].transpose(2, 0, 1), mask))
    assert calibration.error() == 0.0
    assert calibration.curve().pixels[-1] == 64
    assert counted((np.eye(3)[mask].transpose(2, 0, 1), (mask + 1) % 3)).error() == 1.0


def test_without_pixels_the_error_is_not_known():
    probabilities, mask = drawn(0, 3)
    assert math.isnan(Calibration().error())
    assert math.isnan(counted((probabilities, np.full_like(mask, IGNORE))).error())
