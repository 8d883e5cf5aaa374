"""Runs `python -m segtrain report FOLDER…`: what the runs in a sweep's folder say together; also while it runs."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.app.report import figures, page, verdict
from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import SCORE
from segtrain.app.report.figures import Drawn
from segtrain.app.report.findings import Findings, compare_runs, featured, score_of
from segtrain.app.report.read_runs import Run
from segtrain.app.report.robustness import robustness_figures
from segtrain.app.report.run_arguments import read_run_arguments, unread_key
from segtrain.app.report.verdict import own_interval, p_value, points
from segtrain.errors import UserError
from segtrain.files import followed, make_own, write_whole
from segtrain.printable import print_text
from segtrain.runs.metrics_csv import write_csv

FALSE = "false positives on empty images"
HEADS = (
    *("arm", "seeds", "Dice, mean ± sd", "difference", "95 % interval", "wins in", "p (Holm)", "p, these images"),
    *("verdict", FALSE, "minutes", "images/s"),
)
COSTS = ("minutes", "images/s")

USAGE = "python -m segtrain report outputs/NAME [outputs/OTHER …] [to=FOLDER] [times=false]"
KEY = re.compile(r"[A-Za-z_][\w.]*=.*")
SWITCH = {"true": True, "false": False}


def report(arguments: Sequence[str]) -> None:
    """Writes report.html, report.md, runs.csv and figures/, and prints the verdict.

    Raises:
        UserError: no folder is named, there is no run in it, or a key that is none of these.
    """
    names, options = read_run_arguments(arguments, USAGE, ("to", "times"))
    folders = [Path(name) for name in names]
    times = SWITCH.get(options.get("times", "true").lower())
    if not folders or times is None:
        got = " ".join(arguments) or "nothing"
        raise UserError(f"report reads the run folders of a sweep; expected: {USAGE}; got: {got}")
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        if KEY.fullmatch(missing[0]):
            raise unread_key(missing[0], USAGE)
        raise UserError(f"there is no folder {', '.join(missing)}; expected the folder of a sweep, outputs/NAME")
    to = Path(options["to"]) if "to" in options else folders[0] if len(folders) == 1 else Path("outputs/report")
    found = write_report(folders, to, times)
    for warning in found.warnings:
        print_text(f"careful: {warning}")
    for sentence in verdict.verdict_sentences(found.choice, found.contrasts, found.arms):
        print_text(sentence)
    for step in verdict.next_steps(found.choice, found.contrasts):
        print_text(f"next: {step}")
    print_text(f"the whole report: {to / 'report.html'} (also report.md, runs.csv, figures/)")


def write_report(folders: Sequence[Path], to: Path, times: bool = True) -> Findings:
    """Writes the report into `to`.

    Args:
        folders: run folders, or folders of run folders.
        to: where report.html, report.md, runs.csv and figures/ go.
        times: whether it says what runs cost: all else is the same whenever and wherever the same runs were made.

    Raises:
        UserError: there is no run, or the disk does not take it.
    """
    found = compare_runs(folders)
    drawn = _drawn(found)
    to = followed(to)
    make_own(to / "figures", to)
    svgs = {one.name: figures.write_drawn(one, to / "figures") for one in drawn}
    rows = [_row(arm, found, times) for arm in found.arms]
    write_csv(to / "runs.csv", [_run_row(arm, run, times) for arm in found.arms for run in arm.runs.values()])
    write_whole(to / "report.md", page.set_markdown(found, rows, drawn))
    write_whole(to / "report.html", page.set_html(found, rows, drawn, svgs))
    return found


def _drawn(found: Findings) -> list[Drawn]:
    if not found.contrasts:
        return [one for one in (figures.draw_learning_curves(found.arms),) if one]
    many = len(found.by_class) > 1
    wanted = [
        figures.draw_dose_response(found.contrasts, "mean of the foreground classes", "dose-response"),
        figures.draw_differences(found.contrasts),
        *(
            figures.draw_dose_response(of, name, f"dose-response-{figures.file_name(name)}")
            for name, of in found.by_class.items()
            if many
        ),
        figures.draw_learning_curves(found.arms),
    ]
    if found.robustness:
        wanted += robustness_figures(found.robustness, found.arms, found.contrasts)
    if (shown := featured(found)) and shown.of_images:
        wanted.append(figures.draw_images(shown))
    return [one for one in wanted if one]


def _row(arm: Arm, found: Findings, times: bool) -> dict[str, str]:
    """Returns one arm's line of the table."""
    scored = arm.table(SCORE)
    spread = f" ± {np.std(scored.of_rows, ddof=1):.4f}" if scored and len(scored.rows) > 1 else ""
    row = dict.fromkeys(HEADS, "")
    row |= {"arm": arm.name, "seeds": str(scored.seeds if scored else 0)}
    row["Dice, mean ± sd"] = f"{scored.mean:.4f}{spread}" if scored else "no run finished"
    contrast = next((c for c in found.contrasts if c.arm.name == arm.name), None)
    if contrast:
        row |= {
            "difference": points(contrast.estimate.mean),
            "95 % interval": own_interval(contrast),
            "wins in": f"{contrast.superiority[0]:.0%}",
            "p (Holm)": p_value(contrast.p_holm),
            "p, these images": p_value(contrast.sign_flip) if contrast.table.draws < 2 else "",
            "verdict": contrast.verdict,
        }
    elif scored:
        row["verdict"] = "baseline" if arm.plain else "no baseline"
    if SCORE in found.empty:
        row[FALSE] = str(found.empty[SCORE].get(arm.name, ""))
    else:
        del row[FALSE]
    if times:
        minutes, speeds = ([f(run) for run in arm.finished.values()] for f in (lambda run: run.minutes, _speed))
        row |= {"minutes": _mean(minutes, 1), "images/s": _mean(speeds, 0)}
    else:
        for cost in COSTS:
            del row[cost]
    return row


def _speed(run: Run) -> float:
    """Returns the training images a second of the run's whole time."""
    steps = run.epochs[-1]["step"] * run.config.get("trainer.accumulate_grad_batches", 1) if run.epochs else math.nan
    return float(steps) * float(run.config["data.batch_size"]) / (60 * run.minutes) if run.minutes else math.nan


def _mean(values: Sequence[float], digits: int) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{np.mean(known):.{digits}f}" if known else ""


def _run_row(arm: Arm, run: Run, times: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm.name, **run.repetition._asdict(), "run": run.path.name, "state": run.state}
    row["dice (mean over images)"] = score_of(run) if run.images else ""
    row |= {key: value for key, value in run.results.items() if isinstance(value, int | float)}
    if times:
        row |= {"minutes": round(run.minutes, 2) if not math.isnan(run.minutes) else ""}
    return row
