"""The figures of an evaluation: confusion matrix, reliability curve, scores under shifts."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segtrain.draw.sheet import DPI, letters_of, write_figure
from segtrain.model.calibration import Curve

WIDTH = 5.6  # inches: two stand side by side on a screen, one can be read on a telephone
FONT = 8  # points
LONGEST = 16  # letters in a line of a class's name
# Source: Okabe and Ito, Color Universal Design, without yellow, which a white ground swallows; then markers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vP*X"
PANELS = 3  # side by side
MOST_NUMBERS = 12  # classes up to which the shares are written into the cells


def confusion(path: Path, matrix: np.ndarray[Any, Any], classes: Sequence[str]) -> None:
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


def reliability(path: Path, curve: Curve, error: float) -> None:
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


def degradation(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
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
