"""A report on runs: report.html, report.md, runs.csv and figures/, from run folders alone."""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
import yaml

from segtrain.runs.files import write_whole
from segtrain.runs.metrics_csv import write_csv
from segtrain.sweeps import figures, pictures, verdict
from segtrain.sweeps.arms import Arm, Choice, Contrast, arms_of, choice, contrasts
from segtrain.sweeps.figures import POINTS, Drawn
from segtrain.sweeps.reading import Run, read_runs
from segtrain.sweeps.verdict import interval, p_value, points

SCORE = "dice"
PLAN = "sweep.yaml"  # in a sweep's folder: its jobs, by folder
TEMPLATE = Path(__file__).with_name("report.html")
HEADS = (
    *("arm", "seeds", "Dice, mean ± sd", "difference", "95 % interval", "wins in", "p (Holm)", "p, these images"),
    *("verdict", "minutes", "images/s"),
)
COSTS = ("minutes", "images/s")


class Findings(NamedTuple):
    """What a report says, before it is set."""

    title: str
    runs: list[Run]
    arms: list[Arm]
    contrasts: list[Contrast]
    by_class: dict[str, list[Contrast]]  # class name to the same in its Dice
    choice: Choice | None
    warnings: list[str]


def find(folders: Sequence[Path]) -> Findings:
    """Read the runs and compare them.

    Raises:
        UserError: there is no run.
    """
    runs = read_runs(folders)
    arms = arms_of(runs)
    compared = contrasts(arms, SCORE)
    scores = {key for run in runs for row in run.images.values() for key in row if key.startswith(f"{SCORE}/")}
    by_class = {key.partition("/")[2]: contrasts(arms, key) for key in sorted(scores)}
    warned = verdict.warnings(runs, arms, compared, _missing(folders, runs))
    title = " and ".join(folder.resolve().name for folder in folders)
    return Findings(title, runs, arms, compared, by_class, choice(arms), warned)


def write_report(folders: Sequence[Path], to: Path, times: bool = True) -> Findings:
    """Write the report into `to`.

    Args:
        folders: run folders, or folders of run folders.
        to: where report.html, report.md, runs.csv and figures/ go.
        times: whether it says what runs cost: all else is the same whenever and wherever the same runs were made.

    Raises:
        UserError: there is no run, or the disk does not take it.
    """
    found = find(folders)
    drawn = _drawn(found)
    (to / "figures").mkdir(parents=True, exist_ok=True)
    svgs = {one.name: figures.write(one, to / "figures") for one in drawn}
    rows = [_row(arm, found, times) for arm in found.arms]
    write_csv(to / "runs.csv", [_run_row(arm, run, times) for arm in found.arms for run in arm.runs.values()])
    write_whole(to / "report.md", _markdown(found, rows, drawn))
    body = _html(found, rows, drawn, svgs)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(title=html.escape(found.title), body=body)
    write_whole(to / "report.html", page)
    return found


def write_plan(folder: Path, jobs: Mapping[str, Sequence[str]]) -> None:
    """Add jobs, run folder's name to overrides, to the plan of a sweep's folder: what is planned and missing is said.

    Raises:
        UserError: the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PLAN
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    planned = {**before, **{name: list(overrides) for name, overrides in jobs.items()}}
    write_whole(path, yaml.safe_dump(planned, sort_keys=False))


def _missing(folders: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """Jobs of the sweeps' plans without a run folder."""
    there = {run.path for run in runs}
    plans = [folder / PLAN for folder in folders if (folder / PLAN).exists()]
    names = [(plan.parent, name) for plan in plans for name in yaml.safe_load(plan.read_text(encoding="utf-8"))]
    return [name for parent, name in names if (parent / name).resolve() not in there]


def _drawn(found: Findings) -> list[Drawn]:
    if not found.contrasts:
        return [one for one in (figures.learning_curves(found.arms),) if one]
    many = len(found.by_class) > 1
    wanted = [
        figures.dose_response(found.contrasts, "mean of the foreground classes", "dose-response"),
        figures.differences(found.contrasts),
        *(figures.dose_response(of, name, f"dose-response-{name}") for name, of in found.by_class.items() if many),
        figures.learning_curves(found.arms),
    ]
    if (shown := featured(found)) and shown.of_images:
        wanted.append(figures.per_image(shown))
    return [one for one in wanted if one]


def featured(found: Findings) -> Contrast | None:
    """The contrast that is looked at image by image: of the arm that validation chose, else the largest."""
    named = [c for c in found.contrasts if found.choice and c.arm.name == found.choice.best.name]
    return next(iter(named or sorted(found.contrasts, key=lambda c: -c.estimate.mean)), None)


def score_of(run: Run) -> float:
    """A run's mean over its test images of the foreground Dice; images without one are left out."""
    known = [row[SCORE] for row in run.images.values() if not math.isnan(row[SCORE])]
    return float(np.mean(known)) if known else math.nan


def _row(arm: Arm, found: Findings, times: bool) -> dict[str, str]:
    """One arm's line of the table."""
    scores = [score_of(run) for run in arm.finished.values()]
    spread = f" ± {np.std(scores, ddof=1):.4f}" if len(scores) > 1 else ""
    row = dict.fromkeys(HEADS, "")
    row |= {"arm": arm.name, "seeds": str(len(scores))}
    row["Dice, mean ± sd"] = f"{np.mean(scores):.4f}{spread}" if scores else "no run finished"
    contrast = next((c for c in found.contrasts if c.arm.name == arm.name), None)
    if contrast:
        row |= {
            "difference": points(contrast.estimate.mean),
            "95 % interval": interval(contrast),
            "wins in": f"{contrast.superiority[0]:.0%}",
            "p (Holm)": p_value(contrast.p_holm),
            "p, these images": p_value(contrast.sign_flip),
            "verdict": contrast.verdict,
        }
    elif scores:
        row["verdict"] = "baseline"
    if times:
        minutes, speeds = ([f(run) for run in arm.finished.values()] for f in (lambda run: run.minutes, _speed))
        row |= {"minutes": _mean(minutes, 1), "images/s": _mean(speeds, 0)}
    else:
        for cost in COSTS:
            del row[cost]
    return row


def _speed(run: Run) -> float:
    """Training images a second of the run's whole time."""
    steps = run.epochs[-1]["step"] * run.config.get("trainer.accumulate_grad_batches", 1) if run.epochs else math.nan
    return float(steps) * float(run.config["data.batch_size"]) / (60 * run.minutes) if run.minutes else math.nan


def _mean(values: Sequence[float], digits: int) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{np.mean(known):.{digits}f}" if known else ""


def _run_row(arm: Arm, run: Run, times: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm.name, "seed": run.seed, "run": run.path.name, "state": run.state}
    row["dice (mean over images)"] = score_of(run) if run.images else ""
    row |= {key: value for key, value in run.results.items() if isinstance(value, int | float)}
    if times:
        row |= {"minutes": round(run.minutes, 2) if not math.isnan(run.minutes) else ""}
    return row


def _intro(found: Findings) -> str:
    done = sum(run.finished for run in found.runs)
    images = sorted({len(run.images) for run in found.runs if run.finished})
    base = {c.baseline.name for c in found.contrasts}
    return (
        f"{done} of {len(found.runs)} runs finished, {len(found.arms)} arms, test images: "
        f"{' or '.join(map(str, images)) or 'none yet'}. Differences are in Dice points (hundredths), paired by "
        f"seed and image, against {' or '.join(sorted(base)) or 'nothing yet'}."
    )


METHOD = (
    "The unit is the paired difference d(seed, image) between an arm and its baseline, of the mean foreground Dice of "
    "one test image. Both runs of a seed share split, initial weights, order and shared draws. Seeds and images are "
    "both samples, crossed: interval and p come from the two-way random-effects model (variance of the mean from the "
    "mean squares of seeds and images less that of the rest, Satterthwaite's degrees of freedom); images of one group "
    "(patient) are averaged first. p is corrected for the number of arms (Holm). 'Wins in' is P(arm > baseline) over "
    "seeds, ties half. 'p, these images' is the sign-flip test over seeds: it answers for exactly these test images. "
    "Fewer than 5 seeds never yield 'better' or 'worse'. The arm is chosen on validation and confirmed on test. "
    "`scripts/validate_statistics.py` checks all of it by simulation."
)


def _conditions(found: Findings) -> list[str]:
    env = next((run.versions for run in found.runs if run.versions), {})
    packages = env.get("packages", {})
    named = [
        f"{name} {packages[name]}" for name in ("segtrain", "torch", "albumentations", "lightning") if name in packages
    ]
    kept = [f"{key.replace('_', ' ')} {env[key]}" for key in ("device", "threads", "precision", "python") if key in env]
    other = verdict.config_differences(found.runs)
    return [
        f"Data fingerprint {', '.join(sorted({run.fingerprint for run in found.runs if run.fingerprint})) or 'none'}.",
        f"{'; '.join([*kept, *named])}; commit {str(env.get('segtrain_commit'))[:12]}.",
        f"Config keys that differ beside the swept ones: {', '.join(other) if other else 'none'}.",
    ]


def _class_rows(found: Findings) -> list[list[str]]:
    names = list(found.by_class)
    rows = []
    for contrast in found.contrasts:
        cells = [contrast.arm.name]
        for name in names:
            of = next((c for c in found.by_class[name] if c.arm.name == contrast.arm.name), None)
            cells.append(f"{points(of.estimate.mean)} ({interval(of)})" if of else "")
        rows.append(cells)
    return rows


def _markdown(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn]) -> str:
    lines = [f"# {found.title}", "", _intro(found), ""]
    lines += [f"> **Careful:** {warning}\n" for warning in found.warnings]
    lines += [f"- {sentence}" for sentence in verdict.sentences(found.choice, found.contrasts)]
    lines += ["", "Next:", *(f"- {step}" for step in verdict.next_steps(found.choice, found.contrasts)), ""]
    lines += _markdown_table(list(rows[0]), [list(row.values()) for row in rows])
    if len(found.by_class) > 1:
        lines += ["", "## By class", "", *_markdown_table(["arm", *found.by_class], _class_rows(found))]
    for one in drawn:
        lines += ["", f"![{one.caption}](figures/{one.name}.png)", "", one.caption]
    lines += ["", "## Conditions", "", *(f"- {line}" for line in _conditions(found)), "", "## Method", "", METHOD, ""]
    return "\n".join(lines)


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in table]


def _html(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    said = verdict.sentences(found.choice, found.contrasts)
    parts = [f"<h1>{html.escape(found.title)}</h1>", f'<p class="soft">{html.escape(_intro(found))}</p>']
    parts += [f'<p class="warning">{html.escape(warning)}</p>' for warning in found.warnings]
    parts += [f'<p class="verdict">{html.escape(sentence)}</p>' for sentence in said]
    steps = "".join(f"<li>{html.escape(step)}</li>" for step in verdict.next_steps(found.choice, found.contrasts))
    parts += [f"<h2>What to do next</h2><ul>{steps}</ul>", "<h2>The arms</h2>"]
    parts.append(pictures.table(list(rows[0]), [list(row.values()) for row in rows]))
    parts += [
        pictures.figure(svgs[one.name], one.caption) for one in drawn if one.name in ("dose-response", "differences")
    ]
    if len(found.by_class) > 1:
        parts += ["<h2>By class</h2>", pictures.table(["arm", *found.by_class], _class_rows(found))]
        parts += [pictures.figure(svgs[d.name], d.caption) for d in drawn if d.name.startswith("dose-response-")]
    parts.append(pictures.images_section(featured(found), svgs.get("images"), POINTS))
    parts += ["<h2>What the networks saw</h2>", pictures.sheets(found.arms)]
    parts += [f"<h2>Learning</h2>{pictures.figure(svgs[d.name], d.caption)}" for d in drawn if d.name == "learning"]
    conditions = "".join(f"<li>{html.escape(line)}</li>" for line in _conditions(found))
    parts.append(f"<h2>Conditions</h2><ul>{conditions}</ul><h2>Method</h2><p>{html.escape(METHOD)}</p>")
    return "\n".join(parts)
