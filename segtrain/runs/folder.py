"""The run folder: what it holds, its status, and its readable name."""

import hashlib
import json
import math
import os
import re
import socket
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from segtrain import plain_json, plain_yaml
from segtrain.errors import UserError, damaged
from segtrain.files import clear_parts, explained, in_utf8, make_own, text_of, write_whole
from segtrain.runs import contents
from segtrain.runs.epochs import FROM_1, read, written
from segtrain.runs.interpolations import require_own
from segtrain.runs.metrics_csv import MetricsTable

State = Literal["queued", "running", "finished", "failed", "interrupted"]

# Overrides that do not change the result, or that the path says already.
UNNAMED = re.compile(
    r"(name|outputs|debug|resume|sweep|trust|checkpoint\..*|data\.(num_workers|cache)|logger.*|hydra([./].*)?)(@.*)?"
)
PARTS = ("choices", "dataset", "aug", "data", "model", "loss", "optimizer", "scheduler", "trainer")  # of a config
BEST, WEIGHTS = "best.ckpt", "best.safetensors"  # in checkpoints/
FINISHED = ("split.json", "env.json", "metrics.csv", "per_image.csv", "results.json")  # what every version has written
LONGEST = 120  # characters of a folder name: leaves room for the path before it on every file system
LONGEST_BYTES = 200  # file systems allow 255 bytes a name; a temporary file adds to it


class RunFolder:
    """One run's folder. Every file in it is written whole; metrics.csv grows by whole lines."""

    def __init__(self, path: str | Path) -> None:
        """Over a folder that need not exist yet."""
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Whether a run was created here."""
        return os.path.lexists(self.path / "status.json")  # a link that leads nowhere is told when it is read

    @property
    def checkpoints(self) -> Path:
        """The folder of best.ckpt, last.ckpt and previous.ckpt."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> MetricsTable:
        """The table in metrics.csv."""
        return MetricsTable(self.path / "metrics.csv")

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
        write_whole(self.path / "config.yaml", config)
        write_whole(self.path / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
        self.set_status("queued")  # last: a folder with a status is a complete one

    def change(self, config: str, differences: Mapping[str, Any], epoch: int, batch: int) -> None:
        """Replaces config.yaml, and adds key -> [there, now] with the time to changes.yaml; old results are kept.

        `epoch` and `batch`, from 0, are the first that are trained with the new config.
        results.json of a run that goes on is renamed to results-before-N.json: its presence means finished.
        """
        since = written("epoch", epoch) | written("batch", batch)
        entry = {"at": _now(), **since, "changed": dict(differences)}
        path = self.path / "changes.yaml"
        before = self._text(path.name) if path.exists() else ""
        write_whole(path, before + OmegaConf.to_yaml(OmegaConf.create([entry])))
        write_whole(self.path / "config.yaml", config)
        results = self.path / "results.json"
        if results.exists():
            number = len(list(self.path.glob("results-before-*.json"))) + 1
            with explained(results):
                results.rename(self.path / f"results-before-{number}.json")

    def changes(self) -> list[dict[str, Any]]:
        """Returns the entries of changes.yaml in their order, `epoch` and `batch` from 0.

        Those of versions that did not write them lack the two.
        """
        if not os.path.lexists(self.path / "changes.yaml"):
            return []
        entries = self._yaml("changes.yaml")
        if not isinstance(entries, list) or not all(map(_is_change, entries)):
            raise damaged(self.path / "changes.yaml", _kind(entries), "a list of what was changed, and when")
        for entry in entries:
            require_own(entry, self.path / "changes.yaml")
            known = {name: read(entry, name) for name in ("epoch", "batch")}
            entry |= {name: index for name, index in known.items() if index is not None}
        return entries

    def plain_config(self) -> dict[str, Any]:
        """The run's own config.yaml, read as data: plain values, amounts that scale with the strength as they stand.

        Raises:
            UserError: not a run folder, no YAML, not a config, or one that reads more than itself.
        """
        config = self._yaml("config.yaml")
        if not isinstance(config, dict):
            raise damaged(self.path / "config.yaml", _kind(config), "plain YAML, a mapping of the run's keys")
        for part in PARTS:
            if not isinstance(config.get(part, {}), dict):
                raise damaged(self.path / "config.yaml", f"{_kind(config.get(part))} under '{part}'", "a mapping there")
        require_own(config, self.path / "config.yaml")
        return config

    def config(self) -> DictConfig:
        """The same as OmegaConf holds it.

        Raises:
            UserError: as of `plain_config`.
        """
        plain = self.plain_config()
        if missing := [part for part in PARTS if part not in plain]:
            raise damaged(self.path / "config.yaml", f"nothing under '{missing[0]}'", "the whole config of a run")
        try:
            return DictConfig(plain)
        except Exception as error:  # of OmegaConf's own grammar
            raise damaged(self.path / "config.yaml", " ".join(str(error).split()), "plain YAML") from error

    def overrides(self) -> list[str]:
        """What was typed, from overrides.yaml.

        Raises:
            UserError: not a run folder, or no such list.
        """
        typed = self._yaml("overrides.yaml")
        if not contents.are_texts(typed):
            raise damaged(self.path / "overrides.yaml", _kind(typed), "a list of what was typed")
        return list(typed)

    @property
    def status(self) -> dict[str, Any]:
        """Keys state, queued_at, started_at, ended_at (ISO times with zone, or None), pid, host, error.

        Raises:
            UserError: not a run folder, or its status.json is damaged.
        """
        return self.read_json("status.json")

    def require_whole(self) -> None:
        """Nothing, unless the run is finished and a file is missing that a finished run of any version has.

        Raises:
            UserError: one is missing, or a link that leads nowhere; or status.json is damaged.
        """
        if self.status["state"] != "finished":
            return
        for name in FINISHED:
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
        self.write_json("status.json", {**old, "state": state, **new, **info})

    def write_json(self, name: str, mapping: Mapping[str, Any]) -> None:
        """Writes a JSON file with the keys in the given order; NaN and infinity become null."""
        text = json.dumps(_finite(mapping), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.path / name, text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """The mapping in a JSON file; null (a NaN when it was written) comes back as None.

        Raises:
            UserError: the file is missing or damaged.
        """
        mapping = plain_json.read(self._text(name), self.path / name)
        if not isinstance(mapping, dict):
            raise damaged(self.path / name, _kind(mapping), "a JSON object")
        found, problem = contents.checked(name, mapping)
        if problem:
            raise damaged(self.path / name, problem, "what a run writes there")
        return found

    def _yaml(self, name: str) -> Any:
        return plain_yaml.read(self._text(name), self.path / name)

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
        elif any(self.checkpoints.glob("*.ckpt")):
            way_out = f"go on with it by resume='{self.path}', or choose another name=…, or delete the folder"
        else:
            return
        raise UserError(
            f"a run is here already: '{self.path}'; expected no run there; got one {state}, begun {since}; {way_out}"
        )


def _is_change(entry: Any) -> bool:
    """Returns whether an entry of changes.yaml is one: keys, each with what was there and what is now."""
    changed = entry.get("changed") if isinstance(entry, dict) else None
    if not isinstance(changed, dict) or not all(isinstance(key, str) for key in changed):
        return False
    numbers = [entry.get(f"{name}{end}", 0) for name in ("epoch", "batch") for end in ("", FROM_1)]
    pairs = changed.values()
    return all(map(contents.is_whole, numbers)) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    """The same tree with every float that JSON cannot hold replaced by None, and texts in UTF-8."""
    if isinstance(value, str):
        return in_utf8(value)
    if isinstance(value, Mapping):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def folder_name(overrides: Sequence[str]) -> str:
    """The run folder's readable name: what was typed, in typed order, joined by commas.

    Leaves out what does not change the result or is said elsewhere. Spaces and quotes are dropped,
    characters that some file system refuses become '-'; a long name is cut and ends in a hash of all
    of it; no overrides give 'default'. One path component: no leading dot, at most 120 characters
    and 200 bytes.
    """
    typed = [text.strip().lstrip("+") for text in overrides]
    named = [text for text in typed if not UNNAMED.fullmatch(text.lstrip("~").partition("=")[0].strip())]
    if not named:
        return "default"
    plain = unicodedata.normalize("NFC", re.sub(r"[\s'\"]", "", ",".join(named)))
    name = re.sub(r"[^\w=.,+%@-]", "-", plain).strip(".")
    if name and len(name) <= LONGEST and len(name.encode()) <= LONGEST_BYTES:
        return name
    mark = hashlib.sha256("\n".join(named).encode(errors="surrogatepass")).hexdigest()[:8]
    cut = name[: LONGEST - 9].encode()[: LONGEST_BYTES - 9].decode(errors="ignore")
    return f"{cut}-{mark}" if cut else mark
