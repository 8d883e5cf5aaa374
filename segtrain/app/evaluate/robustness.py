"""Scores under shifts: a row a policy and strength, and for the sweep's report a row an image as well."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from segtrain.app.evaluate.data import Data
from segtrain.app.evaluate.shifts import Shift, Shifted
from segtrain.config.run_config import Section
from segtrain.model.averages import averages
from segtrain.parts import empty_images
from segtrain.parts.evaluation import Scored, image_rows
from segtrain.runs.image_table import ROBUSTNESS_TEXTS
from segtrain.runs.metrics_csv import read_cells, read_csv, write_csv

UNSHIFTED = ("none", 0.0)
Row = dict[str, Any]


class Under(NamedTuple):
    """The scores under a policy at a strength."""

    shift: str
    strength: float
    scored: Scored


def robustness(
    shifts: Sequence[Shift], unshifted: Scored, data: Data, scored: Callable[..., Scored], wanted: Section
) -> list[Under]:
    """Every shift in turn; strength 0, the unshifted images, begins each policy's."""
    found: list[Under] = []
    for shift in shifts:
        if not found or found[-1].shift != shift.name:
            found.append(Under(shift.name, 0.0, unshifted))
        source = Shifted(data.dataset, shift.policy, wanted.seed)
        under = scored(source, f"{shift.name} {shift.strength:g}")
        found.append(Under(shift.name, float(shift.strength), under))
    return found


def curve(found: Sequence[Under], classes: Sequence[str]) -> list[Row]:
    """Returns the rows of shifts.csv: Dice and IoU of all pixels, their means over images, images that are empty."""
    rows = []
    for under in found:
        matrices = list(under.scored.matrices.values())
        scores = {k: v for k, v in under.scored.scores(classes).items() if k.partition("/")[0] in ("dice", "iou")}
        means = averages(torch.stack(matrices), classes)
        kept = {key: means[key] for key in ("dice_image_mean", "iou_image_mean")}
        row = {"shift": under.shift, "strength": under.strength, "images": len(matrices), **kept, **scores}
        rows.append(row | empty_images.counts(under.scored.matrices, classes))
    return rows


def keep(found: Sequence[Under], data: Data, path: Path, seed: int) -> None:
    """Write the Dice of every image under every shift, and unshifted, to a run's robustness.csv.

    Rows of other policies and strengths that it holds stay, where they are of the same weights, images and draws; those
    of a file that did not yet say how many pixels of the truth each class has leave that blank.
    """
    clean = _of_images(Under(*UNSHIFTED, found[0].scored), data, seed)
    ours = [row for under in found if under.strength > 0 for row in _of_images(under, data, seed)]
    before = list(_read(path))
    known = before[0] if before else {}
    written = [{key: _text(value) for key, value in row.items() if key in known} for row in clean]
    same = [row for row in before if (row["shift"], float(row["strength"])) == UNSHIFTED] == written
    new = {(row["shift"], row["strength"]) for row in [*clean, *ours]}
    stay = [row for row in before if same and (row["shift"], float(row["strength"])) not in new]
    rest = sorted([*stay, *ours], key=lambda row: (row["shift"], float(row["strength"])))
    write_csv(path, [*clean, *rest])


def _of_images(under: Under, data: Data, seed: int) -> list[Row]:
    rows = image_rows(under.scored.matrices, data.dataset.ids, data.dataset.classes)
    kept = [{k: v for k, v in row.items() if k == "id" or k.partition("/")[0] in ("dice", "truth")} for row in rows]
    return [{"shift": under.shift, "strength": under.strength, "seed": seed, **row} for row in kept]


def _text(value: float | int | str) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _read(path: Path) -> Iterable[Row]:
    """The rows as they stand there.

    Raises:
        UserError: the table is damaged.
    """
    read_csv(path, ROBUSTNESS_TEXTS)
    return [{**row} for row in read_cells(path)]
