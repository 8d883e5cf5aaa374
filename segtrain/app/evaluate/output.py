"""What comes out of an evaluation: results.json, per_image.csv, figures, a gallery, the page, and words."""

import math
from pathlib import Path

import torch
from rich.table import Table

from segtrain.app.evaluate import figures
from segtrain.app.evaluate.findings import Evaluated, pictured
from segtrain.app.evaluate.page import page
from segtrain.app.evaluate.robustness import keep
from segtrain.command_line import command
from segtrain.draw import pictures as plots
from segtrain.files import make_own, write_whole
from segtrain.parts import empty_images
from segtrain.runs.folder import RunFolder
from segtrain.runs.image_table import ROBUSTNESS
from segtrain.runs.metrics_csv import write_csv
from segtrain.screen import Screen

REPEATED = ("seed=", "dataset.split.fold=")  # overrides in which the runs of one arm differ
WIDTH = 120  # letters of a line where standard output is no terminal


def write(found: Evaluated, folder: Path) -> None:
    """Write everything into the folder, results.json last; robustness.csv into the run's, where it is the run's own."""
    make_own(folder)
    write_csv(folder / "per_image.csv", found.rows)
    matrix = torch.stack(list(found.scored.matrices.values())).sum(0).numpy()
    figures.confusion(folder / "confusion.png", matrix, found.classes)
    curve, error = found.details.calibration.curve(), found.details.calibration.error()
    figures.reliability(folder / "reliability.png", curve, error)
    _write_gallery(found, folder / "gallery.png")
    if found.curves:
        write_csv(folder / "shifts.csv", found.curves)
        figures.degradation(folder / "shifts.png", found.curves)
        if found.plainly and (found.loaded[0].run.path / "results.json").exists():  # else the weights may change
            keep(found.under, found.data, found.loaded[0].run.path / ROBUSTNESS, found.wanted.seed)
    write_whole(folder / "evaluate.html", page(found, folder))
    RunFolder(folder).write_json("results.json", found.results)


def _write_gallery(found: Evaluated, path: Path) -> None:
    items = []
    for kind, index in found.gallery():
        name, *rest = pictured(found, index)
        items.append((f"{kind}: {name}", *rest))
    first = found.loaded[0]
    plots.predictions_sheet(path, items, first.palette, found.classes, first.ignore_index)


def next_of(run: Path, found: Evaluated) -> str:
    """Returns what to run after a run was shifted, for the report to compare arms by it; "" where there is one arm.

    The report takes runs that were evaluated under the same shifts: those beside it that were not come first.
    """
    beside = [one for one in map(RunFolder, sorted(run.parent.iterdir())) if (one.path / "results.json").exists()]
    if len({tuple(o for o in one.overrides() if not o.startswith(REPEATED)) for one in beside}) < 2:
        return ""
    if all((one.path / ROBUSTNESS).exists() for one in beside):
        return command("report", str(run.parent))
    wanted = found.wanted
    shifts = [f"shift={','.join(wanted.shift)}", f"shift_strength={','.join(f'{s:g}' for s in wanted.shift_strength)}"]
    beside_it = command("evaluate", f"run={run.parent}/*", "ensemble=false", *shifts)
    return f"{beside_it}   # all runs of the sweep, for its report"


def say(found: Evaluated, folder: Path, seconds: float) -> None:
    """The scores a class with their intervals, and where everything is."""
    console = Screen(soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDTH
    part, results = found.data.part, found.results
    names = ", ".join(one.run.path.name for one in found.loaded)
    console.print(f"{names}: {part}, {results[f'{part}/images']} images")
    for warning in found.warnings:
        console.print(f"careful: {warning}")
    table = Table()
    surfaces = ("hd95", "surface_dice") if found.details.surfaces else ()
    told = empty_images.are_there(results, part, found.classes)
    headings = ("dice", "95 % interval", "iou", "precision", "recall", *surfaces, *([empty_images.HEADING] * told))
    for heading in ("class", *headings):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name in (*found.classes, ""):
        key = f"/{name}" if name else ""
        low, high = found.intervals.get(f"dice{key}", (math.nan, math.nan))
        shown = [f"{results[f'{part}/{kind}{key}']:.4f}" for kind in ("dice", "iou", "precision", "recall")]
        shown.insert(1, f"{low:.4f} to {high:.4f}" if not math.isnan(low) else "–")
        more = [f"{results[f'{part}/{kind}{key}']:.3f}" for kind in surfaces]
        more += [empty_images.cell(results, part, name)] if told else []
        table.add_row(name or "mean of foreground", *shown, *more, end_section=name == found.classes[-1])
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}")
    for row in found.curves:
        where = f"{row['shift']} {row['strength']:g}"
        wrong = f", false positives on {empty_images.of_row(row)} empty images" if row["empty_images"] else ""
        console.print(f"  {where:20s} dice {row['dice']:.4f}, mean over images {row['dice_image_mean']:.4f}{wrong}")
    if found.curves and found.plainly and (following := next_of(found.loaded[0].run.path, found)):
        console.print(f"next: {following}")
    console.print(
        f"took {seconds:.0f} s; all of it is in {folder}/: evaluate.html, results.json, per_image.csv, …", markup=False
    )
