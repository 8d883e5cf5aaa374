"""Computes what a model card says of the scores of a run, and of how little they rest on."""

from typing import Any

import numpy as np

from segtrain.draw.html_page import table
from segtrain.errors import UserError, damaged
from segtrain.model.bootstrap import LEAST
from segtrain.model.intervals import of_means
from segtrain.model.metrics import as_counted
from segtrain.parts import evaluation
from segtrain.parts.network import Loaded
from segtrain.printable import in_markdown
from segtrain.runs import run_files
from segtrain.runs.folder import RunFolder

SCORES = ("dice", "iou", "precision", "recall")
HEADINGS = ("class", "Dice", "IoU", "precision", "recall", "Dice, mean [95 %]", "IoU, mean [95 %]")

Results = dict[str, Any]


def results_of(run: RunFolder) -> Results | None:
    """Returns results.json; None of a run that has not finished."""
    return run.results if run.has_results else None


def score_fields(loaded: Loaded, results: Results) -> dict[str, Any]:
    """Returns the scores of each class over all test pixels, and means over images with intervals, in words.

    Raises:
        UserError: results.json or per_image.csv lacks some.
    """
    asked = [f"test/{score}{end}" for score in SCORES for end in ("", *(f"/{name}" for name in loaded.classes))]
    if lacks := [key for key in (*asked, "test/pixel_accuracy", "val/dice") if key not in results]:
        raise damaged(loaded.run.path / run_files.RESULTS, f"no key '{lacks[0]}'", "the scores of every class")
    means, rows = _means(loaded), []
    for name in (None, *loaded.classes):
        end = f"/{name}" if name else ""
        pooled = [_shown(results[f"test/{score}{end}"]) for score in SCORES]
        rows.append((name or "mean", *pooled, means[f"dice{end}"], means[f"iou{end}"]))
    return {
        "images": results["test/images"],
        "background": " The mean is over the classes but background." if "background" in loaded.classes else "",
        "empty": evaluation.RULE,
        "least": f"{LEAST:g}",
        "table": table(HEADINGS, rows),
        "accuracy": _shown(results["test/pixel_accuracy"]),
        "validated": _shown(results["val/dice"]),
    }


def limit_fields(loaded: Loaded, results: Results) -> list[tuple[str, dict[str, Any]]]:
    """Returns which of the card's sentences hold of the scores, each with what stands in its fields."""
    found: list[tuple[str, dict[str, Any]]] = []
    dice = {name: results[f"test/dice/{name}"] for name in loaded.classes}
    known = {name: value for name, value in dice.items() if value is not None}
    if known:
        worst = min(known, key=lambda name: known[name])
        found.append(("weakest", {"name": in_markdown(worst), "dice": f"{known[worst]:.3f}"}))
    if absent := [name for name in dice if name not in known]:
        found.append(("absent", {"names": in_markdown(", ".join(absent))}))
    groups = _groups(loaded)
    are_alone = len(set(groups.values())) == len(groups)
    return [*found, ("basis", {"images": int(results["test/images"])} | ({} if are_alone else {"independent": ""}))]


def _groups(loaded: Loaded) -> dict[str, str]:
    """Returns the group of each test image; none of runs of versions that wrote only the data's own."""
    return dict(loaded.run.split.get("groups") or {})


def _means(loaded: Loaded) -> dict[str, str]:
    """Returns of each score in per_image.csv the mean over images and its interval, in words.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = loaded.run.path / run_files.PER_IMAGE
    columns = [f"{score}{end}" for score in ("dice", "iou") for end in ("", *(f"/{name}" for name in loaded.classes))]
    groups = _groups(loaded)
    try:
        images = loaded.run.read_images({})
        rows = [*images.values()]
        if lacks := [key for key in (*columns, "pixels") if not rows or key not in rows[0]]:
            raise damaged(path, f"no {lacks[0]}", "a row of scores for each test image, as training wrote it")
    except UserError as error:
        raise UserError(f"{error}; or export without the card: card=false") from error
    values = np.array([[row[key] for key in columns] for row in rows])
    values = as_counted(values, np.array([int(row["pixels"]) for row in rows]))
    found = of_means(values, groups=[groups.get(name, name) for name in images])
    means = [float(column[~np.isnan(column)].mean()) if (~np.isnan(column)).any() else None for column in values.T]
    shown = [
        f"{_shown(m)} [{_shown(i.low)}, {_shown(i.high)}]" if i.low == i.low else _shown(m)
        for m, i in zip(means, found, strict=True)
    ]
    return dict(zip(columns, shown, strict=True))


def _shown(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.3f}"
