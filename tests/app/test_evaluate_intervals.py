"""Intervals of an evaluation: which images are drawn together, and when there are none."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from segtrain.app.evaluate_intervals import groups_of, intervals

IDS = ("p1_a", "p1_b", "p2_a", "q3")


def data(pattern: str | None = None, groups: Any = None) -> Any:
    dataset = SimpleNamespace(ids=IDS, **({} if groups is None else {"groups": groups}))
    return SimpleNamespace(dataset=dataset, config=OmegaConf.create({"dataset": {"split": {"group": pattern}}}))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (data(), [*IDS]),
        (data(r"^(p\d+)_"), ["p1", "p1", "p2", "q3"]),
        (data(r"^\w\d"), ["p1", "p1", "p2", "q3"]),
        (data(None, ["x", "x", None, "y"]), ["x", "x", "p2_a", "y"]),
    ],
)
def test_groups_are_the_data_s_own_or_the_expression_s(of: Any, expected: list[str]) -> None:
    assert groups_of(of, range(4)) == expected
    assert groups_of(of, [3, 0]) == [expected[3], expected[0]]


def test_images_of_one_group_are_drawn_together() -> None:
    matrices = [torch.tensor([[9, 1], [0, hit]]) for hit in (1, 9, 1, 9)]
    surfaces = [{"hd95": float(i)} for i in range(4)]
    names = ("background", "one")
    apart = intervals(matrices, surfaces, names, list("abcd"), draws=500, seed=0)
    together = intervals(matrices, surfaces, names, list("aabb"), draws=500, seed=0)
    assert apart["dice/one"].low < apart["dice/one"].high
    assert together["dice/one"].low == together["dice/one"].high  # the two groups have the same pixels
    assert (together["hd95"].low, together["hd95"].high) == (0.5, 2.5)  # the means of the two groups
    assert intervals(matrices, surfaces, names, list("aaaa"), draws=500, seed=0) == {}
    assert intervals(matrices, [], names, list("abcd"), draws=0, seed=0) == {}
    assert "hd95" not in intervals(matrices, [], names, list("abcd"), draws=9, seed=0)
