"""Runs `python -m segtrain diff RUN RUN`: how two runs differ in config, environment, data and results; no torch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from segtrain.app.report.run_arguments import read_run_arguments
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.parts.config_changes import completed, differences
from segtrain.runs.epochs import number_of, read_index, written
from segtrain.runs.find_run import find_run
from segtrain.runs.folder import RunFolder
from segtrain.runs.image_table import Scores
from segtrain.runs.metrics_csv import TIMES
from segtrain.runs.run_files import METRICS
from segtrain.screen import Screen

USAGE = "python -m segtrain diff RUN RUN, each a run folder or its name below outputs"
WIDTH = 200  # letters of a line where standard output is no terminal
SIDES = ("train", "val", "test", "unused")


def diff(arguments: Sequence[str]) -> None:
    """Prints a table of what differs; "none" for a part that is the same.

    Raises:
        UserError: not two runs.
    """
    names, options = read_run_arguments(arguments, USAGE, ("outputs",))
    if len(names) != 2:
        raise UserError(f"diff compares two runs; expected: {USAGE}; got {' '.join(names) or 'nothing'}")
    one, other = (find_run(name.rstrip("/"), Path(options.get("outputs", "outputs"))) for name in names)
    console = Screen()
    console.width = console.width if console.is_terminal else WIDTH
    console.print(f"a  {one.path}\nb  {other.path}", soft_wrap=True)
    for title, rows in find_differences(one, other).items():
        table = Table("", "a", "b", title=title, title_justify="left", pad_edge=False)
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        console.print(table if rows else f"{title}: no difference")


def find_differences(one: RunFolder, other: RunFolder) -> dict[str, list[tuple[str, Any, Any]]]:
    """Returns title to (what, in a, in b), of what differs."""
    for run in (one, other):
        run.require_whole()
    found = differences(*(completed(RunConfig(run.config())) for run in (one, other)))
    return {
        "config": [(key, *pair) for key, pair in found.items()],
        "environment": list(_unequal(_flat(one.environment), _flat(other.environment))),
        "data and split": list(_data(one.split, other.split)),
        "results": list(_results(one, other)),
    }


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield key, a.get(key), b.get(key)


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _data(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    if a["fingerprint"] != b["fingerprint"]:
        yield "fingerprint", a["fingerprint"], b["fingerprint"]
    for side in SIDES:
        only_a, only_b = _only(a, b, side), _only(b, a, side)
        if only_a or only_b:
            here, there = len(a.get(side, ())), len(b.get(side, ()))
            yield side, f"{here}, {len(only_a)} of them only here", f"{there}, {len(only_b)} only here"


def _only(a: Mapping[str, Any], b: Mapping[str, Any], side: str) -> list[str]:
    """Returns the samples of a side that the other lacks; a split.json may be older than a side."""
    return sorted({*a.get(side, ())} - {*b.get(side, ())})


def _results(one: RunFolder, other: RunFolder) -> Iterator[tuple[str, Any, Any]]:
    results = [run.results if run.has_results else {} for run in (one, other)]
    yield from _unequal(*map(_numbered, results))
    rows, others = one.metrics.rows(), other.metrics.rows()
    same = next((number_of(int(x["epoch"])) for x, y in zip(rows, others, strict=False) if not _equal(x, y)), None)
    if same is not None or len(rows) != len(others):
        first = "the same as far as both go" if same is None else f"first differs in epoch {same}"
        yield METRICS, counted(len(rows), "epoch"), f"{counted(len(others), 'epoch')}, {first}"
    tables = [run.read_images(of) for run, of in zip((one, other), results, strict=True)]
    if worst := _furthest_image(*tables):
        yield worst


def _numbered(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns results with the best epoch counted from 1, of earlier versions too."""
    best = read_index(results, "best_epoch")
    rest = {key: value for key, value in results.items() if key != "best_epoch"}
    return rest if best is None else rest | written("best_epoch", best)


def _equal(x: Mapping[str, float], y: Mapping[str, float]) -> bool:
    x, y = ({key: value for key, value in row.items() if key not in TIMES} for row in (x, y))
    return x.keys() == y.keys() and all(a == y[key] or (math.isnan(a) and math.isnan(y[key])) for key, a in x.items())


def _furthest_image(a: Mapping[str, Scores], b: Mapping[str, Scores]) -> tuple[str, str, str] | None:
    """Returns the test image whose mean Dice differs most, where both runs tested it."""
    tables = [{name: _counted(row) for name, row in table.items()} for table in (a, b)]
    gaps = {name: abs(dice - tables[1][name]) for name, dice in tables[0].items() if name in tables[1]}
    gaps = {name: gap for name, gap in gaps.items() if gap > 0}
    if not gaps:
        return None
    name = max(gaps, key=lambda each: gaps[each])
    return f"dice of {name} (differs most of {len(gaps)})", f"{tables[0][name]:.4f}", f"{tables[1][name]:.4f}"


def _counted(row: Mapping[str, float]) -> float:
    """Returns the image's mean Dice; 1 where it is rightly empty, so that a false positive there is a difference."""
    dice = row.get("dice", math.nan)
    return 1.0 if math.isnan(dice) and row.get("pixels") else dice


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
