"""Intervals of an evaluation: which images are drawn together, and when there are none."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from segtrain.app.evaluate.details import Table, surface_table
from segtrain.app.evaluate.intervals import groups_of, intervals, without
from segtrain.model.bootstrap import LOW, NONE, Interval

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
    of: Any = SimpleNamespace(dataset=dataset, config=composed("dataset=shapes", *typed))
    assert groups_of(of, range(4)) == expected
    assert groups_of(of, [3, 0]) == [expected[3], expected[0]]


def given(count: int = 12) -> tuple[list[torch.Tensor], Table]:
    matrices = [torch.tensor([[9, 1], [4, 4 + i]]) for i in range(count)]
    surfaces = [{"hd95": float(i), "surface_dice": i / count} for i in range(count)]
    return matrices, surface_table(surfaces, [1] * count)


def found(groups: list[str], draws: int = 500, surface: bool = True) -> dict[str, Interval]:
    matrices, surfaces = given()
    none = surface_table([{}] * 12, [1] * 12)
    return intervals(matrices, surfaces if surface else none, 20.0, ("background", "one"), groups, draws=draws, seed=0)


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
        of[count] = intervals(matrices, none, 0.0, ("background", "one"), ids, draws=20_000, seed=0)
    assert of[12]["false_positive_rate"] == of[12]["false_positive_rate/one"]
    assert of[12]["false_positive_rate"] == (0, pytest.approx(1 - LOW ** (1 / 12), abs=0.03))
    assert not {key for key in of[4] if "false_positive" in key}, "of four images nothing can be said"


def test_a_score_without_an_interval_is_told() -> None:
    scores = dict.fromkeys(found(list("aaabbbcccddd")), 0.5)
    few = found(list("aaabbbcccddd"))
    assert all(math.isnan(pair.low) for pair in few.values())
    (sentence,) = without(few, scores, 4)
    assert "No score" in sentence and "of 4" in sentence
    many = found(list("abcdefghijkl"))
    assert without(many, scores, 12) == []
    (sentence,) = without(many | {"dice/rim": NONE, "iou/rim": NONE}, {**scores, "dice/rim": 0.5, "iou/rim": 0.5}, 12)
    assert sentence.startswith("2 scores") and "rim" in sentence
    unknown = {**scores, "dice/rim": math.nan}
    assert without(many | {"dice/rim": NONE}, unknown, 12) == [], "a score that is not known needs no interval"
