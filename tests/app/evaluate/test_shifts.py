"""Shifts of evaluate: image and mask together, the same draw for every run, training's strengths."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from segtrain.app.evaluate.shifts import Shift, Shifted, Under, curve_rows, keep_robustness, shifts_of
from segtrain.config.composition import conf_dir
from segtrain.data.datasets.contract import Sample
from segtrain.errors import UserError
from segtrain.model.metrics import Evaluation
from segtrain.runs.metrics_csv import write_csv

MIXING = ("copy_paste", "cutmix", "mosaic")
SHIFTS = ("photometric", "geometric", "noise", "blur", "lowres")


class Marked:
    """Images that hold their mask, so that one that moved by itself is seen."""

    ignore_index = 255
    ids = ("a", "b", "c")

    def read(self, index: int) -> Sample:
        mask = np.zeros((40, 56), np.uint8)
        mask[3 : 20 + index, 5:30] = 1
        mask[25:, 40 - index :] = 2
        return Sample((mask * 100)[..., None], mask)


def made(names: Sequence[str], strengths: Sequence[float]) -> list[Shift]:
    data: Any = SimpleNamespace(dataset=Marked())
    return shifts_of(names, strengths, data)


def test_every_policy_at_every_strength_but_none_at_0() -> None:
    found = made(["noise", "blur"], [2, 0, 1, 1])
    assert [(shift.name, shift.strength) for shift in found] == [("noise", 1), ("noise", 2), ("blur", 1), ("blur", 2)]
    assert [shift.policy.transforms[0].noise for shift in found[:2]] == pytest.approx([0.05, 0.1])


def test_a_mask_moves_with_its_image() -> None:
    (shift,) = made(["flips"], [1])
    source, moved = Shifted(Marked(), shift.policy, seed=0), 0
    for index in range(3):
        image, mask = source.read(index)
        assert np.array_equal(image[..., 0], mask * 100)
        moved += not np.array_equal(mask, Marked().read(index).mask)
    assert moved
    (shift,) = made(["geometric"], [2])
    image, mask = Shifted(Marked(), shift.policy, seed=0).read(1)
    inner = mask != 255
    assert set(np.unique(mask)) <= {0, 1, 2, 255}
    assert np.mean(np.rint(image[..., 0][inner] / 100) == mask[inner]) > 0.97  # but for outlines, which are blended


@pytest.mark.parametrize("name", SHIFTS)
def test_draws_are_fixed_by_seed_and_image_and_photometry_leaves_masks(name: str) -> None:
    (shift,) = made([name], [2])
    one, again, other = (Shifted(Marked(), shift.policy, seed) for seed in (0, 0, 1))
    pairs = [(one.read(index), again.read(index), other.read(index)) for index in range(3)]
    assert all(np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) for a, b, _ in pairs)
    assert not all(np.array_equal(a.image, c.image) for a, _, c in pairs)
    if name != "geometric":
        assert all(np.array_equal(a.mask, Marked().read(i).mask) for i, (a, _, _) in enumerate(pairs))


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "aug").glob("*.yaml")))
def test_every_policy_is_a_shift_or_is_refused(name: str) -> None:
    if name in MIXING:
        with pytest.raises(UserError, match=f"leave {name} out"):
            made([name], [1])
        return
    (shift,) = made([name], [1])
    image = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    shifted, mask = shift.policy(image, np.zeros((300, 300), np.uint8), (0, 0, 0, 0))
    assert shifted.dtype == np.uint8 and shifted.shape[:2] == mask.shape


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
    plain, shifted = curve_rows([under("noise", 0.0, 0), under("noise", 1.0, 15)], NAMES)
    assert plain["dice_image_mean"] == pytest.approx((0.75 + 1) / 2)
    assert shifted["dice_image_mean"] == pytest.approx((20 * 0.75 + 5) / 40)
    assert [row["empty_images/cell"] for row in (plain, shifted)] == [20, 20]
    assert [row["false_positive_images"] for row in (plain, shifted)] == [0, 15]
    assert shifted["false_positive_rate/cell"] == 0.75


def test_the_file_says_how_many_pixels_each_class_has(tmp_path: Path) -> None:
    keep_robustness([under("noise", 0.0, 0), under("noise", 1.0, 15)], DATA, tmp_path / "r.csv", 0)
    table = rows(tmp_path / "r.csv")
    assert len(table) == 80 and [*table[0]][-2:] == ["truth/background", "truth/cell"]
    wrong = [row for row in table if row["dice"] == "0.0" and row["truth/cell"] == "0"]
    assert len(wrong) == 15 and {row["shift"] for row in wrong} == {"noise"}


def test_a_file_without_those_columns_is_extended_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    keep_robustness([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    new = rows(path)
    older = [{key: cell for key, cell in row.items() if not key.startswith("truth/")} for row in new]
    write_csv(path, older)
    for _ in range(2):  # the second time the file has both kinds of rows
        keep_robustness([under("blur", 0.0, 3), under("blur", 2.0, 9)], DATA, path, 0)
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
    keep_robustness([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    assert [row for row in rows(path) if row["shift"] in ("none", "noise")] == new


@pytest.mark.parametrize("older", [True, False])
def test_rows_of_other_weights_are_dropped(tmp_path: Path, older: bool) -> None:
    path = tmp_path / "r.csv"
    keep_robustness([under("noise", 0.0, 3), under("noise", 1.0, 15)], DATA, path, 0)
    if older:
        write_csv(path, [{k: v for k, v in row.items() if not k.startswith("truth/")} for row in rows(path)])
    keep_robustness([under("blur", 0.0, 4), under("blur", 2.0, 9)], DATA, path, 0)
    assert {row["shift"] for row in rows(path)} == {"none", "blur"}
