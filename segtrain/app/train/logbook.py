"""Feeds the logger beside metrics.csv from its rows: it goes on after a restart without gaps, doubles or a new run."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.config.trust import is_trusted
from segtrain.errors import UserError
from segtrain.folders import require_inside
from segtrain.runs.folder import RunFolder

Row = Mapping[str, float | int]


def _tensorboard(run: RunFolder, known: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Returns its arguments: it drops events from that step on when it reads, and the last row is written again."""
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


# MLflow's keys that name a folder, a database or a server, and what of them is no network but http.
ADDRESSES = ("tracking_uri", "artifact_location", "save_dir")
ADDRESS = re.compile(
    r"(?:(https?):(//.*)|(sqlite:///|file://(?=/)|file:(?!//))?(?!databricks|uc$)([^:?%#]*))", re.DOTALL
)


def require_places(config: RunConfig, run: RunFolder) -> None:
    """Raises UserError unless what the logger writes in is a server, near the user, or of the run.

    A config may come from anyone: a database or a folder of its own choice lies below the current folder, or, as
    conf/logger/mlflow.yaml has it, is a database in the folder of all runs. Links in the run's folder lead nowhere.
    """
    node: Mapping[str, Any] = config.logger or {}
    if is_trusted(node.get("_target_")):
        return
    for key in ADDRESSES:
        value = node.get(key)
        if value is not None and not _is_near(str(value), run):
            raise UserError(
                f"{config.logger.where}: {key} is {value!r}; expected http(s)://…, or sqlite:///FILE, file:FOLDER "
                f"or a path below the current folder, or sqlite:///{run.path.parent.parent}/NAME.db, in the folder of "
                "all runs; a config may come from anyone, so nothing is written elsewhere; if you mean it, say so: "
                "trust=[lightning]"
            )
    inside = [str(node[key]) for key in ("name", "version", "sub_dir") if node.get(key)]
    for place in (run.path.joinpath(*inside), run.path / "wandb"):
        if not place.resolve().is_relative_to(run.path.resolve()):
            raise UserError(
                f"'{place}' leads out of the run's folder, to {place.resolve()}; expected a folder in it, for the "
                "logger to write in; take the link away"
            )


def _is_near(address: str, run: RunFolder) -> bool:
    found = ADDRESS.fullmatch(address)
    if found is None or found[1]:
        return found is not None
    path = Path(found[4]).resolve()
    is_beside = path.parent == run.path.parent.parent.resolve() and path.suffix == ".db"
    return path.is_relative_to(Path.cwd().resolve()) or (is_beside and found[3] == "sqlite:///")


class Logbook:
    """Holds at most one of Lightning's loggers; without one every method does nothing."""

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        """Holds the run's logger, which writes nothing before it is opened.

        Raises:
            UserError: a database or folder that the run's config has no business in.
        """
        require_places(config, run)
        self.run, self.config = run, config
        self.logger: Any = None
        self._known: dict[str, Any] = run.logger
        self._steps: set[int] = set()  # that the logger has already

    def open(self, rows: Sequence[Row]) -> None:
        """Begins the logger that the config names, in its place of an earlier part of the run, which left `rows`."""
        if not self.config.logger:
            return
        try:
            self._open(self.config, self.run, rows)
        except (TypeError, ValueError) as error:  # of a key that it hands on, such as to wandb.init
            raise UserError(f"{self.config.logger.where} is refused: {error.__cause__ or error}") from error

    def _open(self, config: RunConfig, run: RunFolder, rows: Sequence[Row]) -> None:
        place = PLACES.get(config.logger._target_.rpartition(".")[2], _in_the_folder)
        is_new = not self._known
        require_inside(run.path, run.checkpoints.name)
        self.logger = build(config.logger, **place(run, self._known, rows))
        if "MLFlow" in config.logger._target_:
            self._known["run_id"] = self.logger.run_id
            self._steps = {m.step for m in self.logger.experiment.get_metric_history(self.logger.run_id, "epoch")}
        run.write_logger({"logger": config.logger._target_, **self._known})
        if is_new:
            self.logger.log_hyperparams(config.plain)

    def catch_up(self, rows: Sequence[Row]) -> None:
        """Logs the last row, which a crash may have kept from the logger."""
        for row in rows[-1:]:
            self.log(row)

    def log(self, row: Row) -> None:
        """Logs a row of metrics.csv at its step."""
        step = int(row["step"])
        if self.logger is None or step in self._steps:
            return
        self.logger.log_metrics({key: float(value) for key, value in row.items() if key != "step"}, step)
        self.logger.save()

    def pause(self) -> None:
        """Tells the logger that the run ends before its end."""
        if self.logger is not None:
            self.logger.finalize("KILLED")

    def close(self, results: Mapping[str, Any]) -> None:
        """Logs the test results; the run is done."""
        if self.logger is not None:
            numbers = {key: float(v) for key, v in results.items() if key.startswith("test/") and v == v}
            self.logger.log_metrics(numbers, int(self.run.metrics.rows()[-1]["step"]))
            self.logger.finalize("success")
