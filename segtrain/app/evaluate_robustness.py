"""Scores under shifts, a row a policy and strength: what the degradation curves and the sweep's report show."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from segtrain.app.evaluate_data import Data
from segtrain.app.evaluate_shifts import Shift, Shifted
from segtrain.app.scoring import Scored
from segtrain.model.averages import averages
from segtrain.runs.metrics_csv import write_csv

ROBUSTNESS = "robustness.csv"  # in a run's folder, where the report finds it
KEY = ("shift", "strength")
Row = dict[str, Any]


def robustness(
    shifts: Sequence[Shift], unshifted: Scored, data: Data, scored: Callable[..., Scored], wanted: DictConfig
) -> list[Row]:
    """A row a shift; strength 0, the unshifted images, begins each policy's."""
    rows: list[Row] = []
    for shift in shifts:
        if not rows or rows[-1]["shift"] != shift.name:
            rows.append(_row(shift.name, 0.0, unshifted, data))
        source = Shifted(data.dataset, shift.policy, wanted.seed)
        found = scored(source, f"{shift.name} {shift.strength:g}")
        rows.append(_row(shift.name, shift.strength, found, data))
    return rows


def keep(rows: Sequence[Row], path: Path, seed: int) -> None:
    """Write the rows to a run's robustness.csv.

    Those of other policies and strengths that it holds stay, where they are of the same weights, images and draws.
    """
    ours = {_key(row): {**row, "seed": seed} for row in rows}
    before, clean = list(_read(path)), repr(rows[0]["dice_image_mean"])
    same = all(row["dice_image_mean"] == clean for row in before if float(row["strength"]) == 0)
    there = {_key(row): row for row in before if same and row["seed"] == str(seed)}
    write_csv(path, [row for _, row in sorted({**there, **ours}.items())])


def _row(name: str, strength: float, found: Scored, data: Data) -> Row:
    classes = data.dataset.classes
    scores = found.scores(classes)
    by_class = {key: value for key, value in scores.items() if key.partition("/")[0] in ("dice", "iou")}
    means = averages(torch.stack(list(found.matrices.values())), classes)
    kept = {key: means[key] for key in ("dice_image_mean", "iou_image_mean")}
    return {"shift": name, "strength": float(strength), "images": len(found.matrices), **kept, **by_class}


def _key(row: Mapping[str, Any]) -> tuple[str, float]:
    return str(row["shift"]), float(row["strength"])


def _read(path: Path) -> Iterable[Row]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
