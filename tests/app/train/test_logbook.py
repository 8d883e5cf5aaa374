"""Loggers go on after a restart: one run, every epoch once, whatever was logged before the crash."""

import importlib.util
from pathlib import Path

import pytest

from segtrain.app.train import logbook
from tests.app.train.test_resume import FEW, Killed, run_in
from tests.conftest import CommandLine

TRAINING = [*FEW, "trainer.max_epochs=4", "data.steps_per_epoch=2"]


def crash_in_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch, *, logged: bool) -> None:
    """Dies at the end of an epoch whose row and checkpoint are written, before or after it is logged."""
    original = logbook.Logbook.log

    def dies(self, row):
        if logged or row["epoch"] < epoch:
            original(self, row)
        if row["epoch"] == epoch:
            raise Killed

    monkeypatch.setattr(logbook.Logbook, "log", dies)


def cut_run(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch, logged: bool, *logger: str) -> Path:
    with monkeypatch.context() as patch:
        crash_in_epoch(1, patch, logged=logged)
        with pytest.raises(Killed):
            segtrain(*TRAINING, *logger, "name=a")
    assert segtrain(*TRAINING, *logger, "name=a") == 0, segtrain.err
    return run_in(segtrain.folder, "a")


def steps_of(run: Path) -> list[int]:
    return [int(line.split(",")[1]) for line in (run / "metrics.csv").read_text().splitlines()[1:]]


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs the extra tensorboard")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own: github.com/tensorflow/tensorboard
def test_tensorboard_shows_every_epoch_once(
    logged: bool, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = cut_run(segtrain, monkeypatch, logged, "logger=tensorboard")
    folders = {path.parent for path in run.rglob("events.out.tfevents.*")}
    (folder,) = folders
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [event.step for event in events.Scalars("val/dice")] == steps_of(run) == [2, 4, 6, 8]
    assert [event.step for event in events.Scalars("test/dice")] == [8]


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="needs the extra mlflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")  # its own
def test_mlflow_has_one_run_and_every_epoch_once(
    logged: bool, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{segtrain.folder}/mlflow.db"  # absolute: mlflow keeps an open store by its name
    run = cut_run(segtrain, monkeypatch, logged, "logger=mlflow", f"logger.tracking_uri='{uri}'")
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "a"]
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert [m.step for m in client.get_metric_history(tracked.info.run_id, "val/dice")] == steps_of(run)
    assert tracked.info.status == "FINISHED" and tracked.info.run_name == run.name
    assert "test/dice" in tracked.data.metrics


def test_without_a_logger_nothing_is_left(segtrain: CommandLine) -> None:
    assert segtrain(*TRAINING, "trainer.max_epochs=1", "name=a") == 0, segtrain.err
    assert not (run_in(segtrain.folder, "a") / "logger.json").exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs the extra tensorboard")
def test_a_key_that_a_logger_hands_on_is_refused_before_training(segtrain: CommandLine) -> None:
    assert segtrain(*TRAINING, "logger=tensorboard", "+logger.nobody_reads=1", "name=a") == 2
    assert "nobody_reads" in segtrain.err and not list(segtrain.folder.glob("outputs/a/*"))
