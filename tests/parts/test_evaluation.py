"""One pass over samples: what is counted and handed on, without padding."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segtrain.config.run_config import RunConfig
from segtrain.data.datasets.contract import Sample
from segtrain.lightning import L
from segtrain.model import metrics
from segtrain.model.metrics import Evaluation
from segtrain.parts.evaluation import (
    Image,
    Machine,
    are_there,
    batches,
    cell,
    counts,
    of_row,
    score,
    sentences,
    set_determinism,
)

ON = Machine(torch.device("cpu"), "32-true")


SIZES = [(5, 40), (32, 32), (33, 7), (5, 40)]


NAMES = ("background", "one")


QUIET: dict[str, Any] = {"devices": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


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
    return RunConfig({"data": {"batch_size": size, "num_workers": 0}})


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


@pytest.mark.parametrize("wanted", [True, False, "warn"])
def test_determinism_is_that_of_a_trainer(wanted: bool | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    states = []
    for set_up in (
        lambda: set_determinism(wanted),
        lambda: L.Trainer(accelerator="cpu", deterministic=wanted, **QUIET),
    ):
        set_up()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        states.append((torch.are_deterministic_algorithms_enabled(), warns, torch.backends.cudnn.benchmark))
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    assert states[0] == states[1]


CLASS_NAMES = ("background", "cell")


FOUND, RIGHT, WRONG = ([[8, 1], [0, 3]], [[9, 0], [0, 0]], [[8, 1], [0, 0]])


IGNORED = [[0, 0], [0, 0]]


def results(*matrices: list[list[int]]) -> dict[str, float]:
    found = counts({i: torch.tensor(matrix) for i, matrix in enumerate(matrices)}, CLASS_NAMES)
    return {f"test/{key}": value for key, value in found.items()}


def test_number_and_rate_of_false_positives_stand_in_the_cell() -> None:
    told = results(FOUND, RIGHT, RIGHT, RIGHT, WRONG)
    assert cell(told, "test") == cell(told, "test", "cell") == "1 of 4 (25 %)"
    assert cell(told, "test", "background") == "–"
    assert of_row({"empty_images": 4, "false_positive_images": 1}) == "1 of 4 (25 %)"


def test_what_is_empty_or_has_no_score_is_said_and_nothing_where_there_is_none() -> None:
    assert sentences(results(FOUND, FOUND), "test") == [] and not are_there(results(FOUND), "test", CLASS_NAMES)
    told = results(FOUND, RIGHT, WRONG, IGNORED)
    empty, ignored = sentences(told, "test")
    assert "2" in empty and "1 of them, 50 %" in empty
    assert "ignored: 1" in ignored and are_there(told, "test", CLASS_NAMES)


def test_of_others_is_spoken_only_where_there_are_some() -> None:
    for matrices, others in (([WRONG, WRONG], False), ([WRONG, RIGHT], True), ([RIGHT], True)):
        (said,) = sentences(results(FOUND, *matrices), "test")
        assert ("others" in said) is others


def test_results_that_were_written_before_say_nothing() -> None:
    assert not are_there({"test/dice": 0.5}, "test", CLASS_NAMES)
