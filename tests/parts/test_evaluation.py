"""One pass over samples: what is counted and handed on, without padding."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from segtrain.data.datasets.contract import Sample
from segtrain.model import metrics
from segtrain.model.metrics import Evaluation
from segtrain.parts.evaluation import Image, Machine, batches, image_rows, score

ON = Machine(torch.device("cpu"), "32-true")
SIZES = [(5, 40), (32, 32), (33, 7), (5, 40)]
NAMES = ("background", "one")
OF_THREE = ("background", "cell", "rim")


class Samples:
    """Images whose right prediction is what they hold."""

    ignore_index = 255

    def read(self, index: int) -> Sample:
        mask = np.random.default_rng(index).integers(0, 2, SIZES[index]).astype(np.uint8)
        image = mask[..., None].copy()
        mask[0, :3] = 255
        return Sample(image, mask)


def predict(image: Tensor) -> Tensor:
    return torch.cat([0.5 - image.float(), image.float() - 0.5], 1)


def config(size: int) -> Any:
    return OmegaConf.create({"data": {"batch_size": size, "num_workers": 0}})


@pytest.mark.parametrize("size", [1, 3, 4])
def test_images_come_without_padding_and_count_what_is_not_ignored(size: int) -> None:
    source, seen = Samples(), list[Image]()
    found = score(batches(source, [3, 0, 2, 1], config(size)), predict, NAMES, 255, ON, each=seen.append)
    assert sorted(found.matrices) == [0, 1, 2, 3] and sorted(image.sample for image in seen) == [0, 1, 2, 3]
    for image in seen:
        stored, mask = source.read(image.sample)
        assert np.array_equal(image.pred, stored[..., 0]) and np.array_equal(image.mask, mask)
        assert image.logits.shape == (2, *mask.shape)
        assert int(found.matrices[image.sample].sum()) == (mask != 255).sum()
    scores = found.scores()
    assert scores["dice"] == 1 and "loss" not in scores


def test_the_loss_is_the_mean_over_images_and_scores_those_of_all_pixels() -> None:
    loss = torch.nn.CrossEntropyLoss(ignore_index=255)

    def mean(logits: Tensor, mask: Tensor) -> Tensor:
        value: Tensor = loss(logits, mask.long())
        return value

    parts, whole = Evaluation(NAMES, 255), Evaluation(NAMES, 255)
    for indices, into in (([0], parts), ([1, 2, 3], parts), ([0, 1, 2, 3], whole)):
        into.add(score(batches(Samples(), indices, config(1)), predict, NAMES, 255, ON, loss=mean))  # type: ignore[arg-type]
    assert parts.scores() == pytest.approx(whole.scores())
    summed = torch.stack(list(whole.matrices.values())).sum(0)
    assert {**metrics.scores(summed, NAMES), "loss": whole.scores()["loss"]} == whole.scores()


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
