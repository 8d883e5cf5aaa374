"""The figures of a report: dose-response, the arms' differences, learning curves, images that win and lose."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segtrain.runs.files import write_whole
from segtrain.sweeps.arms import BASELINE, Arm, Contrast

WIDTH = 7.0  # inches
DPI = 130
# Source: Okabe and Ito, Color Universal Design, without yellow, which a white ground swallows; then markers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vP*X"
POINTS = 100.0  # Dice points, hundredths


class Drawn(NamedTuple):
    """A figure with what it is called and what it shows."""

    name: str
    caption: str
    figure: Figure


def style(index: int) -> dict[str, Any]:
    """Colour and marker of the line with that number."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def dose_response(contrasts: Sequence[Contrast], title: str, name: str) -> Drawn | None:
    """Paired difference to the baseline over strength, a line with its band a policy; None with one strength only."""
    curves: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        arm = contrast.arm
        if arm.policy != BASELINE:
            curves.setdefault(", ".join([arm.policy, *arm.others]), []).append(contrast)
    if not any(len(curve) > 1 for curve in curves.values()):
        return None
    figure, axes = _figure(3.6)
    axes.axhline(0, color="0.4", linewidth=1)
    for index, (policy, curve) in enumerate(sorted(curves.items())):
        points = sorted((c.arm.strength, c.estimate) for c in curve)
        x = [0.0] + [strength for strength, _ in points if strength > 0]
        kept = [e for strength, e in points if strength > 0]
        mean, low, high = ([0.0] + [POINTS * getattr(e, k) for e in kept] for k in ("mean", "low", "high"))
        axes.plot(x, mean, label=policy, markersize=5, **style(index))
        axes.fill_between(x, low, high, color=COLOURS[index % len(COLOURS)], alpha=0.13, linewidth=0)
    axes.set_xlabel("aug.strength")
    axes.set_ylabel("Dice points against no augmentation")
    axes.set_title(title, fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8)
    caption = "Mean paired difference over seeds and test images, with its 95 % interval. Strength 0 is the baseline."
    return Drawn(name, caption, figure)


def differences(contrasts: Sequence[Contrast]) -> Drawn:
    """Every arm's paired difference to its baseline, largest first, with its interval and each seed's own."""
    ordered = sorted(contrasts, key=lambda c: c.estimate.mean)
    figure, axes = _figure(0.9 + 0.3 * len(ordered))
    axes.axvline(0, color="0.4", linewidth=1)
    for row, contrast in enumerate(ordered):
        e = contrast.estimate
        certain = contrast.verdict in ("better", "worse")
        colour = COLOURS[0] if certain and e.mean > 0 else COLOURS[1] if certain else "0.45"
        seeds = [POINTS * d for d in contrast.of_seeds.values()]
        axes.plot(seeds, [row] * len(seeds), "|", color="0.7", markersize=8, zorder=1)
        axes.plot([POINTS * e.low, POINTS * e.high], [row, row], color=colour, linewidth=2)
        axes.plot([POINTS * e.mean], [row], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(ordered)), [c.arm.name for c in ordered], fontsize=8)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel("Dice points against the baseline")
    caption = "Mean paired difference with its 95 % interval; ticks are seeds. Blue is better, orange worse, grey open."
    return Drawn("differences", caption, figure)


def learning_curves(arms: Sequence[Arm]) -> Drawn | None:
    """Mean val/dice over the seeds of every arm by epoch."""
    figure, axes = _figure(3.6)
    shown = 0
    for arm in arms:
        tables = [[row["val/dice"] for row in run.epochs if "val/dice" in row] for run in arm.runs.values()]
        tables = [table for table in tables if table]
        if not tables:
            continue
        length = max(map(len, tables))
        padded = np.array([[*table, *[np.nan] * (length - len(table))] for table in tables])
        curve = padded[~np.isnan(padded).any(1)].mean(0)
        axes.plot(range(1, length + 1), curve, label=arm.name, markersize=3, linewidth=1.2, **style(shown))
        shown += 1
    if not shown:
        return None
    axes.set_xlabel("epoch")
    axes.set_ylabel("val/dice")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=6.5, ncols=2)
    caption = "Mean over the seeds that ran to the same epoch; validation, pooled over its pixels."
    return Drawn("learning", caption, figure)


def per_image(contrast: Contrast) -> Drawn:
    """How each test image fares under the arm against its baseline, sorted."""
    values = [POINTS * d for d in sorted(contrast.of_images.values())]
    figure, axes = _figure(2.6)
    colours = [COLOURS[0] if value > 0 else COLOURS[1] for value in values]
    axes.bar(range(len(values)), values, color=colours, width=0.8)
    axes.axhline(0, color="0.4", linewidth=1)
    axes.set_xlabel("test images, sorted")
    axes.set_ylabel("Dice points")
    wins = sum(value > 0 for value in values)
    caption = (
        f"{contrast.arm.name} against {contrast.baseline.name}: {wins} of {len(values)} images gain, mean over seeds."
    )
    return Drawn("images", caption, figure)


def history(points: Sequence[tuple[int, float]], goal: str) -> Drawn:
    """The score of every trial of a search, and the best so far."""
    figure, axes = _figure(3.0)
    numbers, scores = [number for number, _ in points], [score for _, score in points]
    axes.plot(numbers, scores, "o", color="0.55", markersize=4, label="trial")
    axes.step(numbers, np.maximum.accumulate(scores), where="post", color=COLOURS[0], label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(goal)
    axes.legend(frameon=False, fontsize=8)
    return Drawn("history", "Score of every trial, and the best so far.", figure)


def importance(shares: Mapping[str, float]) -> Drawn:
    """How much each searched key matters for the score."""
    figure, axes = _figure(0.9 + 0.35 * len(shares))
    names = sorted(shares, key=lambda name: shares[name])
    axes.barh(range(len(names)), [shares[name] for name in names], color=COLOURS[0], height=0.6)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("importance")
    return Drawn("importance", "Share of each key in what separates good trials from the others.", figure)


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def write(drawn: Drawn, folder: Path) -> str:
    """Write NAME.png and NAME.svg, the same bytes for the same figure; returns the SVG's text.

    Raises:
        UserError: the disk does not take it.
    """
    png, svg = io.BytesIO(), io.StringIO()
    drawn.figure.savefig(png, format="png")
    with matplotlib.rc_context({"svg.hashsalt": drawn.name}):
        drawn.figure.savefig(svg, format="svg", metadata={"Date": None})
    write_whole(folder / f"{drawn.name}.png", png.getvalue())
    write_whole(folder / f"{drawn.name}.svg", svg.getvalue())
    return svg.getvalue()
