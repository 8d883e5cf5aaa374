import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from segtrain.errors import UserError
from segtrain.model.metrics import confusion, per_image, prediction, require_logits, scores

IGNORE = 255


@st.composite
def labelled(draw):
    """(pred, mask, classes): small images, classes often absent, pixels often ignored, any dtype."""
    classes = draw(st.sampled_from([2, 3, 4, 15, 16, 40]))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top_pred, top_mask = draw(st.integers(1, classes)), draw(st.integers(1, classes))
    pred, mask = rng.integers(0, top_pred, shape), rng.integers(0, top_mask, shape)
    mask[rng.random(shape) < draw(st.sampled_from([0, 0.3, 1]))] = IGNORE
    dtypes = st.sampled_from([torch.uint8, torch.int32, torch.int64])
    return torch.from_numpy(pred).to(draw(dtypes)), torch.from_numpy(mask).to(draw(dtypes)), classes


def of_sklearn(pred, mask, classes):
    kept = mask.numpy() != IGNORE
    if not kept.any():
        return np.zeros((classes, classes), int)
    return confusion_matrix(mask.numpy()[kept], pred.numpy()[kept], labels=range(classes))


@settings(deadline=None)
@given(labelled())
def test_confusion_matrices_are_sklearns(case):
    pred, mask, classes = case
    images = per_image(pred, mask, classes, IGNORE)
    assert images.dtype == torch.int64 and images.shape == (len(pred), classes, classes)
    for image, p, m in zip(images, pred, mask, strict=True):
        assert (image.numpy() == of_sklearn(p, m, classes)).all()
    assert torch.equal(confusion(pred, mask, classes, IGNORE), images.sum(0))


@settings(deadline=None)
@given(labelled())
def test_scores_are_sklearns(case):
    pred, mask, classes = case
    names = ["background", *(f"c{i}" for i in range(1, classes))]
    found = scores(confusion(pred, mask, classes, IGNORE), names)
    kept = mask != IGNORE
    truth, guess = mask[kept].numpy(), pred[kept].numpy()
    present = sorted({*truth.tolist(), *guess.tolist()})
    assert found["absent_classes"] == classes - len(present)
    assert found["pixel_accuracy"] == pytest.approx((truth == guess).mean() if len(truth) else math.nan, nan_ok=True)
    for key, score in [
        ("dice", f1_score),
        ("iou", jaccard_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ]:
        values = score(truth, guess, labels=present, average=None, zero_division=0) if present else []
        expected = dict(zip(present, values, strict=True))
        for c, name in enumerate(names):
            assert found[f"{key}/{name}"] == pytest.approx(expected.get(c, math.nan), nan_ok=True)
        front = [v for c, v in expected.items() if c]
        assert found[f"{key}_all"] == pytest.approx(np.mean(list(values)) if present else math.nan, nan_ok=True)
        assert found[key] == pytest.approx(np.mean(front) if front else math.nan, nan_ok=True)


def test_scores_by_hand():
    # Truth: 6 background, 4 cell; one of each is taken for the other; "dust" occurs nowhere.
    matrix = torch.tensor([[5, 1, 0], [1, 3, 0], [0, 0, 0]])
    found = scores(matrix, ["background", "cell", "dust"])
    assert found["dice/cell"] == found["dice"] == 6 / 8
    assert found["iou/cell"] == found["iou"] == 3 / 5
    assert found["dice_all"] == (10 / 12 + 6 / 8) / 2
    assert math.isnan(found["recall/dust"])
    assert (found["pixel_accuracy"], found["absent_classes"]) == (0.8, 1.0)


def test_without_a_background_the_mean_is_over_all():
    found = scores(torch.tensor([[5, 1], [2, 3]]), ["left", "right"])
    assert found["iou"] == found["iou_all"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_prediction_is_the_largest_logit(layout):
    logits = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    pred = prediction(logits)
    assert pred.dtype == torch.uint8
    assert torch.equal(pred.long(), logits.contiguous().argmax(1))


def test_prediction_of_one_logit_is_its_sign():
    assert prediction(torch.tensor([-2.0, 0.0, 0.1]).view(1, 1, 1, 3)).tolist() == [[[0, 0, 1]]]


def test_many_images_do_not_overflow():
    """More cells than an int16 counts."""
    pred = torch.arange(20, dtype=torch.uint8).view(1, 1, -1).expand(100, 1, -1)
    assert torch.equal(per_image(pred, pred, 20, IGNORE), torch.eye(20, dtype=torch.int64).expand(100, -1, -1))


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 2**32))
def test_logits_that_pass_lose_no_pixel_and_others_are_refused(logits, classes, seed):
    names = [f"class{i}" for i in range(classes)]
    if logits != classes and (logits, classes) != (1, 2):
        with pytest.raises(UserError, match=f"gives {logits} logits"):
            require_logits(logits, names)
        return
    require_logits(logits, names)
    torch.manual_seed(seed)
    mask = torch.randint(0, classes, (2, 3, 4)).to(torch.uint8)
    pred = prediction(torch.randn(2, logits, 3, 4))
    matrices = per_image(pred, mask, classes, IGNORE)
    assert matrices.sum().item() == mask.numel()
    assert (matrices.sum((0, 2)) == torch.bincount(mask.flatten(), minlength=classes)).all()
