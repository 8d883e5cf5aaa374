import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from segtrain.model.averages import METRICS, averages
from segtrain.model.metrics import per_image, scores

OF_SKLEARN = {"dice": f1_score, "iou": jaccard_score, "precision": precision_score, "recall": recall_score}


def test_by_hand():
    """One class in two images: a large object half found, 100 of 200 pixels, and one of 4 found wholly."""
    large = [[800, 0], [100, 100]]
    small = [[996, 0], [0, 4]]
    nothing = [[1000, 0], [0, 0]]
    found = averages(torch.tensor([large, small, nothing]), ("background", "cell"))
    assert found["recall_macro"] == found["recall_micro"] == 104 / 204
    assert found["recall_image_mean"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["dice_macro"] == 208 / (204 + 104)
    assert found["dice_image_mean"] == pytest.approx((200 / 300 + 1 + 1) / 3), "no cell, and none found: right"
    assert found["images_counted"] == 3.0


def test_macro_counts_classes_alike_and_micro_pixels():
    """A class of 1000 pixels is right, one of 10 is taken for background."""
    matrix = torch.tensor([[[500, 0, 0], [0, 1000, 0], [10, 0, 0]]])
    found = averages(matrix, ("background", "large", "small"))
    assert found["iou_macro"] == 0.5
    assert found["iou_micro"] == 1000 / 1010
    assert found["precision_micro"] == 1.0


def test_a_class_found_where_it_is_not_counts_its_image():
    found = averages(torch.tensor([[[90, 10], [0, 0]]]), ("background", "cell"))
    assert found["images_counted"] == 1.0
    assert [found[f"{metric}_image_mean"] for metric in METRICS] == [0.0] * 4


@pytest.mark.parametrize(("pixels", "counted"), [(90, 1), (0, 0)])
def test_without_foreground_only_images_are_known_and_without_pixels_nothing(pixels, counted):
    found = averages(torch.tensor([[[pixels, 0], [0, 0]]]), ("background", "cell"))
    assert found.pop("images_counted") == counted
    means = [found.pop(f"{metric}_image_mean") for metric in METRICS]
    assert means == [1.0] * 4 if counted else all(map(math.isnan, means))
    assert len(found) == 2 * len(METRICS) and all(math.isnan(value) for value in found.values())


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_micro_is_scikit_learns_and_the_others_are_means(seed, classes, has_background):
    rng = np.random.default_rng(seed)
    pred, mask = rng.integers(0, rng.integers(1, classes, endpoint=True), (2, 4, 3, 5)).astype(np.uint8)
    names = ["background" if has_background else "sky", *(f"c{i}" for i in range(1, classes))]
    matrices = per_image(torch.from_numpy(pred), torch.from_numpy(mask), classes, 255)
    found = averages(matrices, names)
    front = list(range(has_background, classes))
    for metric, of_sklearn in OF_SKLEARN.items():
        present = np.isin(np.stack((pred, mask)), front).any()
        micro = of_sklearn(mask.ravel(), pred.ravel(), labels=front, average="micro", zero_division=0)
        assert found[f"{metric}_micro"] == pytest.approx(micro if present else math.nan, nan_ok=True)
        assert found[f"{metric}_macro"] == pytest.approx(scores(matrices.sum(0), names)[metric], nan_ok=True)
        of_image = []
        for p, m in zip(pred, mask, strict=True):
            labels = [c for c in front if c in p or c in m]
            options = {"labels": labels, "average": "macro", "zero_division": 0}
            of_image.append(of_sklearn(m.ravel(), p.ravel(), **options) if labels else 1.0)
        assert found[f"{metric}_image_mean"] == pytest.approx(np.mean(of_image))
        assert found["images_counted"] == len(mask)
