"""What is measured of an image beside its confusion matrix."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from segtrain.app.evaluate.measures import Details, Table, groups_of, missing_intervals, score_intervals, surface_table
from segtrain.config.run_config import RunConfig
from segtrain.model.bootstrap import LOW, NONE, Interval
from segtrain.parts.evaluation import Image

MASK = np.zeros((20, 30), np.uint8)
MASK[5:12, 4:15] = 1
PRED = np.roll(MASK, (3, 2), (0, 1))


class Loaded:
    """As much of a loaded run as is asked."""

    classes = ("background", "one")
    ignore_index = 255


def measured(spacing: Any = None, own: Any = None, channels: int = 2, **options: Any) -> Details:
    wanted = OmegaConf.create({"bins": 10, "surface": True, "tolerance": 2.0, "spacing": spacing, **options})
    details = Details(Loaded(), wanted, own)  # type: ignore[arg-type]
    one = torch.from_numpy(PRED.astype(np.float32)) * 8 - 4
    logits = one[None] if channels == 1 else torch.stack([torch.zeros_like(one), one])
    details.add(Image(7, logits, torch.from_numpy(PRED), torch.from_numpy(MASK)))
    return details


def test_distances_are_in_the_unit_that_is_typed_or_that_the_data_know() -> None:
    plain, typed = measured(), measured([3, 3])
    known, both = measured(own=lambda index: (index, 7.0)), measured([3, 3], lambda index: (index, 7.0))
    assert [details.unit for details in (plain, typed, known, both)] == ["pixels", "mm", "mm", "mm"]
    hd95 = [details.surfaces[7]["hd95/one"] for details in (plain, typed, known, both)]
    assert hd95 == pytest.approx([hd95[0], 3 * hd95[0], 7 * hd95[0], 3 * hd95[0]]) and hd95[0] >= 2


@pytest.mark.parametrize("channels", [1, 2])
def test_one_logit_is_as_sure_as_two(channels: int) -> None:
    details = measured(channels=channels, surface=False)
    confidence = 1 / (1 + math.exp(-4))
    right = float((PRED == MASK).mean())
    assert details.calibration.error() == pytest.approx(confidence - right, abs=1e-6)
    assert details.surfaces == {}


def test_labels_come_back_as_they_were() -> None:
    assert np.array_equal(measured().pred(7), PRED)


def test_shares_of_rightly_empty_images_count_as_1_and_distances_are_left_out_and_counted() -> None:
    """A measured image, one that is rightly empty, one with a false positive, and one of which no pixel counts."""
    nan = math.nan
    rows = [
        {"hd95": hd95, "surface_dice": share, "hd95/one": hd95, "surface_dice/one": share}
        for hd95, share in ((2.0, 0.8), (nan, nan), (30.0, 0.0), (nan, nan))
    ]
    found = surface_table(rows, [9, 9, 9, 0])
    assert found.distances.tolist() == [True, False, True, False]
    means = found.means()
    assert (means["hd95"], means["hd95/one"]) == (16, 16)
    assert means["surface_dice"] == pytest.approx((0.8 + 1 + 0) / 3) == means["surface_dice/one"]
    assert (means["distance_images"], means["distance_images/one"]) == (2, 2)
    nothing = surface_table([rows[1]], [9]).means()
    assert math.isnan(nothing["hd95"]) and nothing["distance_images"] == 0 and nothing["surface_dice"] == 1
    assert surface_table([{}, {}], [9, 9]).means() == {}


def test_the_farthest_distance_is_the_largest_image_s_diagonal() -> None:
    assert measured().farthest == pytest.approx(math.hypot(20, 30))
    assert measured([2, 1]).farthest == pytest.approx(math.hypot(40, 30))


IDS = ("p1_a", "p1_b", "p2_a", "q3")


@pytest.mark.parametrize(
    ("typed", "groups", "expected"),
    [
        ([], None, [*IDS]),
        ([r"dataset.split.group='^(p\d+)_'"], None, ["p1", "p1", "p2", "q3"]),
        ([], ["x", "x", None, "y"], ["x", "x", "p2_a", "y"]),
        (["split=blocks"], ["x", "x", None, "y"], ["x", "x", "p2_a", "y"]),
        (["split=blocks"], None, ["one sequence"] * 4),
        (["split=blocks"], [*"abcd"], ["one sequence"] * 4),
        (["split=blocks", "dataset.split.group='(.+)'"], None, ["one sequence"] * 4),
        (["~split"], None, [*IDS]),
    ],
)
def test_groups_are_those_that_split_json_has(
    typed: list[str], groups: Any, expected: list[str], composed: Callable[..., DictConfig]
) -> None:
    dataset = SimpleNamespace(ids=IDS, splits=[None] * 4, **({} if groups is None else {"groups": groups}))
    of: Any = SimpleNamespace(dataset=dataset, config=RunConfig(composed("dataset=shapes", *typed)))
    assert groups_of(of, range(4)) == expected
    assert groups_of(of, [3, 0]) == [expected[3], expected[0]]


def given(count: int = 12) -> tuple[list[torch.Tensor], Table]:
    matrices = [torch.tensor([[9, 1], [4, 4 + i]]) for i in range(count)]
    surfaces = [{"hd95": float(i), "surface_dice": i / count} for i in range(count)]
    return matrices, surface_table(surfaces, [1] * count)


def found(groups: list[str], draws: int = 500, surface: bool = True) -> dict[str, Interval]:
    matrices, surfaces = given()
    none = surface_table([{}] * 12, [1] * 12)
    return score_intervals(
        matrices, surfaces if surface else none, 20.0, ("background", "one"), groups, draws=draws, seed=0
    )


def test_images_of_one_group_are_drawn_together() -> None:
    """Neighbours are alike: six pairs tell less than twelve images."""
    apart, together = found(list("abcdefghijkl")), found(list("aabbccddeeff"))
    assert {*apart} == {*together}
    for key in ("dice/one", "dice_image_mean", "hd95", "surface_dice"):
        assert together[key].high - together[key].low > 1.15 * (apart[key].high - apart[key].low) > 0, key
    assert apart["hd95"].low < 5.5 < apart["hd95"].high <= 20
    assert "hd95" not in found(list("abcdefghijkl"), surface=False) and found(list("abcdefghijkl"), draws=0) == {}


def test_no_false_positive_on_few_empty_images_is_no_proof_that_there_are_none() -> None:
    """Of twelve images without the class none has a false positive: a rate of 1 - LOW ** (1 / 12) is possible."""
    empty, some = torch.tensor([[9, 0], [0, 0]]), torch.tensor([[5, 0], [0, 4]])
    of = {}
    for count in (4, 12):
        matrices, none = [empty] * count + [some] * 6, surface_table([{}] * (count + 6), [9] * (count + 6))
        ids = [str(i) for i in range(count + 6)]
        of[count] = score_intervals(matrices, none, 0.0, ("background", "one"), ids, draws=20_000, seed=0)
    assert of[12]["false_positive_rate"] == of[12]["false_positive_rate/one"]
    assert of[12]["false_positive_rate"] == (0, pytest.approx(1 - LOW ** (1 / 12), abs=0.03))
    assert not {key for key in of[4] if "false_positive" in key}, "of four images nothing can be said"


def test_a_score_without_an_interval_is_told() -> None:
    scores = dict.fromkeys(found(list("aaabbbcccddd")), 0.5)
    few = found(list("aaabbbcccddd"))
    assert all(math.isnan(pair.low) for pair in few.values())
    (sentence,) = missing_intervals(few, scores, 4)
    assert "No score" in sentence and "of 4" in sentence
    many = found(list("abcdefghijkl"))
    assert missing_intervals(many, scores, 12) == []
    (sentence,) = missing_intervals(
        many | {"dice/rim": NONE, "iou/rim": NONE}, {**scores, "dice/rim": 0.5, "iou/rim": 0.5}, 12
    )
    assert sentence.startswith("2 scores") and "rim" in sentence
    unknown = {**scores, "dice/rim": math.nan}
    assert missing_intervals(many | {"dice/rim": NONE}, unknown, 12) == [], (
        "a score that is not known needs no interval"
    )
