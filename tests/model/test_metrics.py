"""Confusion matrices, scores, averages and images that are empty, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from segtrain.errors import UserError
from segtrain.model.intervals import of_scores
from segtrain.model.metrics import (
    METRICS,
    as_counted,
    averages,
    confusion,
    false_positives,
    image_rows,
    per_image,
    prediction,
    require_logits,
    scores,
)

IGNORE = 255

OF_THREE = ("background", "cell", "rim")


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


def test_a_row_tells_a_miss_a_false_positive_a_rightly_empty_image_and_one_that_is_ignored() -> None:
    matrices = {
        3: torch.tensor([[5, 0, 0], [4, 0, 0], [0, 0, 2]]),  # the cell is missed, the rim found
        0: torch.tensor([[8, 1, 0], [0, 0, 0], [0, 0, 0]]),  # a cell where there is none
        1: torch.tensor([[9, 0, 0], [0, 0, 0], [0, 0, 0]]),
        2: torch.zeros(3, 3, dtype=torch.int64),
    }
    wrong, right, ignored, missed = image_rows(matrices, ["w", "r", "i", "m"], OF_THREE)
    assert [row["id"] for row in (wrong, right, ignored, missed)] == ["w", "r", "i", "m"]
    assert (wrong["dice"], wrong["dice/cell"], wrong["truth/cell"]) == (0, 0, 0)
    assert (missed["dice"], missed["dice/cell"], missed["truth/cell"]) == (0.5, 0, 4)
    assert math.isnan(right["dice"]) and math.isnan(ignored["dice"])
    assert [row["pixels"] for row in (wrong, right, ignored, missed)] == [9, 9, 0, 11]
    for row in (wrong, right, ignored, missed):
        assert sum(row[f"truth/{name}"] for name in OF_THREE) == row["pixels"]
        assert isinstance(row["truth/cell"], int)
    before = ["id", "dice", *(f"dice/{n}" for n in OF_THREE), "iou", *(f"iou/{n}" for n in OF_THREE)]
    columns = [key for key in wrong if key.partition("/")[0] not in ("truth",)]
    assert sorted(columns) == sorted([*before, "pixels"]) and [*wrong][-3:] == [f"truth/{n}" for n in OF_THREE]
