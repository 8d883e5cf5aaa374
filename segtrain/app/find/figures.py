"""Draws a find: the race over seeds, the confirmed gain, and the gain against the length of the training."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from segtrain.app.find.answer import Confirmation, FindAnswer, LengthPoint
from segtrain.app.find.gain_words import is_shown
from segtrain.app.find.length_words import curves_by_arm
from segtrain.app.find.line_ends import WIDE, End, Form, line_look, name_ends, new_axes, set_axes, shortened
from segtrain.app.find.phrasing import NOTHING, spoken
from segtrain.app.find.race_figure import NONE, draw_race
from segtrain.app.report.contrasts import POINTS
from segtrain.app.report.figures import COLOURS, DPI, MARKERS, Drawn
from segtrain.counted import counted
from segtrain.draw.sheet import letters_of

LETTERS, LETTERS_NARROW, LONGEST = 70, 46, 40  # in a line below the gain, and in an arm's name there


def find_figures(answer: FindAnswer, form: Form = WIDE) -> list[Drawn]:
    """Returns the figures that the answer has something for, for a width of screen."""
    wanted = [draw_race(answer.race, form), draw_gain(answer, form), draw_lengths(answer, form)]
    return [one for one in wanted if one]


def draw_gain(answer: FindAnswer, form: Form = WIDE) -> Drawn | None:
    """Draws the confirmed gain with its interval; None where there is no interval."""
    found = spoken(answer).confirmation
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return None
    if found.winner == NOTHING:  # turned, as the sentence has it: what the augmentation gains
        found = found._replace(
            winner=found.against, against=found.winner, gain=-found.gain, low=-found.high, high=-found.low
        )
    names = [letters_of(shortened(name, LONGEST)) for name in (found.winner, found.against)]
    said = textwrap.fill(f"Dice points, {names[0]} less {names[1]}", LETTERS if form.beside else LETTERS_NARROW)
    figure, axes = _gain_axes(form, said.count("\n"))
    certain = is_shown(found)
    colour = COLOURS[0] if certain and found.gain > 0 else COLOURS[1] if certain else "0.35"
    axes.axvline(0, color="0.4", linewidth=1)
    axes.plot([POINTS * found.low, POINTS * found.high], [0, 0], color=colour, linewidth=3)
    axes.plot([POINTS * found.gain], [0], "o", color=colour, markersize=8)
    reach = POINTS * max(abs(found.low), abs(found.high), 0.001)
    axes.set_xlim(
        min(-0.15 * reach, POINTS * found.low - 0.1 * reach), max(0.15 * reach, POINTS * found.high + 0.1 * reach)
    )
    axes.set_ylim(-0.5, 0.5)
    axes.set_xlabel(said)
    return Drawn("gain", _gain_caption(found), figure)


def _gain_axes(form: Form, more_lines: int) -> tuple[Figure, Any]:
    """Returns a low figure with axes without a scale at the left; it grows with the lines of what is written below."""
    width, below = min(form.width, 5.6), 0.5 + form.row * more_lines
    height = 0.62 + below
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0.2 / width, below / height, 1 - 0.4 / width, 0.54 / height))
    set_axes(axes, form)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    return figure, axes


def _gain_caption(found: Confirmation) -> str:
    return (
        f"What {found.winner} gains over {found.against} on the test images, with its 95 % interval, from seeds that "
        "took no part in the race. Grey: not settled."
    )


def draw_lengths(answer: FindAnswer, form: Form = WIDE) -> Drawn | None:
    """Draws the gain over no augmentation against the length of the training; None with one length only."""
    curves = {arm: curve for arm, curve in curves_by_arm(answer).items() if len(curve) > 1}
    if not curves:
        return None
    labels = [f"{shortened(arm, form.longest)} {POINTS * curve[-1].gain:+.2f}" for arm, curve in curves.items()]
    figure, axes = new_axes(form, 2.7, ["no augmentation", *labels])
    axes.set_xscale("log", base=2)
    nothing = {"color": NONE, "linewidth": 1.6, "linestyle": (0, (6, 2))}
    axes.axhline(0, **nothing)
    ends = [End("no augmentation", max(p.factor for curve in curves.values() for p in curve), 0.0, nothing)]
    for index, (label, curve) in enumerate(zip(labels, curves.values(), strict=True)):
        shift = 2 ** (0.035 * (index - (len(curves) - 1) / 2))
        look = {**line_look(index), "marker": MARKERS[index % len(MARKERS)], "markersize": 5, "linewidth": 1.6}
        _draw_curve(axes, curve, shift, look)
        ends.append(End(label, curve[-1].factor * shift, POINTS * curve[-1].gain, look))
    factors = sorted({point.factor for curve in curves.values() for point in curve})
    axes.xaxis.set_major_locator(FixedLocator(factors))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.set_xlabel("length of the training")
    axes.set_ylabel("Dice points over none (val/dice)")
    name_ends(figure, axes, ends, form)
    seeds = sorted({point.seeds for curve in curves.values() for point in curve})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else counted(seeds[0], "seed")
    return Drawn(
        "lengths",
        f"Gain over no augmentation on validation by the length of the training, with 95 % intervals; {many} a point.",
        figure,
    )


def _draw_curve(axes: Any, curve: Sequence[LengthPoint], shift: float, look: dict[str, Any]) -> None:
    xs = [point.factor * shift for point in curve]
    axes.plot(xs, [POINTS * point.gain for point in curve], **look)
    for x, point in zip(xs, curve, strict=True):
        if math.isfinite(point.low) and math.isfinite(point.high):
            reach = [POINTS * point.low, POINTS * point.high]
            axes.plot([x, x], reach, color=look["color"], linewidth=1.4, alpha=0.55)
