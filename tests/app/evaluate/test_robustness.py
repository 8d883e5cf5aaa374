"""Scores under shifts: the curve with its false positives, and robustness.csv, also one that an older version wrote."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from segtrain.app.evaluate.robustness import Under, curve, keep
from segtrain.model.metrics import Evaluation
from segtrain.runs.metrics_csv import write_csv

NAMES = ("background", "cell")
FOUND, RIGHT, WRONG = ([[8, 1], [1, 3]], [[9, 0], [0, 0]], [[8, 1], [0, 0]])
DATA: Any = SimpleNamespace(dataset=SimpleNamespace(ids=[f"i{i}" for i in range(40)], classes=NAMES))


def under(shift: str, strength: float, wrong: int) -> Under:
    """Twenty images with a cell, twenty empty ones, with a false positive on so many."""
    matrices = [FOUND] * 20 + [WRONG] * wrong + [RIGHT] * (20 - wrong)
    found = Evaluation(NAMES, 255)
    found.matrices = {i: torch.tensor(matrix) for i, matrix in enumerate(matrices)}
    return Under(shift, strength, found)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_a_shift_makes_a_network_see_pulls_the_curve_down_and_is_counted() -> None:
    plain, shifted = curve([under("noise", 0.0, 0), under("noise", 1.0, 15)], NAMES)
    assert plain["dice_image_mean"] == pytest.approx((0.75 + 1) / 2)
    assert shifted["dice_image_mean"] == pytest.approx((20 * 0.75 + 5) / 40)
    assert [row["empty_images/cell"] for row in (plain, shifted)] == [20, 20]
    assert [row["false_positive_images"] for row in (plain, shifted)] == [0, 15]
    assert shifted["false_positive_rate/cell"] == 0.75


def test_the_file_says_how_many_pixels_each_class_has(tmp_path: Path) -> None:
    keep([under("noise", 0.0, 0), under("noise", 1.0, 15)], DATA, tmp_path / "r.csv", 0)
    table = rows(tmp_path / "r.csv")
    assert len(table) == 80 and [*table[0]][-2:] == ["truth/background", "truth/cell"]
    wrong = [row for row in table if row["dice"] == "0.0" and row["truth/cell"] == "0"]
    assert len(wrong) == 15 and {row["shift"] for row in wrong} == {"noise"}


def test_a_file_without_those_columns_is_extended_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    keep([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    new = rows(path)
    older = [{key: cell for key, cell in row.items() if not key.startswith("truth/")} for row in new]
    write_csv(path, older)
    for _ in range(2):  # the second time the file has both kinds of rows
        keep([under("blur", 0.0, 3), under("blur", 2.0, 9)], DATA, path, 0)
        table = rows(path)
        assert [(row["shift"], row["strength"]) for row in table[::40]] == [
            ("none", "0.0"),
            ("blur", "2.0"),
            ("noise", "1.0"),
        ]
        assert [{k: v for k, v in row.items() if not k.startswith("truth/")} for row in table[80:]] == older[40:]
        assert {row["truth/cell"] for row in table[80:]} == {""} and {row["truth/cell"] for row in table[:40]} == {
            "4",
            "0",
        }
    keep([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    assert [row for row in rows(path) if row["shift"] in ("none", "noise")] == new


@pytest.mark.parametrize("older", [True, False])
def test_rows_of_other_weights_are_dropped(tmp_path: Path, older: bool) -> None:
    path = tmp_path / "r.csv"
    keep([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    if older:
        write_csv(path, [{k: v for k, v in row.items() if not k.startswith("truth/")} for row in rows(path)])
    keep([under("blur", 0.0, 4), under("blur", 2.0, 9)], DATA, path, 0)
    assert {row["shift"] for row in rows(path)} == {"none", "blur"}
