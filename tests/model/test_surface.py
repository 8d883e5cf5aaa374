"""Against MONAI, scipy's distance transforms, boundary IoU written anew from its article, and by hand."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segtrain.model.surface import SCORES, class_scores, surface_scores

IGNORE = 255
CLASSES = ("background", "cell", "rim")
SPACINGS = ((1.0, 1.0), (0.5, 0.5), (0.7, 2.2))


def scored(pred, mask, **options):
    """Scores of class 1 of two arrays of 0 and 1."""
    return class_scores(np.uint8(pred), np.uint8(mask), 1, **{"ignore_index": IGNORE, **options})


def random_pair(seed):
    """Two masks (H, W): shapes like each other, noise, a single pixel, all of the image, or none in one or in both."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 90, 2))
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    other = smooth + rng.uniform(0, 1) * ndimage.gaussian_filter(rng.normal(size=shape), 2)
    level, kind, empty = rng.uniform(-0.1, 0.1), seed % 10, np.zeros(shape, bool)
    single = empty.copy()
    single[tuple(rng.integers(0, shape))] = True
    pred = {4: rng.random(shape) < 0.3, 7: empty, 8: empty}.get(kind, other > level)
    mask = {4: rng.random(shape) < 0.2, 5: single, 6: ~empty, 8: empty, 9: empty}.get(kind, smooth > level)
    return pred, mask


def exact(pred, mask, spacing):
    """hd95 and asd in float64, by erosion and distance transforms of scipy; neither mask is empty."""
    edges = [part & ~ndimage.binary_erosion(part) for part in (pred, mask)]
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    there, back = far[1][edges[0]], far[0][edges[1]]
    return max(np.percentile(there, 95), np.percentile(back, 95)), np.concatenate((there, back)).mean()


def boundary_iou_of_the_article(pred, mask):
    """Cheng et al. 2021, as their released code: inside a frame of 0, erode by 3 x 3, d times; here without OpenCV."""
    width = max(1, round(0.02 * math.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    framed = [np.pad(part, 1) for part in (pred, mask)]
    inner = [ndimage.binary_erosion(part, np.ones((3, 3)), width, border_value=1) for part in framed]
    bands = [whole & ~core for whole, core in zip(framed, inner, strict=True)]
    union = (bands[0] | bands[1]).sum()
    return (bands[0] & bands[1]).sum() / union if union else math.nan


def of_monai(pred, mask, spacing, tolerance):
    """hd95, asd and surface_dice by its functions, and hd95 of its own distances by a percentile in float64."""
    import torch
    from monai import metrics
    from monai.metrics.utils import get_edge_surface_distance

    pair = [torch.from_numpy(part)[None, None] for part in (pred, mask)]
    options = {"include_background": True, "spacing": spacing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of empty masks
        values = (
            metrics.compute_hausdorff_distance(*pair, percentile=95, **options),
            metrics.compute_average_surface_distance(*pair, symmetric=True, **options),
            metrics.compute_surface_dice(*pair, class_thresholds=[tolerance], **options),
        )
        _, found, _ = get_edge_surface_distance(pair[0][0, 0], pair[1][0, 0], spacing=spacing, symmetric=True)
    finite = [part.double().numpy() for part in found if len(part) and part.isfinite().all()]
    return *(value.item() for value in values), max((np.percentile(part, 95) for part in finite), default=math.nan)


@pytest.mark.slow  # importing MONAI takes some seconds
def test_two_hundred_pairs_are_monais():
    """MONAI's distances are float32, so 1e-6 is of a distance above 1. Its percentile is float32 too, and up to 1e-5
    off; the percentile in float64 of its own distances is what ours equals."""
    only_one = neither = 0
    for seed in range(200):
        (pred, mask), spacing, tolerance = random_pair(seed), SPACINGS[seed % 3], (2.0, 1.5, 2.1)[seed % 3]
        found = scored(pred, mask, spacing=spacing, tolerance=tolerance)
        hd95, asd, surface_dice, hd95_in_float64 = of_monai(pred, mask, spacing, tolerance)
        assert found["surface_dice"] == pytest.approx(surface_dice, abs=1e-6, nan_ok=True), seed
        if pred.any() != mask.any():
            only_one += 1
            assert asd == math.inf and math.isnan(hd95)  # between two infinities it interpolates to NaN
            assert found["hd95"] == found["asd"] == math.hypot(*np.multiply(mask.shape, spacing))
            continue
        neither += not pred.any()
        assert found["asd"] == pytest.approx(asd, rel=1e-6, abs=1e-6, nan_ok=True), seed
        assert found["hd95"] == pytest.approx(hd95_in_float64, rel=1e-6, abs=1e-6, nan_ok=True), seed
        assert found["hd95"] == pytest.approx(hd95, rel=1e-5, abs=1e-5, nan_ok=True), seed
    assert (only_one, neither) == (40, 21)


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_distances_are_those_of_distance_transforms(start):
    for seed in range(start, start + 50):
        (pred, mask), spacing = random_pair(seed), SPACINGS[seed % 3]
        if pred.any() and mask.any():
            found = scored(pred, mask, spacing=spacing)
            assert (found["hd95"], found["asd"]) == pytest.approx(exact(pred, mask, spacing), abs=1e-9), seed


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_boundary_iou_is_the_articles(start):
    for seed in range(start, start + 50):
        pred, mask = random_pair(seed)
        expected = boundary_iou_of_the_article(pred, mask)
        for spacing in SPACINGS[:2]:  # both have square pixels
            found = scored(pred, mask, spacing=spacing)["boundary_iou"]
            assert found == pytest.approx(expected, abs=1e-12, nan_ok=True), seed


def test_boundary_iou_of_a_large_image_is_the_articles():
    """A band of 8 pixels."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(250, 300)), 12)
    pred, mask = smooth > 0.002, smooth > 0
    found = scored(pred, mask)["boundary_iou"]
    assert 0.3 < found < 0.98
    assert found == pytest.approx(boundary_iou_of_the_article(pred, mask), abs=1e-12)


def test_by_hand():
    """Two columns, 3 pixels apart, of 5 and of 4 pixels: 8 of the distances are 3, one of pred is the root of 10."""
    pred, mask = np.zeros((12, 12)), np.zeros((12, 12))
    pred[2:7, 3] = 1
    mask[2:6, 6] = 1
    found = scored(pred, mask, tolerance=3.0)
    assert found["surface_dice"] == 8 / 9
    assert found["asd"] == pytest.approx((8 * 3 + math.sqrt(10)) / 9)
    assert found["hd95"] == pytest.approx(3 + 0.8 * (math.sqrt(10) - 3))  # the 0.95 x 4 = 3.8th of 5, from 0
    assert found["boundary_iou"] == 0.0


def test_bands_by_hand():
    """A 10 x 10 square against the same moved by one: bands of 1 pixel in an image whose diagonal is below 75."""
    pred, mask = np.zeros((40, 40)), np.zeros((40, 40))
    pred[10:20, 10:20] = 1
    mask[10:20, 11:21] = 1
    # Each band has 36 pixels; top and bottom rows share 9 each, and a side meets no side.
    assert scored(pred, mask)["boundary_iou"] == 18 / (36 + 36 - 18)


def test_lengths_are_in_the_unit_of_spacing():
    """Height before width: a pixel is 2 high and .5 wide."""
    left, right, below = np.zeros((20, 20)), np.zeros((20, 20)), np.zeros((20, 20))
    left[5, 5] = right[5, 9] = below[9, 5] = 1
    options = {"spacing": (2.0, 0.5), "tolerance": 2.0}
    assert scored(left, right, **options)["hd95"] == 2.0
    assert scored(left, right, **options)["surface_dice"] == 1.0
    assert scored(left, below, **options)["asd"] == 8.0
    assert scored(left, below, **options)["surface_dice"] == 0.0


def test_the_band_of_boundary_iou_is_as_wide_in_both_directions():
    """Diagonal hypot(100, 400) = 412, a band of 8.2: 8 pixels down, 2 across where they are 4 wide."""
    mask = np.ones((100, 100))
    pred = np.zeros((100, 100))
    pred[8:-8, 2:-2] = 1  # all that the mask's band is not
    assert scored(pred, mask, spacing=(1.0, 4.0))["boundary_iou"] == 0.0
    pred[7, 50] = 1  # one pixel of the mask's band
    assert scored(pred, mask, spacing=(1.0, 4.0))["boundary_iou"] > 0.0


def test_a_distance_that_equals_the_tolerance_but_for_rounding_counts():
    pred, mask = np.zeros((9, 9)), np.zeros((9, 9))
    pred[4, 1] = mask[4, 4] = 1
    assert 3 * 0.1 > 0.3
    assert scored(pred, mask, spacing=(0.1, 0.1), tolerance=0.3)["surface_dice"] == 1.0


def test_an_absent_class_is_not_counted_and_a_missed_one_is_the_worst():
    pred, mask = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    mask[5:9, 5:9] = 1
    options = {"ignore_index": IGNORE, "spacing": (0.8, 0.25), "tolerance": 1.0}
    missed = {"hd95": 26.0, "asd": 26.0, "surface_dice": 0.0, "boundary_iou": 0.0}
    assert class_scores(pred, mask, 1, **options) == class_scores(mask, pred, 1, **options) == missed
    found = surface_scores(pred, mask, CLASSES, **options)
    assert {key: found[key] for key in SCORES} == missed, "background, and the rim in neither, count for nothing"
    assert all(math.isnan(found[f"{key}/rim"]) for key in SCORES)
    assert found["hd95/background"] < 26.0
    assert all(
        math.isnan(value) for key, value in surface_scores(pred, pred, CLASSES, **options).items() if "/b" not in key
    )


def test_means_are_over_the_classes_but_background():
    rng = np.random.default_rng(1)
    pred, mask = rng.integers(0, 3, (2, 25, 31)).astype(np.uint8)
    options = {"ignore_index": IGNORE, "spacing": (1.0, 1.0), "tolerance": 1.0}
    found = surface_scores(pred, mask, CLASSES, **options)
    assert len(found) == len(SCORES) * (1 + len(CLASSES))
    for label, name in enumerate(CLASSES):
        assert class_scores(pred, mask, label, **options) == {key: found[f"{key}/{name}"] for key in SCORES}
    for key in SCORES:
        assert found[key] == (found[f"{key}/cell"] + found[f"{key}/rim"]) / 2


def test_ignored_pixels_are_in_neither():
    """What pred says of them changes nothing; a class that both have beside them agrees along the cut."""
    rng = np.random.default_rng(2)
    pred, mask = rng.integers(0, 2, (2, 20, 20)).astype(np.uint8)
    ignored = np.zeros((20, 20), bool)
    ignored[:, 8:13] = True
    mask[ignored] = IGNORE
    found = scored(pred, mask)
    assert found == scored(np.where(ignored, 1, pred), mask) == scored(np.where(ignored, 0, pred), mask)
    assert found == scored(np.where(ignored, 0, pred), np.where(ignored, 0, mask))
    assert scored(pred, np.full((20, 20), IGNORE)) == pytest.approx(dict.fromkeys(SCORES, math.nan), nan_ok=True)
    assert class_scores(pred, np.where(ignored, 1, 0), 1, ignore_index=1)["hd95"] != 0, "a class that is ignored"


@given(st.integers(0, 10_000), st.sampled_from(SPACINGS))
def test_of_any_pair(seed, spacing):
    """Pred and mask may change places; scores keep their range; the same twice is right; both moved score the same."""
    pred, mask = random_pair(seed)
    found = scored(pred, mask, spacing=spacing)
    assert found == pytest.approx(scored(mask, pred, spacing=spacing), nan_ok=True)
    diagonal = math.hypot(*np.multiply(mask.shape, spacing))
    if pred.any() or mask.any():
        assert 0 <= found["asd"] <= diagonal and 0 <= found["hd95"] <= diagonal
        assert 0 <= found["surface_dice"] <= 1 and 0 <= found["boundary_iou"] <= 1
        assert found == pytest.approx(scored(pred[::-1, ::-1], mask[::-1, ::-1], spacing=spacing))
    if mask.any():
        right = scored(mask, mask, spacing=spacing)
        assert right == {"hd95": 0.0, "asd": 0.0, "surface_dice": 1.0, "boundary_iou": 1.0}
