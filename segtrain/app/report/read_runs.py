"""Reads runs as the report sees them, and what an image scores: from run folders alone, without torch and the data."""

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from segtrain.counted import counted
from segtrain.errors import UserError, damaged
from segtrain.runs import run_files
from segtrain.runs.contents import is_number, is_text, is_whole
from segtrain.runs.find_folder import is_raced
from segtrain.runs.find_run import find_runs_in
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import UNNAMED

SEED, DEAL, FOLD = "seed", "dataset.split.seed", "dataset.split.fold"
# Keys that may differ between runs of one arm without changing a result.
HARMLESS = (
    *("seed", "name", "outputs", "debug", "resume*", "trust*", "data.num_workers", "data.cache", "logger*"),
    *("choices.logger", "choices.trainer", "choices.sweep", "checkpoint.*", "trainer.accelerator"),
    *("dataset.split.seed", "dataset.split.fold"),
)
LONGEST = 60 * 24 * 366  # minutes of a run; what says more is no duration
BLOCKS = "segtrain.data.split.Blocks"  # a split into slabs of neighbours
# Keys that a report reckons with -> what they must be.
RECKONED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    SEED: ("a whole number", is_whole),
    "choices.aug": ("a text", is_text),
    "aug.strength": ("a number from 0", lambda value: is_number(value) and value >= 0),
    "data.batch_size": ("a number", is_number),
    "trainer.accumulate_grad_batches": ("a number, or nothing", lambda value: value is None or is_number(value)),
    **dict.fromkeys((DEAL, FOLD), ("a whole number, or nothing", lambda value: value is None or is_whole(value))),
    "dataset.split.group": ("a pattern, or nothing", lambda value: value is None or is_expression(value)),
}
TRUTH = "truth/"  # columns of per_image.csv: counted pixels of each class in the truth
PIXELS = "pixels"  # its column of counted pixels
BACKGROUND = "background"
Images = Mapping[str, Mapping[str, float]]  # test image to its scores


class Repetition(NamedTuple):
    """Tells the runs of an arm apart, and pairs them with those of another arm."""

    seed: int  # of training
    deal: int = 0  # the seed of the split; what a split without one is dealt by is always 0
    fold: int = 0

    def __str__(self) -> str:
        """Returns words such as "seed 3" or "seed 3, fold 1"."""
        more = [f", split {self.deal}"] * bool(self.deal) + [f", fold {self.fold}"] * bool(self.fold)
        return f"seed {self.seed}{''.join(more)}"


class Run(NamedTuple):
    """Holds what a report reads of a run folder."""

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
    minutes: float  # of its last start; NaN before the end, or unknown
    error: str
    raced: bool = False  # of a find's race, by which arms were chosen

    @property
    def finished(self) -> bool:
        """Returns whether its scores are there."""
        return self.state == "finished" and bool(self.images)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Returns every run in or below the folders, each once, in the order of their paths.

    Raises:
        UserError: there is none, or a file of one is damaged.
    """
    return [read_run(path) for path in find_runs_in(folders)]


def read_whole_runs(folders: Sequence[Path]) -> tuple[list[Run], dict[Path, str]]:
    """Returns the runs that can be read, and what is wrong with each of the others.

    Raises:
        UserError: there is none, or none that can be read.
    """
    runs, unread = list[Run](), dict[Path, str]()
    for path in find_runs_in(folders):
        try:
            runs.append(read_run(path))
        except UserError as error:
            unread[path] = str(error)
    if not runs:
        more = f" ({counted(len(unread), 'run')}, none of which can be read)" if len(unread) > 1 else ""
        raise UserError(f"{next(iter(unread.values()))}{more}")
    return runs, unread


def read_run(path: Path) -> Run:
    """Returns one run; what it has not written yet is empty.

    Raises:
        UserError: a file of it is damaged.
    """
    run = RunFolder(path)
    run.require_whole()
    status, config = run.status, _config(run)
    typed = [o.lstrip("+") for o in run.overrides()]
    split: dict[str, Any] = run.split if run.has(run_files.SPLIT) else {}
    results: dict[str, Any] = run.results if run.has_results else {}
    return Run(
        path=path,
        state=status["state"],
        repetition=Repetition(*(_whole(config.get(key)) for key in (SEED, DEAL, FOLD))),
        policy=str(config.get("choices.aug", "none")),
        strength=float(config.get("aug.strength", 1.0)),
        typed=tuple(o for o in typed if not UNNAMED.fullmatch(key_of(o)) and key_of(o) not in (SEED, DEAL, FOLD)),
        config=config,
        results=results,
        images=run.read_images(results, split.get("test", ()), _tests_all(config)),
        epochs=[dict(row) for row in run.metrics.rows()],
        versions=run.environment if run.has(run_files.ENVIRONMENT) else {},
        fingerprint=split.get("fingerprint", ""),
        test=tuple(split.get("test", ())),
        groups=split.get("groups", {}),
        minutes=_minutes(status),
        error=status.get("error") or "",
        raced=is_raced(path, _whole(config.get(SEED))),
    )


def _config(run: RunFolder) -> dict[str, Any]:
    """Returns the leaves of a run's config.

    Raises:
        UserError: it cannot be read, or a value that a report reckons with is no such value.
    """
    config = flat(run.plain_config())
    for key, (words, fits) in RECKONED.items():
        if not fits(config.get(key)):
            raise damaged(run.path / run_files.CONFIG, f"{str(config.get(key))[:60]} under '{key}'", f"{words} there")
    return config


def is_harmless(key: str) -> bool:
    """Returns whether runs of one arm may differ in a key."""
    return any(fnmatch.fnmatchcase(name, pattern) for name in (key, f"choices.{key}") for pattern in HARMLESS)


def is_expression(value: Any) -> bool:
    """Returns whether a value is a regular expression."""
    try:
        return is_text(value) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def key_of(override: str) -> str:
    """Returns the key of an override."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested mappings and lists by dotted key."""
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


def groups_of_run(run: Run) -> dict[str, str]:
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


def _tests_all(config: Mapping[str, Any]) -> bool:
    """Returns whether a run tests every image of its test split: nothing says that some batches are enough."""
    limit = config.get("trainer.limit_test_batches")
    return (limit is None or (isinstance(limit, float) and limit == 1)) and not any(
        config.get(f"trainer.{key}") for key in ("fast_dev_run", "overfit_batches")
    )


def _minutes(status: Mapping[str, Any]) -> float:
    """Returns the minutes of the last start; NaN before the end, and where the times are none of a run."""
    if not (status.get("started_at") and status.get("ended_at")):
        return math.nan
    began, ended = (datetime.fromisoformat(status[key]) for key in ("started_at", "ended_at"))
    minutes = (ended - began).total_seconds() / 60
    return minutes if 0 <= minutes <= LONGEST else math.nan


class FalsePositives(NamedTuple):
    """Counts predictions of what is not there."""

    empty: int  # images without it, each counted once a run
    found: int  # those on which it is predicted

    def __str__(self) -> str:
        """Returns words such as "12 of 120 (10 %)"; none where no image is empty."""
        return f"{self.found} of {self.empty} ({self.found / self.empty:.0%})" if self.empty else ""


def score_of_image(row: Mapping[str, float], score: str) -> float:
    """Returns the score of an image, in [0, 1]; 1 where it is rightly empty.

    NaN where no pixel of it counts, or where the run has no such score.
    """
    if score not in row:
        return math.nan
    if not math.isnan(row[score]):
        return row[score]
    return math.nan if _pixels(row) == 0 else 1.0


def _pixels(row: Mapping[str, float]) -> float:
    counts = _truth(row)
    return sum(counts.values()) if counts else row.get(PIXELS, 1.0)


def _truth(row: Mapping[str, float]) -> dict[str, float]:
    """Returns the counted pixels of each class; empty where an older version wrote the row, if only the row."""
    found = {key.removeprefix(TRUTH): count for key, count in row.items() if key.startswith(TRUTH)}
    return {} if any(map(math.isnan, found.values())) else found


def empty_images(runs: Iterable[Run], score: str) -> set[str]:
    """Returns the test images whose truth holds nothing of a score's class, or of any class but the background.

    Runs of older versions do not write what the truth holds: there an image is known to be empty where a run has no
    score of it, and one on which every run predicts something cannot be told from one on which every run misses.
    """
    return {name for run in runs for name, row in run.images.items() if _is_empty(row, score)}


def _is_empty(row: Mapping[str, float], score: str) -> bool:
    if _pixels(row) == 0 or score not in row:
        return False
    of = score.partition("/")[2]
    counts = _truth(row)
    if not counts:
        return math.isnan(row[score])
    return (counts.get(of, math.nan) if of else sum(n for name, n in counts.items() if name != BACKGROUND)) == 0


def count_false_positives(runs: Sequence[Run], score: str, empty: set[str]) -> FalsePositives:
    """Returns on how many of the empty images the runs predict what is not there."""
    scored = [score_of_image(run.images[name], score) for run in runs for name in empty & run.images.keys()]
    known = [one for one in scored if not math.isnan(one)]
    return FalsePositives(len(known), sum(one < 1 for one in known))
