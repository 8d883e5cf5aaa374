"""The share of the time that a training waited for data, and what is said of it."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from segtrain.app.train.data_wait import MUCH, DataWait, say_wait
from segtrain.config.composition import cores
from segtrain.config.run_config import RunConfig
from segtrain.data.feed import Feed
from segtrain.data.share import WHOLE
from segtrain.runs.metrics_csv import DATA_WAIT


class Slow:
    def __getitem__(self, position: int) -> Any:
        time.sleep(0.05)
        return position


def one_of(samples: Any, number: int, *, room: Any) -> Any:
    return list(samples)


def test_the_share_is_of_training_alone() -> None:
    feed = Feed(Slow(), WHOLE.of_evaluation(4, 1), one_of)
    trainer: Any = SimpleNamespace(train_dataloader=feed)
    wait = DataWait()
    wait.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    for number, _ in enumerate(feed):
        time.sleep(0.05)
        if number == 1:
            wait.on_validation_start()
            time.sleep(0.6)
            wait.on_validation_end()
    wait.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert 0.25 < wait.row[DATA_WAIT] < 0.75
    trainer.train_dataloader = [1, 2]  # batches of whatever else
    wait.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    wait.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
    assert wait.row == {}


@pytest.mark.parametrize(
    ("cache", "workers", "named"),
    [
        (None, 0, {"data.cache=disk", "data.num_workers=1"}),
        ("disk", 0, {"data.num_workers=1"}),
        (None, 999, {"data.cache=disk"}),
        ("ram", 999, {"cores"}),
    ],
)
def test_a_way_out_is_one_that_is_left(cache: str | None, workers: int, named: set[str]) -> None:
    config = RunConfig({"data": {"cache": cache, "num_workers": workers}})
    rows = [{DATA_WAIT: 0.0}, {DATA_WAIT: 2 * MUCH}, {DATA_WAIT: 3 * MUCH}]
    said = say_wait(rows, config)
    everything = {"data.cache=disk", "data.num_workers=1", "cores"}
    assert {name for name in everything if name in said} == named
    assert "10.0%" in said and cores() > 0
    assert "give" not in say_wait([{DATA_WAIT: MUCH}], config)
    assert say_wait([{"train/loss": 1.0}], config) == ""  # of an earlier version
