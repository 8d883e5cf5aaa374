import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segtrain.model.averages import averages
from segtrain.model.intervals import bootstrap, of_means, of_scores
from segtrain.model.metrics import per_image, scores

NAMES = ("background", "cell", "rim")


def matrices_of(seed, images=12):
    """Confusion matrices (images, 3, 3) of predictions right in a share of pixels that is each image's own."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, (images, 8, 9))
    mask[rng.random(images) < 0.3] = 0
    right = rng.random(mask.shape) < rng.beta(4, 1, (images, 1, 1))
    pred = np.where(right, mask, rng.integers(0, 3, mask.shape))
    return per_image(torch.from_numpy(pred), torch.from_numpy(mask), 3, 255)


def by_loop(statistic, images, draws, seed):
    """Statistic of each draw's images, repeated as often as drawn: of the same draws, one after the other."""
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), draws)
    return np.array([statistic(np.repeat(np.arange(images), count)) for count in counts])


def test_the_mean_of_a_large_sample_has_the_normal_interval():
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    (found,) = of_means(values[:, None])
    reach = 1.96 * values.std() / 20
    assert found == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.1 * reach)


def test_means_are_scipys():
    values = np.random.default_rng(1).beta(4, 1, 25)
    (found,) = of_means(values[:, None], draws=20_000, level=0.9)
    other = stats.bootstrap((values,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=1)
    assert found == pytest.approx(tuple(other.confidence_interval), abs=0.003)


def test_an_image_without_the_score_is_left_out():
    rng = np.random.default_rng(2)
    values = rng.random((20, 2))
    values[rng.random((20, 2)) < 0.4] = np.nan
    found = of_means(values, draws=300, seed=5)
    means = by_loop(lambda drawn: np.nanmean(values[drawn], 0), 20, 300, 5)
    assert np.transpose(found) == pytest.approx(np.quantile(means, (0.025, 0.975), axis=0))


def test_a_score_that_no_image_has_is_not_known():
    values = np.stack((np.full(5, np.nan), np.arange(5.0)), 1)
    absent, known = of_means(values)
    assert math.isnan(absent.low) and math.isnan(absent.high)
    assert 0 < known.low < 2 < known.high < 4


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_scores_are_those_of_the_drawn_images_sums(seed):
    matrices = matrices_of(seed)
    found = of_scores(matrices.numpy(), NAMES, draws=10, seed=seed)

    def both(drawn):
        return {**scores(matrices[drawn].sum(0), NAMES), **averages(matrices[drawn], NAMES)}

    counts = ("absent_classes", "images_counted")
    assert {*found, *counts} == set(both([0]))
    draws = by_loop(both, len(matrices), 10, seed)
    for key in found:
        of_draws = np.array([of_draw[key] for of_draw in draws])
        known = of_draws[~np.isnan(of_draws)]
        expected = np.quantile(known, (0.025, 0.975)) if len(known) else (math.nan, math.nan)
        assert found[key] == pytest.approx(tuple(expected), nan_ok=True), key


def test_draws_that_lack_a_class_are_left_out():
    """The one image with it is in about two of three draws."""
    matrices = np.array([[[9, 1], [1, 4]], [[15, 0], [0, 0]], [[15, 0], [0, 0]]])
    assert of_scores(matrices, NAMES[:2])["dice/cell"] == (0.8, 0.8)


def test_the_same_seed_gives_the_same_interval():
    matrices = matrices_of(0).numpy()
    assert of_scores(matrices, NAMES) == of_scores(matrices, NAMES) != of_scores(matrices, NAMES, seed=1)


def test_draws_are_the_same_in_pieces(monkeypatch):
    matrices = matrices_of(0).numpy()
    whole = of_scores(matrices, NAMES, draws=50)
    monkeypatch.setattr("segtrain.model.intervals.CHUNK", 100)  # 8 draws of 12 images at once
    pieces = of_scores(matrices, NAMES, draws=50)
    assert list(pieces) == list(whole)
    assert np.array(list(pieces.values())) == pytest.approx(np.array(list(whole.values())))


def test_images_of_a_group_are_drawn_together():
    """Ten groups of 20 like images are ten independent values, not 200."""
    groups = np.repeat([f"patient {i}" for i in range(10)], 20)
    seen = []

    def statistic(weights):
        seen.append(weights)
        return weights.mean(1, keepdims=True)

    bootstrap(statistic, 200, draws=30, groups=groups.tolist())
    assert (seen[0].reshape(30, 10, 20) == seen[0].reshape(30, 10, 20)[..., :1]).all()
    assert (seen[0].reshape(30, 10, 20)[..., 0].sum(1) == 10).all()
    values = np.repeat(np.random.default_rng(0).random(10), 20)[:, None]
    (apart,), (together,) = of_means(values), of_means(values, groups=groups.tolist())
    assert together.high - together.low == pytest.approx(math.sqrt(20) * (apart.high - apart.low), rel=0.15)


def test_one_image_has_an_interval_without_width():
    matrices = matrices_of(3, images=1)
    found = of_scores(matrices.numpy(), NAMES, draws=10)
    assert found["dice"] == (pytest.approx(scores(matrices[0], NAMES)["dice"], nan_ok=True),) * 2


@pytest.mark.parametrize(("images", "least", "most"), [(8, 0.8, 0.93), (30, 0.9, 0.97), (120, 0.915, 0.975)])
def test_how_often_the_truth_is_inside(images, least, most):
    """As the module says: too seldom with few images. 400 sets of a skewed Dice: standard error .011 at .95."""
    rng = np.random.default_rng(images)
    sets = rng.beta(8, 1.5, (images, 400))
    found = np.array(of_means(sets, draws=500))
    inside = (found[:, 0] <= 8 / 9.5) & (found[:, 1] >= 8 / 9.5)
    assert least <= inside.mean() <= most
