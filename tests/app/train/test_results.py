"""The rows of per_image.csv: what was there stays, and a miss can be told from a false positive."""

import math

import torch

from segtrain.parts.evaluation import image_rows

NAMES = ("background", "cell", "rim")


def test_a_row_tells_a_miss_a_false_positive_a_rightly_empty_image_and_one_that_is_ignored() -> None:
    matrices = {
        3: torch.tensor([[5, 0, 0], [4, 0, 0], [0, 0, 2]]),  # the cell is missed, the rim found
        0: torch.tensor([[8, 1, 0], [0, 0, 0], [0, 0, 0]]),  # a cell where there is none
        1: torch.tensor([[9, 0, 0], [0, 0, 0], [0, 0, 0]]),
        2: torch.zeros(3, 3, dtype=torch.int64),
    }
    wrong, right, ignored, missed = image_rows(matrices, ["w", "r", "i", "m"], NAMES)
    assert [row["id"] for row in (wrong, right, ignored, missed)] == ["w", "r", "i", "m"]
    assert (wrong["dice"], wrong["dice/cell"], wrong["truth/cell"]) == (0, 0, 0)
    assert (missed["dice"], missed["dice/cell"], missed["truth/cell"]) == (0.5, 0, 4)
    assert math.isnan(right["dice"]) and math.isnan(ignored["dice"])
    assert [row["pixels"] for row in (wrong, right, ignored, missed)] == [9, 9, 0, 11]
    for row in (wrong, right, ignored, missed):
        assert sum(row[f"truth/{name}"] for name in NAMES) == row["pixels"]
        assert isinstance(row["truth/cell"], int)
    before = ["id", "dice", *(f"dice/{n}" for n in NAMES), "iou", *(f"iou/{n}" for n in NAMES)]
    columns = [key for key in wrong if key.partition("/")[0] not in ("truth",)]
    assert sorted(columns) == sorted([*before, "pixels"]) and [*wrong][-3:] == [f"truth/{n}" for n in NAMES]
