"""Writes what comes out of an evaluation, results.json, per_image.csv, figures, a gallery and the page, and says it."""

import contextlib
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from segtrain.app.evaluate.findings import Evaluated, pictured
from segtrain.app.evaluate.page import evaluate_page
from segtrain.app.evaluate.shifts import keep_robustness
from segtrain.command_line import command
from segtrain.draw import pictures
from segtrain.draw.sheet import DPI, letters_of, write_figure
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.model.calibration import ReliabilityCurve
from segtrain.parts import evaluation
from segtrain.runs import run_files
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import write_csv
from segtrain.screen import Screen

REPEATED = ("seed=", "dataset.split.fold=")  # overrides in which the runs of one arm differ
LETTERS = 120  # of a line where standard output is no terminal
WIDTH = 5.6  # inches: two stand side by side on a screen, one can be read on a telephone
FONT = 8  # points
LONGEST = 16  # letters in a line of a class's name
# Source: Okabe and Ito, Color Universal Design, without yellow, which a white ground swallows; then markers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vP*X"
PANELS = 3  # side by side
MOST_NUMBERS = 12  # classes up to which the shares are written into the cells


def write_evaluation(found: Evaluated, folder: Path) -> None:
    """Writes everything into the folder, results.json last; robustness.csv into the run's, of its own test images."""
    make_own(folder)
    RunFolder(folder).write_images(found.rows)
    matrix = torch.stack(list(found.scored.matrices.values())).sum(0).numpy()
    draw_confusion(folder / "confusion.png", matrix, found.classes)
    curve, error = found.details.calibration.curve(), found.details.calibration.error()
    draw_reliability(folder / "reliability.png", curve, error)
    _write_gallery(found, folder / "gallery.png")
    if found.curves:
        write_csv(folder / "shifts.csv", found.curves)
        draw_degradation(folder / "shifts.png", found.curves)
        if found.plainly and found.loaded[0].run.has_results:  # else the weights may change
            keep_robustness(found.under, found.data, found.loaded[0].run.robustness, found.wanted.seed)
    write_whole(folder / "evaluate.html", evaluate_page(found, folder))
    RunFolder(folder).write_results(found.results)


def _write_gallery(found: Evaluated, path: Path) -> None:
    items = []
    for kind, index in found.gallery():
        name, *rest = pictured(found, index)
        items.append((f"{kind}: {name}", *rest))
    first = found.loaded[0]
    pictures.predictions_sheet(path, items, first.palette, found.classes, first.ignore_index)


def say_evaluation(found: Evaluated, folder: Path, seconds: float) -> None:
    """Says the scores a class with their intervals, and where everything is."""
    console = Screen(soft_wrap=True)
    if not console.is_terminal:
        console.width = LETTERS
    part, results = found.data.part, found.results
    console.print(f"{found.name}: {part}, {results[f'{part}/images']} images")
    for warning in found.warnings:
        console.print(f"careful: {warning}")
    table = Table()
    surfaces = ("hd95", "surface_dice") if found.details.surfaces else ()
    told = evaluation.are_there(results, part, found.classes)
    headings = ("dice", "95 % interval", "iou", "precision", "recall", *surfaces, *([evaluation.HEADING] * told))
    for heading in ("class", *headings):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name in (*found.classes, ""):
        key = f"/{name}" if name else ""
        low, high = found.intervals.get(f"dice{key}", (math.nan, math.nan))
        shown = [f"{results[f'{part}/{kind}{key}']:.4f}" for kind in ("dice", "iou", "precision", "recall")]
        shown.insert(1, f"{low:.4f} to {high:.4f}" if not math.isnan(low) else "–")
        more = [f"{results[f'{part}/{kind}{key}']:.3f}" for kind in surfaces]
        more += [evaluation.cell(results, part, name)] if told else []
        table.add_row(name or "mean of foreground", *shown, *more, end_section=name == found.classes[-1])
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}")
    for row in found.curves:
        where = f"{row['shift']} {row['strength']:g}"
        wrong = f", false positives on {evaluation.of_row(row)} empty images" if row["empty_images"] else ""
        console.print(f"  {where:20s} dice {row['dice']:.4f}, mean over images {row['dice_image_mean']:.4f}{wrong}")
    if found.curves and found.plainly and (following := next_command(found.loaded[0].run.path, found)):
        console.print(f"next: {following}")
    console.print(
        f"took {seconds:.0f} s; all of it is in {folder}/: evaluate.html, "
        f"{run_files.RESULTS}, {run_files.PER_IMAGE}, …",
        markup=False,
    )


def next_command(run: Path, found: Evaluated) -> str:
    """Returns what to run after a run was shifted, for the report to compare arms by it; "" where there is one arm.

    The report takes runs that were evaluated under the same shifts: those beside it that were not come first.
    """
    arms: dict[Path, tuple[str, ...]] = {}
    for one in map(RunFolder, sorted(run.parent.iterdir())):
        with contextlib.suppress(UserError):  # a damaged run beside it is the report's to tell
            if one.has_results:
                arms[one.robustness] = tuple(o for o in one.overrides() if not o.startswith(REPEATED))
    if len({*arms.values()}) < 2:
        return ""
    if all(robustness.exists() for robustness in arms):
        return command("report", str(run.parent))
    wanted = found.wanted
    shifts = [f"shift={','.join(wanted.shift)}", f"shift_strength={','.join(f'{s:g}' for s in wanted.shift_strength)}"]
    beside_it = command("evaluate", f"run={run.parent}/*", "ensemble=false", *shifts)
    return f"{beside_it}   # all runs of the sweep, for its report"


def draw_confusion(path: Path, matrix: np.ndarray[Any, Any], classes: Sequence[str]) -> None:
    """Writes a PNG: which share of a class's pixels was predicted as which class; rows are the truth."""
    total = matrix.sum(1, keepdims=True)
    shares = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    side = max(WIDTH, 1.6 + 0.4 * len(classes))
    figure = Figure(figsize=(side, 0.85 * side), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [textwrap.fill(letters_of(name), LONGEST) for name in classes]
    axes.set_xticks(range(len(classes)), names, fontsize=FONT, rotation=90 if len(classes) > 5 else 0)
    axes.set_yticks(range(len(classes)), names, fontsize=FONT)
    for (row, column), share in np.ndenumerate(shares):
        if len(classes) <= MOST_NUMBERS:
            shown = f"{share:.3f}" if total[row] else "–"
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, shown, ha="center", va="center", fontsize=FONT, color=colour)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    write_figure(figure, path)


def draw_reliability(path: Path, curve: ReliabilityCurve, error: float) -> None:
    """Writes a PNG: how often pixels are right at each confidence, above how many pixels have it."""
    figure = Figure(figsize=(WIDTH, 4.4), dpi=DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="calibrated")
    known = curve.pixels > 0
    upper.plot(curve.confidence[known], curve.accuracy[known], "o-", color=COLOURS[0], markersize=4, label="network")
    upper.set_ylabel("share of right pixels")
    upper.set_title(f"expected calibration error {error:.4f}", fontsize=10, loc="left")
    upper.legend(fontsize=FONT, frameon=False)
    edges = np.linspace(0, 1, len(curve.pixels) + 1)
    lower.bar(edges[:-1], curve.pixels, width=np.diff(edges), align="edge", color="0.6")
    lower.set_yscale("log")
    lower.set_ylabel("pixels")
    lower.set_xlabel("confidence")
    for axes in (upper, lower):
        _quiet(axes)
        axes.set_xlim(0, 1)
    write_figure(figure, path)


def draw_degradation(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a PNG: Dice over the strength of each shift, the mean over images of all foreground classes."""
    names = list(dict.fromkeys(row["shift"] for row in rows))
    figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        points = [(row["strength"], row["dice_image_mean"]) for row in rows if row["shift"] == name]
        look = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "markersize": 5}
        axes.plot([x for x, _ in points], [y for _, y in points], label=letters_of(name), **look)  # type: ignore[arg-type]
    axes.set_xlabel("strength of the shift (1 as in training)")
    axes.set_ylabel("Dice, mean over images")
    _quiet(axes)
    figure.legend(loc="outside lower center", ncols=PANELS, frameon=False, fontsize=FONT)
    write_figure(figure, path)


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
