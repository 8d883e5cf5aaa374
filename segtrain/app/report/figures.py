"""Draws the figures of a report: dose-response, the arms' differences, learning curves, images that win and lose."""

import hashlib
import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import POINTS, Contrast
from segtrain.counted import counted
from segtrain.draw.sheet import letters_of, write_figure
from segtrain.files import write_whole
from segtrain.runs.epochs import number_of

WIDTH = 5.6  # inches: two stand side by side on a screen, one can be read on a telephone
DPI = 160
FONT = 8  # points, of names
LETTER, HANDLE = 4.4, 32  # points that an average letter takes at FONT, and a legend's line with the space around
LINE = 0.16  # inches that a line of text takes at FONT
LONGEST_NAME = 100  # bytes of a file's name
LONGEST = 40  # letters in a line of an arm's name at an axis
# Source: Okabe and Ito, Color Universal Design, without yellow, which a white ground swallows; then markers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vP*X"
LINES = ("-", "--", ":", "-.")


class Drawn(NamedTuple):
    """Holds a figure with what it is called and what it shows."""

    name: str
    caption: str
    figure: Figure


def styles(arms: Sequence[Arm]) -> dict[str, dict[str, Any]]:
    """Returns arm's name to the look of its line: colour and dashes for its kind, a marker for its strength."""
    kinds = sorted({arm.kind for arm in arms if not arm.plain})
    strengths = sorted({arm.strength for arm in arms if not arm.plain})
    found: dict[str, dict[str, Any]] = {}
    for arm in arms:
        if arm.plain:
            found[arm.name] = {"color": "0.45", "linewidth": 2.4}
            continue
        of, strength = kinds.index(arm.kind), strengths.index(arm.strength)
        look = {"color": COLOURS[of % len(COLOURS)], "linestyle": LINES[of // len(COLOURS) % len(LINES)]}
        found[arm.name] = {**look, "marker": MARKERS[strength % len(MARKERS)]}
    return found


def draw_dose_response(contrasts: Sequence[Contrast], title: str, name: str) -> Drawn | None:
    """Draws the paired difference over strength, a line with its band a policy; returns None with one strength only."""
    curves: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        curves.setdefault(contrast.arm.kind, []).append(contrast)
    if not any(len(curve) > 1 for curve in curves.values()):
        return None
    figure, axes = _figure(3.2)
    axes.axhline(0, color="0.4", linewidth=1)
    looks = styles([c.arm for c in contrasts])
    for index, (policy, curve) in enumerate(sorted(curves.items())):
        look = {**looks[curve[0].arm.name], "marker": MARKERS[index % len(MARKERS)]}
        points = sorted((c.arm.strength, c.estimate) for c in curve)
        x = [0.0] + [strength for strength, _ in points]
        kept = [e for _, e in points]
        mean, low, high = ([0.0] + [POINTS * getattr(e, k) for e in kept] for k in ("mean", "low", "high"))
        axes.plot(x, mean, label=letters_of(policy), markersize=5, **look)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0)
    axes.set_xlabel("aug.strength")
    axes.set_ylabel("Dice points against no augmentation")
    axes.set_title(letters_of(title), fontsize=10, loc="left")
    add_legend(figure)
    caption = "Mean paired difference over seeds and test images, with its 95 % interval. Strength 0 is the baseline."
    return Drawn(name, caption, figure)


def draw_differences(contrasts: Sequence[Contrast]) -> Drawn:
    """Draws every arm's paired difference to its baseline, largest first, with its interval and each seed's own."""
    ordered = sorted(contrasts, key=lambda c: c.estimate.mean)
    names = [textwrap.fill(letters_of(c.arm.name), LONGEST) for c in ordered]
    figure, axes = _figure(0.9 + 0.26 * len(ordered) + LINE * sum(name.count("\n") for name in names))
    axes.axvline(0, color="0.4", linewidth=1)
    for row, contrast in enumerate(ordered):
        e = contrast.estimate
        certain = contrast.verdict in ("better", "worse")
        colour = COLOURS[0] if certain and e.mean > 0 else COLOURS[1] if certain else "0.45"
        seeds = [POINTS * d for d in contrast.table.of_rows.tolist()]
        axes.plot(seeds, [row] * len(seeds), "|", color="0.7", markersize=8, zorder=1)
        axes.plot([POINTS * e.low, POINTS * e.high], [row, row], color=colour, linewidth=2)
        axes.plot([POINTS * e.mean], [row], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(ordered)), names, fontsize=FONT)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel("Dice points against the baseline")
    caption = (
        "Mean paired difference with its 95 % interval; ticks are the repetitions (seeds, splits or folds). Blue is "
        "better, orange worse, grey open."
    )
    return Drawn("differences", caption, figure)


def draw_learning_curves(arms: Sequence[Arm]) -> Drawn | None:
    """Draws the mean val/dice over the seeds of every arm by epoch."""
    figure, axes = _figure(3.2)
    looks = styles(arms)
    for arm in arms:
        tables = [
            {row["epoch"]: row["val/dice"] for row in run.epochs if "val/dice" in row} for run in arm.runs.values()
        ]
        tables = [table for table in tables if table]
        if not tables:
            continue
        epochs = sorted({int(epoch) for table in tables for epoch in table})  # perhaps not each was validated
        padded = np.array([[table.get(epoch, np.nan) for epoch in epochs] for table in tables])
        curve = padded[~np.isnan(padded).any(1)].mean(0)
        axes.plot(
            [number_of(epoch) for epoch in epochs],
            curve,
            label=letters_of(arm.name),
            **{"markersize": 3, "linewidth": 1.2, **looks[arm.name]},
        )
    if not axes.lines:
        return None
    axes.set_xlabel("epoch")
    axes.set_ylabel("val/dice")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(figure)
    caption = "Mean over the seeds that ran to the same epoch; validation, pooled over its pixels."
    return Drawn("learning", caption, figure)


def draw_images(contrast: Contrast) -> Drawn:
    """Draws how each test image fares under the arm against its baseline, sorted."""
    values = [POINTS * d for d in sorted(contrast.of_images.values())]
    figure, axes = _figure(2.6)
    colours = [COLOURS[0] if value > 0 else COLOURS[1] for value in values]
    axes.bar(range(len(values)), values, color=colours, width=0.8)
    axes.axhline(0, color="0.4", linewidth=1)
    axes.set_xlabel("test images, sorted")
    axes.set_ylabel("Dice points")
    wins = sum(value > 0 for value in values)
    caption = (
        f"{contrast.arm.name} against {contrast.baseline.name}: {wins} of {counted(len(values), 'image')} gain, mean "
        "over the repetitions that test them."
    )
    return Drawn("images", caption, figure)


def draw_history(points: Sequence[tuple[int, float]], goal: str) -> Drawn:
    """Draws the score of every trial of a search, and the best so far."""
    figure, axes = _figure(3.0)
    numbers, scores = [number for number, _ in points], [score for _, score in points]
    axes.plot(numbers, scores, "o", color="0.55", markersize=4, label="trial")
    axes.step(numbers, np.maximum.accumulate(scores), where="post", color=COLOURS[0], label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(goal)
    add_legend(figure)
    return Drawn("history", "Score of every trial, and the best so far.", figure)


def draw_importance(shares: Mapping[str, float]) -> Drawn:
    """Draws how much each searched key matters for the score."""
    figure, axes = _figure(0.9 + 0.35 * len(shares))
    names = sorted(shares, key=lambda name: shares[name])
    axes.barh(range(len(names)), [shares[name] for name in names], color=COLOURS[0], height=0.6)
    axes.set_yticks(range(len(names)), list(map(letters_of, names)), fontsize=FONT)
    axes.set_xlabel("importance")
    return Drawn("importance", "Share of each key in what separates good trials from the others.", figure)


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def add_legend(figure: Figure) -> None:
    """Puts a legend below the axes, where it covers no line, each name once; the figure grows by it."""
    lines: dict[str, Any] = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    names = [name for name in lines if not name.startswith("_")]
    columns = max(1, int(72 * WIDTH / (LETTER * max(map(len, names)) + HANDLE)))
    rows = -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * (rows + 1))
    figure.legend(
        [lines[name] for name in names], names, loc="outside lower center", ncols=columns, frameon=False, fontsize=FONT
    )


def file_name(name: str) -> str:
    """Returns the name as one of a file, with a mark where characters had to be left out: no folder is in it."""
    plain = re.sub(r"[^\w =.,+%@()-]", "-", name)
    if plain == name and len(name.encode()) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain.encode()[:LONGEST_NAME].decode(errors='ignore')}-{mark}"


def write_drawn(drawn: Drawn, folder: Path) -> str:
    """Writes NAME.png and NAME.svg, the same bytes for the same figure; returns the SVG's text.

    Raises:
        UserError: the disk does not take it.
    """
    write_figure(drawn.figure, folder / f"{drawn.name}.png")
    text = svg_text(drawn)
    write_whole(folder / f"{drawn.name}.svg", text)
    return text


def svg_text(drawn: Drawn) -> str:
    """Returns a figure as the text of an SVG, the same for the same figure."""
    drawn.figure.set_layout_engine("none")  # what was laid out for a PNG stays so
    canvas: Any = FigureCanvasSVG(drawn.figure)  # matplotlib does not type print_svg
    svg = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": drawn.name}):
        canvas.print_svg(svg, metadata={"Date": None})  # savefig draws all of it twice
    return svg.getvalue()
