"""The logger beside metrics.csv, fed from its rows: it goes on after a restart without gaps, doubles or a new run."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segtrain.app.sources import where
from segtrain.config import build
from segtrain.errors import UserError
from segtrain.folders import require_inside
from segtrain.runs.folder import RunFolder

Row = Mapping[str, float | int]
KNOWN = "logger.json"  # what the run must remember to find its place in the logger again


def _tensorboard(run: RunFolder, known: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """TensorBoard drops every event from this step on when it reads the files; the last row is written again."""
    return {"save_dir": str(run.path), "purge_step": rows[-1]["step"] if rows else 0}


def _mlflow(run: RunFolder, known: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    return {"run_name": run.path.name, "run_id": known.get("run_id")}


def _wandb(run: RunFolder, known: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Weights & Biases itself leaves out steps that it has."""
    known.setdefault("id", uuid.uuid4().hex[:8])
    return {"save_dir": str(run.path), "name": run.path.name, "id": known["id"], "resume": "allow"}


def _in_the_folder(run: RunFolder, known: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    return {"save_dir": str(run.path)}


# By the class: what its constructor must be told to go on in the same place.
PLACES: dict[str, Callable[[RunFolder, dict[str, Any], Sequence[Row]], dict[str, Any]]] = {
    "TensorBoardLogger": _tensorboard,
    "MLFlowLogger": _mlflow,
    "WandbLogger": _wandb,
}


class Logbook:
    """At most one of Lightning's loggers; without one every method does nothing."""

    def __init__(self, config: DictConfig, run: RunFolder) -> None:
        """Of the run; nothing is written before it is opened."""
        self.run, self.config = run, config
        self.logger: Any = None
        self._known: dict[str, Any] = run.read_json(KNOWN) if (run.path / KNOWN).exists() else {}
        self._steps: set[int] = set()  # that the logger has already

    def open(self, rows: Sequence[Row]) -> None:
        """Begins the logger that the config names, in its place of an earlier part of the run, which left `rows`."""
        if not self.config.logger:
            return
        try:
            self._open(self.config, self.run, rows)
        except (TypeError, ValueError) as error:  # of a key that it hands on, such as to wandb.init
            raise UserError(f"{where(self.config, 'logger')} is refused: {error.__cause__ or error}") from error

    def _open(self, config: DictConfig, run: RunFolder, rows: Sequence[Row]) -> None:
        place = PLACES.get(config.logger._target_.rpartition(".")[2], _in_the_folder)
        is_new = not self._known
        require_inside(run.path, run.checkpoints.name)
        self.logger = build(config.logger, where(config, "logger"), **place(run, self._known, rows))
        if "MLFlow" in config.logger._target_:
            self._known["run_id"] = self.logger.run_id
            self._steps = {m.step for m in self.logger.experiment.get_metric_history(self.logger.run_id, "epoch")}
        run.write_json(KNOWN, {"logger": config.logger._target_, **self._known})
        if is_new:
            self.logger.log_hyperparams(OmegaConf.to_container(config))

    def catch_up(self, rows: Sequence[Row]) -> None:
        """Log the last row, which a crash may have kept from the logger."""
        for row in rows[-1:]:
            self.log(row)

    def log(self, row: Row) -> None:
        """Log a row of metrics.csv at its step."""
        step = int(row["step"])
        if self.logger is None or step in self._steps:
            return
        self.logger.log_metrics({key: float(value) for key, value in row.items() if key != "step"}, step)
        self.logger.save()

    def pause(self) -> None:
        """The run ends before its end."""
        if self.logger is not None:
            self.logger.finalize("KILLED")

    def close(self, results: Mapping[str, Any]) -> None:
        """Log the test results; the run is done."""
        if self.logger is not None:
            numbers = {key: float(v) for key, v in results.items() if key.startswith("test/") and v == v}
            self.logger.log_metrics(numbers, int(self.run.metrics.rows()[-1]["step"]))
            self.logger.finalize("success")
