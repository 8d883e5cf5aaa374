"""Runs as the report sees them: read from their folders alone, without torch and without the data."""

import csv
import fnmatch
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from segtrain.errors import UserError
from segtrain.files import text_of, text_opened
from segtrain.runs.folder import UNNAMED, RunFolder

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads a config in a tenth of the time
SEED, DEAL, FOLD = "seed", "dataset.split.seed", "dataset.split.fold"
# Keys that may differ between runs of one arm without changing a result.
HARMLESS = (
    *("seed", "name", "outputs", "debug", "resume*", "trust*", "data.num_workers", "data.cache", "logger*"),
    *("choices.logger", "choices.trainer", "choices.sweep", "checkpoint.*", "trainer.accelerator"),
    *("dataset.split.seed", "dataset.split.fold"),
)
BLOCKS = "segtrain.data.split.Blocks"  # a split into slabs of neighbours


class Repetition(NamedTuple):
    """What tells the runs of an arm apart, and pairs them with those of another arm."""

    seed: int  # of training
    deal: int = 0  # the seed of the split; what a split without one is dealt by is always 0
    fold: int = 0

    def __str__(self) -> str:
        """Such as "seed 3" or "seed 3, fold 1"."""
        more = [f", split {self.deal}"] * bool(self.deal) + [f", fold {self.fold}"] * bool(self.fold)
        return f"seed {self.seed}{''.join(more)}"


class Run(NamedTuple):
    """One run folder."""

    path: Path
    state: str
    repetition: Repetition
    policy: str  # choice of the group aug
    strength: float
    typed: tuple[str, ...]  # overrides that tell arms apart: not the seed, not the folder
    config: dict[str, Any]  # dotted key to value
    results: dict[str, Any]  # of results.json; empty before the end
    images: dict[str, dict[str, float]]  # test image to its scores, of per_image.csv
    epochs: list[dict[str, float]]  # of metrics.csv
    versions: dict[str, Any]  # of env.json
    fingerprint: str  # of the data
    test: tuple[str, ...]  # ids of the test split
    groups: dict[str, str]  # of test samples (patients), where the data itself says them
    minutes: float  # of its last start; NaN before the end
    error: str

    @property
    def finished(self) -> bool:
        """Whether its scores are there."""
        return self.state == "finished" and bool(self.images)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run in or below the folders, each once, in the order of their paths.

    Raises:
        UserError: there is none.
    """
    found = sorted({path.parent.resolve() for folder in folders for path in _statuses(folder)})
    if not found:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}; expected run folders (with a status.json) in it or one level "
            "below; give outputs/NAME, the folder of a sweep"
        )
    return [read_run(path) for path in found]


def _statuses(folder: Path) -> Iterable[Path]:
    return [folder / "status.json"] if (folder / "status.json").exists() else folder.glob("*/status.json")


def read_run(path: Path) -> Run:
    """One run; what it has not written yet is empty.

    Raises:
        UserError: a file of it is damaged.
    """
    run = RunFolder(path)
    status, config = run.status, flat(_yaml(path / "config.yaml"))
    typed = [o.lstrip("+") for o in _yaml(path / "overrides.yaml")]
    split = run.read_json("split.json") if (path / "split.json").exists() else {}
    return Run(
        path=path,
        state=status["state"],
        repetition=Repetition(*(_whole(config.get(key)) for key in (SEED, DEAL, FOLD))),
        policy=str(config.get("choices.aug", "none")),
        strength=float(config.get("aug.strength", 1.0)),
        typed=tuple(o for o in typed if not UNNAMED.fullmatch(key_of(o)) and key_of(o) not in (SEED, DEAL, FOLD)),
        config=config,
        results=run.read_json("results.json") if (path / "results.json").exists() else {},
        images=_images(path / "per_image.csv"),
        epochs=[dict(row) for row in run.metrics.rows()],
        versions=run.read_json("env.json") if (path / "env.json").exists() else {},
        fingerprint=split.get("fingerprint", ""),
        test=tuple(split.get("test", ())),
        groups=split.get("groups", {}),
        minutes=_minutes(status),
        error=status.get("error") or "",
    )


def is_harmless(key: str) -> bool:
    """Whether runs of one arm may differ in a key."""
    return any(fnmatch.fnmatchcase(name, pattern) for name in (key, f"choices.{key}") for pattern in HARMLESS)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def key_of(override: str) -> str:
    """The key of an override."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and lists by dotted key."""
    if isinstance(node, Mapping) and node:
        pairs: Iterable[tuple[Any, Any]] = node.items()
    elif isinstance(node, list) and node:
        pairs = enumerate(node)
    else:
        return {prefix: node}
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def groups_of(run: Run) -> dict[str, str]:
    """Returns test image to the group (patient, scan, stack) that it belongs to; itself where it stands alone.

    split.json says it. Runs of older versions say there only what the data itself knows: for those the split's `group`
    expression counts, and a split into slabs of neighbours makes its test slab one group.
    """
    pattern = run.config.get("dataset.split.group")
    if run.groups:
        return {name: run.groups.get(name, name) for name in run.images}
    if not isinstance(pattern, str):
        slab = run.config.get("dataset.split._target_") == BLOCKS
        return {name: "one slab" if slab else name for name in run.images}
    expression = re.compile(pattern)
    groups = {}
    for name in run.images:
        match = expression.search(name)
        groups[name] = (match[1 if expression.groups else 0] if match else None) or name
    return groups


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(text_of(path), LOADER)
    except (OSError, yaml.YAMLError) as error:
        raise UserError(
            f"'{path}' cannot be read; expected plain YAML; got: {' '.join(str(error).split())}; restore the file, or "
            "delete the run folder and run again"
        ) from error


def _images(path: Path) -> dict[str, dict[str, float]]:
    if not path.exists():
        return {}
    with text_opened(path, newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return {row["id"]: {k: float(v) if v else math.nan for k, v in row.items() if k != "id"} for row in rows}
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"'{path}' is damaged: {error}; expected an id and numbers in every line; evaluate the run again, or "
            "delete its folder and run again"
        ) from error


def _minutes(status: Mapping[str, Any]) -> float:
    if not (status.get("started_at") and status.get("ended_at")):
        return math.nan
    began, ended = (datetime.fromisoformat(status[key]) for key in ("started_at", "ended_at"))
    return (ended - began).total_seconds() / 60
