"""per_image.csv as training writes it is read, whatever the images; what contradicts itself or the results is told."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.model import metrics
from segtrain.model.metrics import image_rows
from segtrain.parts.evaluation import counts
from segtrain.runs.image_table import read_images
from segtrain.runs.metrics_csv import write_csv

Rows = list[dict[str, Any]]


def made(
    folder: Path, seed: int, classes: list[str], images: int, most: int = 50, dense: bool = False
) -> tuple[Path, dict[str, Any], Rows]:
    """What a test writes of made-up confusion matrices, of which some lack classes, and some every pixel."""
    rng = np.random.default_rng(seed)
    size = len(classes)
    matrices = rng.integers(int(dense), most, (images, size, size)) * rng.integers(int(dense), 2, (images, size, size))
    ids = [f"i{i}" for i in range(images)]
    of = {i: torch.from_numpy(matrix) for i, matrix in enumerate(matrices)}
    scores = metrics.scores(torch.from_numpy(matrices.sum(0)), classes)
    results = {f"test/{key}": None if value != value else value for key, value in scores.items()}
    results |= {f"test/{key}": value for key, value in counts(of, classes).items()} | {"test/images": images}
    rows = image_rows(of, ids, classes)
    write_csv(folder / "per_image.csv", rows)
    return folder / "per_image.csv", results, rows


@given(
    st.integers(0, 10_000),
    st.sampled_from([["background", "a"], ["a", "b"], ["background", "a", "b", "c"], ["background"], ["a"]]),
    st.integers(1, 12),
    st.sampled_from([2, 50, 10**6]),
)
def test_what_training_writes_is_read(seed: int, classes: list[str], images: int, most: int) -> None:
    with TemporaryDirectory() as folder:
        path, results, rows = made(Path(folder), seed, classes, images, most)
        read = read_images(path, results, [row["id"] for row in rows], whole=True)
        assert [*read] == [row["id"] for row in rows]
        older = [{k: v for k, v in row.items() if not k.startswith("truth/")} for row in rows]
        write_csv(path, older)  # of a version before `truth/`
        assert [*read_images(path, {k: v for k, v in results.items() if "empty" not in k})] == [*read]


def exchanged(rows: Rows, one: str, other: str) -> None:
    for row in rows:
        row[one], row[other] = row[other], row[one]


def ids_exchanged(rows: Rows) -> None:
    rows[0]["id"], rows[1]["id"] = rows[1]["id"], rows[0]["id"]


def better(rows: Rows) -> None:
    """Another run's table, which agrees with itself."""
    for row in rows:
        scores = {name: 0.5 + row[f"dice/{name}"] / 2 for name in ("background", "a", "b")}
        for name, dice in scores.items():
            row |= {f"dice/{name}": dice, f"iou/{name}": dice / (2 - dice)}
        for kind in ("dice", "iou"):
            row[kind] = (row[f"{kind}/a"] + row[f"{kind}/b"]) / 2


def emptied(rows: Rows) -> None:
    """A miss becomes an image that is rightly empty."""
    for kind, value in (("dice", ""), ("iou", ""), ("truth", 0)):
        rows[0][f"{kind}/a"] = value
    rows[0]["dice"], rows[0]["iou"] = rows[0]["dice/b"], rows[0]["iou/b"]
    rows[0]["pixels"] = rows[0]["truth/background"] + rows[0]["truth/b"]


DAMAGE: dict[str, Callable[[Rows], object]] = {
    "no mean": lambda rows: rows[0].update(dice=""),
    "a mean that is nan": lambda rows: rows[0].update(dice=float("nan")),
    "another mean": lambda rows: rows[0].update(dice=0.99),
    "another mean IoU": lambda rows: rows[0].update(iou=0.99),
    "no Dice of a class": lambda rows: rows[0].update({"dice/a": ""}),
    "no class at all": lambda rows: rows[0].update({k: "" for k in rows[0] if k[:4] in ("dice", "iou/", "iou")}),
    "another Dice of a class": lambda rows: rows[0].update({"dice/background": 0.01}),
    "no mean in the table": lambda rows: [row.pop("dice") for row in rows],
    "another name of a column": lambda rows: [row.update({"dice/c": row.pop("dice/a")}) for row in rows],
    "mean and class exchanged": lambda rows: exchanged(rows, "dice", "dice/a"),
    "scores exchanged": lambda rows: exchanged(rows, "dice", "iou"),
    "classes exchanged": lambda rows: exchanged(rows, "dice/a", "dice/b"),
    "ids exchanged": ids_exchanged,
    "an id of another split": lambda rows: rows[0].update(id="other"),
    "a line that is missing": lambda rows: rows.pop(),
    "pixels": lambda rows: rows[0].update(pixels=0),
    "pixels of a class": lambda rows: rows[0].update({"truth/a": 1}),
    "emptied": emptied,
    "another run's": better,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_contradicts_itself_or_the_results_is_told(tmp_path: Path, damage: str) -> None:
    path, results, rows = made(tmp_path, 0, ["background", "a", "b"], 6, dense=True)
    ids = [row["id"] for row in rows]
    read_images(path, results, ids, whole=True)
    DAMAGE[damage](rows)
    write_csv(path, rows)
    with pytest.raises(UserError, match=r"per_image\.csv' is damaged"):
        read_images(path, results, ids, whole=True)


def test_a_test_of_some_batches_may_leave_images_out_and_no_others(tmp_path: Path) -> None:
    path, results, rows = made(tmp_path, 0, ["background", "a"], 3)
    ids = [row["id"] for row in rows]
    assert [*read_images(path, results, [*ids, "later"])] == ids
    for test, whole in (([*ids, "later"], True), (ids[1:], False), (ids[::-1], False)):
        with pytest.raises(UserError, match=r"split\.json"):
            read_images(path, results, test, whole)
    assert [*read_images(path, {}, ids[1:], whole=True)] == ids  # of a run that goes on, with a split of its own
