"""Owns a run's folder: every file in it is found, read, checked and written here."""

import json
import math
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from segtrain import plain_files
from segtrain.errors import UserError, damaged
from segtrain.files import bytes_of, clear_parts, explained, in_utf8, make_own, text_of, write_whole
from segtrain.runs import contents, run_files
from segtrain.runs.config_yaml import kind_of, read_changes, read_plain_config, whole_config
from segtrain.runs.epochs import written
from segtrain.runs.image_table import read_images
from segtrain.runs.metrics_csv import MetricsTable, Number, write_csv

State = Literal["queued", "running", "finished", "failed", "interrupted"]


class RunFolder:
    """Holds one run's folder, or an evaluation's. Files are written whole; metrics.csv grows by whole lines.

    What reads a file raises a UserError where it is missing or damaged; what writes one, where the disk refuses it.
    """

    def __init__(self, path: str | Path) -> None:
        """Takes a folder that need not exist yet."""
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Returns whether a run was created here."""
        return self.has(run_files.STATUS)

    @property
    def has_results(self) -> bool:
        """Returns whether its scores are there: the run is whole, if it does not go on."""
        return self.has(run_files.RESULTS)

    @property
    def has_checkpoint(self) -> bool:
        """Returns whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("*.ckpt"))

    def has(self, name: str) -> bool:
        """Returns whether a file of `run_files` is there, or a link in its place: one to nowhere is told when read."""
        return os.path.lexists(self.path / name)

    @property
    def checkpoints(self) -> Path:
        """Returns the folder of the weights and checkpoints."""
        return self.path / run_files.CHECKPOINTS

    @property
    def best_weights(self) -> Path | None:
        """Returns the file of its best weights, of a run under way the checkpoint; None before the first epoch ends."""
        return best_weights_in(self.checkpoints)

    @property
    def best_checkpoint(self) -> Path:
        """Returns the file of the best checkpoint so far."""
        return self.checkpoints / run_files.BEST

    @property
    def last_checkpoint(self) -> Path:
        """Returns the file of the checkpoint that a training goes on from."""
        return self.checkpoints / run_files.LAST

    @property
    def log(self) -> Path:
        """Returns the file that keeps what the run said."""
        return self.path / run_files.LOG

    def create(self, config: str, overrides: Sequence[str]) -> None:
        """Makes the folder with config.yaml (the YAML text as given), overrides.yaml and status queued.

        A run that never reached a checkpoint is started over: its metrics.csv is removed. Whether another process is
        in the folder is the lock's to say (`segtrain.runs.lock`).

        Raises:
            UserError: the folder holds a run that is finished, or one that can go on from a checkpoint; or the disk
                does not take it.
        """
        if self.exists:
            self._refuse_to_replace()
        make_own(self.checkpoints, self.path)
        with explained(self.path):
            self.metrics.path.unlink(missing_ok=True)
        write_whole(self.path / run_files.CONFIG, config)
        write_whole(self.path / run_files.OVERRIDES, OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
        self.set_status("queued")  # last: a folder with a status is a complete one

    def change(self, config: str, differences: Mapping[str, Any], epoch: int, batch: int) -> None:
        """Replaces config.yaml, and adds key -> [there, now] with the time to changes.yaml; old results are kept.

        `epoch` and `batch`, from 0, are the first that are trained with the new config.
        results.json of a run that goes on is renamed to results-before-N.json: its presence means finished.
        """
        since = written("epoch", epoch) | written("batch", batch)
        entry = {"at": _now(), **since, "changed": dict(differences)}
        path = self.path / run_files.CHANGES
        before = self._text(path.name) if path.exists() else ""
        write_whole(path, before + OmegaConf.to_yaml(OmegaConf.create([entry])))
        write_whole(self.path / run_files.CONFIG, config)
        results = self.path / run_files.RESULTS
        if results.exists():
            number = len(list(self.path.glob(run_files.OLD_RESULTS.format("*")))) + 1
            with explained(results):
                results.rename(self.path / run_files.OLD_RESULTS.format(number))

    def copy_for_more(self, path: Path, overrides: Sequence[str]) -> None:
        """Writes a copy that looks interrupted at its end, so that a longer training goes on from it.

        Args:
            path: the folder of the copy, in which no run is yet.
            overrides: what is typed for the longer training.
        """
        copy = RunFolder(path)
        make_own(copy.checkpoints, copy.path)
        kept = [self.path / name for name in run_files.GONE_ON_WITH if self.has(name)]
        for file in [*kept, *sorted(self.checkpoints.iterdir())]:
            if not file.name.endswith(".part"):
                write_whole(copy.path / file.relative_to(self.path), bytes_of(file))
        write_whole(copy.path / run_files.OVERRIDES, OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
        ended = {key: None for key in ("error", "ended_at")}
        copy.write_json(run_files.STATUS, {**self.status, **ended, "state": "interrupted"})  # last

    def copy_for_use(self, path: Path) -> None:
        """Writes a copy that can be used and read about, and not gone on with: with the best weights alone.

        Raises:
            UserError: it has not finished, lacks a file, or the disk does not take the copy.
        """
        self.require_whole()
        weights = self.best_weights
        if weights is None or not self.has_results:
            raise damaged(self.checkpoints, "no best weights", "them, as of every run that has finished")
        copy = RunFolder(path)
        make_own(copy.checkpoints, copy.path)
        beside = [file for file in sorted(self.checkpoints.iterdir()) if file.name.startswith(weights.name)]
        for file in [*beside, *(self.path / name for name in run_files.USED_WITH if self.has(name))]:
            write_whole(copy.path / file.relative_to(self.path), bytes_of(file))

    def has_same_weights(self, path: Path) -> bool:
        """Returns whether a copy has the bytes of this run's best weights."""
        ours, theirs = self.best_weights, RunFolder(path).best_weights
        if ours is None or theirs is None or ours.name != theirs.name:
            return False
        return ours.stat().st_size == theirs.stat().st_size and bytes_of(ours) == bytes_of(theirs)

    def changes(self) -> list[dict[str, Any]]:
        """Returns the entries of changes.yaml in their order, `epoch` and `batch` from 0.

        Those of versions that did not write them lack the two.
        """
        if not self.has(run_files.CHANGES):
            return []
        return read_changes(self._text(run_files.CHANGES), self.path / run_files.CHANGES)

    def plain_config(self) -> dict[str, Any]:
        """Returns the run's own config.yaml, read as data: plain values, what scales with the strength as it stands.

        Raises:
            UserError: not a run folder, no YAML, not a config, or one that reads more than itself.
        """
        return read_plain_config(self._text(run_files.CONFIG), self.path / run_files.CONFIG)

    def config(self) -> DictConfig:
        """Returns the same as OmegaConf holds it.

        Raises:
            UserError: as of `plain_config`, or a part of a run's config is missing.
        """
        return whole_config(self.plain_config(), self.path / run_files.CONFIG)

    def overrides(self) -> list[str]:
        """Returns what was typed, from overrides.yaml.

        Raises:
            UserError: not a run folder, or no such list.
        """
        typed = plain_files.read_yaml(self._text(run_files.OVERRIDES), self.path / run_files.OVERRIDES)
        if not contents.are_texts(typed):
            raise damaged(self.path / run_files.OVERRIDES, kind_of(typed), "a list of what was typed")
        return list(typed)

    @property
    def status(self) -> dict[str, Any]:
        """Returns the keys state, queued_at, started_at, ended_at (ISO times with zone, or None), pid, host, error.

        Raises:
            UserError: not a run folder, or its status.json is damaged.
        """
        return self.read_json(run_files.STATUS)

    def require_whole(self) -> None:
        """Raises UserError where the run is finished and lacks a file that a finished run of any version has.

        A link that leads nowhere is none; a damaged status.json is told too.
        """
        if self.status["state"] != "finished":
            return
        for name in run_files.FINISHED:
            if not (self.path / name).exists():
                raise damaged(self.path / name, "no such file", "it, as of every run that has finished")

    def set_status(self, state: State, **info: Any) -> None:
        """Records the state and the time it began; `info` (error="…") is added to what is known.

        running also records this process and host, and removes temporary files of a killed process.
        """
        now = _now()
        blank = dict.fromkeys(("state", "queued_at", "started_at", "ended_at", "pid", "host", "error"))
        old = self.status if self.exists and state != "queued" else blank
        if state == "queued":
            new: dict[str, Any] = {"queued_at": now}
        elif state == "running":
            clear_parts(self.path)
            clear_parts(self.checkpoints)
            here = {"pid": os.getpid(), "host": socket.gethostname()}
            new = {"started_at": now, "ended_at": None, "error": None, **here}
        else:
            new = {"ended_at": now}
        self.write_json(run_files.STATUS, {**old, "state": state, **new, **info})

    @property
    def results(self) -> dict[str, Any]:
        """Returns the scores and counts of results.json."""
        return self.read_json(run_files.RESULTS)

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Writes results.json, last of all: its presence means that the rest is there."""
        self.write_json(run_files.RESULTS, results)

    @property
    def split(self) -> dict[str, Any]:
        """Returns split.json: which sample went where, the data's fingerprint, and what else is known of them."""
        return self.read_json(run_files.SPLIT)

    def write_split(self, split: Mapping[str, Any]) -> None:
        """Writes split.json."""
        self.write_json(run_files.SPLIT, split)

    @property
    def environment(self) -> dict[str, Any]:
        """Returns env.json: what the results depend on besides the config."""
        return self.read_json(run_files.ENVIRONMENT)

    def write_environment(self, known: Mapping[str, Any]) -> None:
        """Writes env.json."""
        self.write_json(run_files.ENVIRONMENT, known)

    @property
    def initial_weights(self) -> dict[str, Any]:
        """Returns init.json: the file that the weights began with, and what of it was taken."""
        return self.read_json(run_files.INITIAL_WEIGHTS)

    def write_initial_weights(self, known: Mapping[str, Any] | None) -> None:
        """Writes init.json; of a run that begins with random weights it takes away what an earlier beginning left."""
        if known is None:
            (self.path / run_files.INITIAL_WEIGHTS).unlink(missing_ok=True)
        else:
            self.write_json(run_files.INITIAL_WEIGHTS, known)

    @property
    def logger(self) -> dict[str, Any]:
        """Returns logger.json: where the logger beside metrics.csv goes on; empty before it was opened."""
        there = (self.path / run_files.LOGGER).exists()
        return self.read_json(run_files.LOGGER) if there else {}

    def write_logger(self, known: Mapping[str, Any]) -> None:
        """Writes logger.json."""
        self.write_json(run_files.LOGGER, known)

    def write_nonfinite(self, found: Mapping[str, Any]) -> Path:
        """Writes which samples made the loss no number; returns the file."""
        self.write_json(run_files.NONFINITE, found)
        return self.path / run_files.NONFINITE

    @property
    def metrics(self) -> MetricsTable:
        """Returns the table in metrics.csv."""
        return MetricsTable(self.path / run_files.METRICS)

    def read_images(
        self, results: Mapping[str, Any], test: Sequence[str] = (), whole: bool = False
    ) -> dict[str, dict[str, float]]:
        """Returns test image to its scores, of per_image.csv, as `image_table.read_images` does."""
        return read_images(self.path / run_files.PER_IMAGE, results, test, whole)

    def write_images(self, rows: Sequence[Mapping[str, Number | str]]) -> None:
        """Writes per_image.csv."""
        write_csv(self.path / run_files.PER_IMAGE, rows)

    @property
    def robustness(self) -> Path:
        """Returns robustness.csv, for `image_table.read_shifted`; it is there where `evaluate` shifted the run."""
        return self.path / run_files.ROBUSTNESS

    @property
    def augmented(self) -> Path:
        """Returns the picture of what the network saw."""
        return self.path / run_files.AUGMENTED

    @property
    def predictions(self) -> Path:
        """Returns the picture of what the network predicted."""
        return self.path / run_files.PREDICTIONS

    @property
    def curves(self) -> Path:
        """Returns the picture of metrics.csv."""
        return self.path / run_files.CURVES

    @property
    def thumbnails(self) -> Path:
        """Returns the small pictures of predictions that a report takes up."""
        return self.path / run_files.THUMBNAILS

    def write_json(self, name: str, mapping: Mapping[str, Any]) -> None:
        """Writes a JSON file of `run_files` with the keys in the given order; NaN and infinity become null."""
        text = json.dumps(_finite(mapping), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.path / name, text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Returns the mapping in a JSON file of `run_files`; null (a NaN when it was written) comes back as None.

        Raises:
            UserError: the file is missing or damaged.
        """
        mapping = plain_files.read_json(self._text(name), self.path / name)
        if not isinstance(mapping, dict):
            raise damaged(self.path / name, kind_of(mapping), "a JSON object")
        found, problem = contents.check_content(name, mapping)
        if problem:
            raise damaged(self.path / name, problem, "what a run writes there")
        return found

    def _text(self, name: str) -> str:
        try:
            return text_of(self.path / name)
        except OSError as error:
            raise UserError(
                f"'{self.path}' cannot be read as a run folder; expected {name} in it; "
                f"got: {error.strerror}; give the folder of a run, outputs/NAME/RUN"
            ) from error

    def _refuse_to_replace(self) -> None:
        status = self.status
        state, since = status["state"], status["started_at"] or status["queued_at"]
        if state == "finished":
            way_out = "its results are there; to run again choose another name=…, or delete the folder"
        elif self.has_checkpoint:
            way_out = f"go on with it by resume='{self.path}', or choose another name=…, or delete the folder"
        else:
            return
        raise UserError(
            f"a run is here already: '{self.path}'; expected no run there; got one {state}, begun {since}; {way_out}"
        )


def best_weights_in(checkpoints: Path) -> Path | None:
    """Returns best.safetensors of a folder of checkpoints, else its best.ckpt; None without either."""
    files = (checkpoints / run_files.WEIGHTS, checkpoints / run_files.BEST)
    return next((path for path in files if path.exists()), None)


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    """Returns the same tree with every float that JSON cannot hold replaced by None, and texts in UTF-8."""
    if isinstance(value, str):
        return in_utf8(value)
    if isinstance(value, Mapping):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
