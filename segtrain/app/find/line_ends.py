"""Makes axes whose lines are named at their ends: beside them on a wide screen, by a key on a narrow one."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segtrain.app.report.figures import COLOURS, DPI, LINES
from segtrain.draw.sheet import letters_of

LEFT, RIGHT, BELOW, ABOVE = 0.66, 0.34, 0.52, 0.1  # inches around axes; at the right where numbers stand there
LETTER = 0.58  # of the size of a font, that a letter takes on average
SAMPLE = 0.4  # inches of a line in a key


class Form(NamedTuple):
    """Holds how a figure is drawn for a width of screen: at 96 pixels an inch, as it is shown, letters can be read."""

    width: float  # inches
    font: float  # points, of names
    row: float  # inches of a name, so that none covers the next
    longest: int  # letters of an arm's name
    beside: bool  # whether the names stand at the right; else numbers do, and a key below


WIDE = Form(width=11.6, font=9.5, row=0.2, longest=34, beside=True)
NARROW = Form(width=3.7, font=8.5, row=0.185, longest=26, beside=False)
INK, SOFT = "0.1", "0.4"  # of names, which are read: of arms left, and of others


class End(NamedTuple):
    """Holds the end of a line: what is said there, where it is in the axes (NaN: nowhere), and how the line looks."""

    label: str
    x: float
    y: float
    look: dict[str, Any]
    ink: str = INK


def line_look(index: int) -> dict[str, Any]:
    """Returns a line's colour and dashes, of which the first 24 all differ, also for the colour-blind."""
    colours = COLOURS[:-1]  # black is that of no augmentation
    return {"color": colours[index % len(colours)], "linestyle": LINES[index // len(colours) % len(LINES)]}


def shortened(name: str, longest: int) -> str:
    """Returns an arm's name with its middle left out where it has more letters."""
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"


def new_axes(form: Form, height: float, labels: Sequence[str]) -> tuple[Figure, Any]:
    """Returns a figure with axes of a height in inches, or more, and with room for the labels."""
    lines = len(labels)
    if form.beside:
        height, key = max(height, form.row * lines), 0.0
        right = 0.4 + SAMPLE + LETTER * form.font / 72 * max(map(len, labels))
    else:
        height, key, right = max(height, 0.8 * form.row * lines), form.row * (lines + 0.5), RIGHT
    whole = height + BELOW + ABOVE + key
    figure = Figure(figsize=(form.width, whole), dpi=DPI)
    axes = figure.add_axes((LEFT / form.width, (BELOW + key) / whole, 1 - (LEFT + right) / form.width, height / whole))
    set_axes(axes, form)
    return figure, axes


def set_axes(axes: Any, form: Form) -> None:
    """Sets how axes look: as all of a find do."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=form.font)
    axes.xaxis.label.set_fontsize(form.font + 0.5)
    axes.yaxis.label.set_fontsize(form.font + 0.5)
    axes.grid(axis="both", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)


def name_ends(figure: Figure, axes: Any, ends: Sequence[End], form: Form) -> None:
    """Puts a name, or a number with a key, at the right of the axes for each line's end, none over another."""
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    axes.get_xlim(), axes.get_ylim()  # has the axes take up what was drawn: transData does not ask for it
    to_figure = axes.transData + figure.transFigure.inverted()
    ends = sorted(ends, key=lambda end: (math.isnan(end.y), -end.y))
    wanted = [to_figure.transform((end.x, end.y))[1] if math.isfinite(end.y) else box.y0 for end in ends]
    rows = spread_down(wanted, (1 if form.beside else 0.8) * form.row / height, box.y0, box.y1)
    for number, (end, row) in enumerate(zip(ends, rows, strict=True), 1):
        if math.isfinite(end.y):
            start = to_figure.transform((end.x, end.y))
            line = {"color": end.look["color"], "linewidth": 0.6, "alpha": 0.6, "transform": figure.transFigure}
            xs = [start[0], box.x1 + 0.04 / width, box.x1 + 0.16 / width]
            axes.plot(xs, [start[1], row, row], clip_on=False, **line)
        if form.beside:
            _set_name(figure, end, box.x1 + 0.18 / width, row, form)
        else:
            figure.text(box.x1 + 0.18 / width, row, str(number), color=end.ink, fontsize=form.font, va="center")
    if not form.beside:
        _set_key(figure, ends, form)


def _set_name(figure: Figure, end: End, x: float, y: float, form: Form) -> None:
    """Puts a piece of the line, and its name, at a place of the figure."""
    width = figure.get_figwidth()
    figure.add_artist(Line2D([x, x + SAMPLE / width], [y, y], **end.look))
    place = x + (SAMPLE + 0.09) / width
    figure.text(place, y, letters_of(end.label), color=end.ink, fontsize=form.font, va="center")


def _set_key(figure: Figure, ends: Sequence[End], form: Form) -> None:
    """Writes below the axes what each number stands for."""
    width, height = figure.get_size_inches()
    for number, end in enumerate(ends, 1):
        row = form.row * (len(ends) - number + 0.6) / height
        figure.text(0.2 / width, row, str(number), color=end.ink, fontsize=form.font, va="center", ha="right")
        _set_name(figure, end, 0.27 / width, row, form)


def spread_down(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Returns places from low to high as near to those wanted, which fall, as a gap between any two allows.

    Neighbours that are too near share their middle (pool adjacent violators). Where there is not room for all, they
    stand as near as they must.
    """
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    blocks: list[tuple[float, int]] = []  # middle of a block as if its first stood there, and how many it has
    for index, place in enumerate(wanted):
        blocks.append((place + index * gap, 1))
        while len(blocks) > 1 and blocks[-1][0] > blocks[-2][0]:
            (lower, few), (upper, many) = blocks.pop(), blocks.pop()
            blocks.append(((lower * few + upper * many) / (few + many), few + many))
    free = [middle for middle, many in blocks for _ in range(many)]
    lowest = low + (len(wanted) - 1) * gap
    return [min(max(place, lowest), high) - index * gap for index, place in enumerate(free)]
