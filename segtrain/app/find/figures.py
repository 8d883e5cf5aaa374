"""Draws a find: the race over seeds, the confirmed gain, and the gain against the length of the training."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from segtrain.app.find.answer import ArmAnswer, Confirmation, FindAnswer, LengthPoint, RaceAnswer
from segtrain.app.find.length_words import curves_by_arm
from segtrain.app.find.limits import PRIOR, student_score
from segtrain.app.find.phrasing import NOTHING, spoken
from segtrain.app.find.words import is_shown
from segtrain.app.report.contrasts import POINTS
from segtrain.app.report.figures import COLOURS, DPI, FONT, MARKERS, Drawn
from segtrain.draw.sheet import letters_of

WIDTH = 6.6  # inches: one beside a smaller one on a screen, and read on a telephone
LABELS = 0.38  # share of the width that the labels take
ROW = 0.165  # inches of a label, so that none covers the next
OUT, FAILED, NONE = "0.5", "#b04400", "0.2"  # colours of dropped and failed arms, and of the one without augmentation
COMPRESSED = 3.0  # limits behind the leader from which the axis is compressed
LONGEST = 34  # letters of an arm's name in a figure


class Line(NamedTuple):
    """Holds an arm's line in the race: how far it is behind the final leader, over its first 1, 2, … seeds."""

    arm: ArmAnswer
    seeds: list[int]  # numbers of seeds
    behind: list[float]  # points, 0 and less where the leader is ahead


def find_figures(answer: FindAnswer) -> list[Drawn]:
    """Returns the figures that the answer has something for."""
    wanted = [draw_race(answer.race), draw_gain(answer), draw_lengths(answer)]
    return [one for one in wanted if one]


def race_lines(race: RaceAnswer) -> list[Line]:
    """Returns the lines of all arms, that of the leader first and then by how far each was behind in the end.

    An arm's mean is over its own first seeds, the leader's over the same.
    """
    leader = next((arm for arm in race.arms if arm.name == race.leader), None)
    found = []
    for arm in race.arms:
        pairs = zip(arm.scores, leader.scores if leader else (), strict=False)
        differences = [None if a is None or b is None else POINTS * (a - b) for a, b in pairs]
        known = [(i + 1, d) for i, d in enumerate(differences) if d is not None]
        means = np.cumsum([d for _, d in known]) / np.arange(1, len(known) + 1)
        found.append(Line(arm, [i for i, _ in known], [float(mean) for mean in means]))
    order = {"left": 0, "dropped": 1, "failed": 2}
    return sorted(found, key=lambda line: (order[line.arm.state], line.arm is not leader, *_last(line)))


def _last(line: Line) -> tuple[float, float]:
    return (-line.behind[-1], -len(line.seeds)) if line.behind else (math.inf, 0.0)


def draw_race(race: RaceAnswer) -> Drawn:
    """Draws how far each arm is behind the leader by the number of seeds."""
    lines = race_lines(race)
    most = max(max(line.seeds, default=1) for line in lines)
    figure, axes = _figure(max(3.4, 0.75 + ROW * len(lines)))
    axes.set_xlim(0.8, most + 0.2 if most > 1 else 1.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    limits = _limits(race, most)
    _set_scale(axes, lines, limits)
    if limits:
        axes.fill_between(
            [n for n, _ in limits], 0, [-limit for _, limit in limits], color=COLOURS[4], alpha=0.18, linewidth=0
        )
    for index, line in enumerate(lines):
        _draw_line(axes, line, index, race)
    axes.set_xlabel("seeds of an arm")
    axes.set_ylabel("Dice points to the leader (val/dice)")
    _label(
        figure,
        axes,
        [(_label_of(line, race), *_end(line), _look(line, i, race)["color"]) for i, line in enumerate(lines)],
    )
    return Drawn("race", _race_caption(race, bool(limits)), figure)


def _race_caption(race: RaceAnswer, band: bool) -> str:
    said = [
        f"Mean difference of each arm to {race.leader} over the seeds that both have. A cross: dropped after that many "
        "seeds."
    ]
    if band:
        said.append(
            "The band: about how far behind an arm may be and stay, by the spread of all in the end; each pair of arms "
            "has a limit of its own."
        )
    return " ".join(said)


def _limits(race: RaceAnswer, most: int) -> list[tuple[int, float]]:
    """Returns number of seeds and the limit then, in points, of two arms whose difference varies as most do."""
    if race.residual_sd is None:
        return []
    counts = np.arange(race.first, most + 1)
    quantiles = student_score(race.boundary, PRIOR + counts - 1.0)
    reach = POINTS * race.residual_sd * quantiles * np.sqrt(2 / counts)
    return [(int(n), float(limit)) for n, limit in zip(counts, reach, strict=True)]


def _set_scale(axes: Any, lines: Sequence[Line], limits: Sequence[tuple[int, float]]) -> None:
    """Sets the axis of differences, compressed far from 0 where one arm would else hide what the others do."""
    values = [value for line in lines for value in line.behind]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    widest = limits[0][1] if limits else max(abs(np.quantile(values, [0.25, 0.75])).max(), 0.1)
    if max(-low, high) > COMPRESSED * widest > 0:
        axes.set_yscale("symlog", linthresh=widest, linscale=1.5)
        steps = [step * 10.0**power for power in range(-3, 3) for step in (1, 2, 5)]
        step = next((one for one in steps if one >= widest / 2.5), 1.0)
        inside = np.arange(-np.floor(widest / step), np.floor(widest / step) + 1) * step
        beyond = [sign * one for one in steps if one >= 1.5 * widest for sign in (1, -1)]
        shown = [tick for tick in (*inside, *beyond) if low * 1.3 <= tick <= max(high * 1.3, 0)]
        axes.yaxis.set_major_locator(FixedLocator(shown))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylim(low * 1.25, max(high * 1.25, widest / 3))
    else:
        room = 0.06 * (high - low or 1.0)
        axes.set_ylim(low - room, high + room)


def _look(line: Line, index: int, race: RaceAnswer) -> dict[str, Any]:
    arm = line.arm
    if arm.state == "failed":
        return {"color": FAILED, "linestyle": ":", "linewidth": 1.1}
    if arm.plain:
        return {"color": NONE, "linestyle": "--", "linewidth": 1.6}
    if arm.state == "dropped":
        return {"color": OUT, "linewidth": 0.9}
    return {"color": COLOURS[index % (len(COLOURS) - 1)], "linewidth": 2.2 if arm.name == race.leader else 1.4}


def _draw_line(axes: Any, line: Line, index: int, race: RaceAnswer) -> None:
    if not line.seeds:
        return
    look = _look(line, index, race)
    axes.plot(line.seeds, line.behind, marker=".", markersize=3, zorder=3 if line.arm.state == "left" else 2, **look)
    mark = {"dropped": "x", "failed": "v"}.get(line.arm.state, "o")
    axes.plot(line.seeds[-1:], line.behind[-1:], mark, color=look["color"], markersize=5, zorder=4)


def _label_of(line: Line, race: RaceAnswer) -> str:
    arm, name = line.arm, shortened(line.arm.name)
    if arm.state == "failed":
        return f"{name}: failed at seed {arm.seed}"
    if arm.name == race.leader:
        return f"{name}: leads"
    behind = f"{line.behind[-1]:+.2f}" if line.behind else ""
    return f"{name} {behind}{f', out after {arm.seed}' if arm.state == 'dropped' else ''}"


def shortened(name: str) -> str:
    """Returns an arm's name with its middle left out where it is long."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 + 1 :]}"


def _end(line: Line) -> tuple[float, float]:
    return (float(line.seeds[-1]), line.behind[-1]) if line.seeds else (math.nan, math.nan)


def draw_gain(answer: FindAnswer) -> Drawn | None:
    """Draws the confirmed gain with its interval; None where there is no interval."""
    found = spoken(answer).confirmation
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return None
    if found.winner == NOTHING:  # turned, as the sentence has it: what the augmentation gains
        found = found._replace(
            winner=found.against, against=found.winner, gain=-found.gain, low=-found.high, high=-found.low
        )
    figure, axes = _figure(1.15, labels=False, width=4.6)
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
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"Dice points, {letters_of(shortened(found.winner))} less {letters_of(shortened(found.against))}")
    return Drawn("gain", _gain_caption(found), figure)


def _gain_caption(found: Confirmation) -> str:
    return (
        f"What {found.winner} gains over {found.against} on the test images, with its 95 % interval, from seeds that "
        "took no part in the race. Grey: not settled."
    )


def draw_lengths(answer: FindAnswer) -> Drawn | None:
    """Draws the gain over no augmentation against the length of the training; None with one length only."""
    curves = {arm: curve for arm, curve in curves_by_arm(answer).items() if len(curve) > 1}
    if not curves:
        return None
    figure, axes = _figure(max(2.8, 0.75 + ROW * len(curves)))
    axes.set_xscale("log", base=2)
    axes.axhline(0, color=NONE, linewidth=1.6, linestyle="--")
    ends = [("no augmentation", max(p.factor for curve in curves.values() for p in curve), 0.0, NONE)]
    for index, (arm, curve) in enumerate(curves.items()):
        colour, shift = COLOURS[index % (len(COLOURS) - 1)], 2 ** (0.035 * (index - (len(curves) - 1) / 2))
        _draw_curve(axes, curve, shift, colour, MARKERS[index % len(MARKERS)])
        ends.append(
            (
                f"{shortened(arm)} {POINTS * curve[-1].gain:+.2f}",
                curve[-1].factor * shift,
                POINTS * curve[-1].gain,
                colour,
            )
        )
    factors = sorted({point.factor for curve in curves.values() for point in curve})
    axes.xaxis.set_major_locator(FixedLocator(factors))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.set_xlabel("length of the training")
    axes.set_ylabel("Dice points over none (val/dice)")
    _label(figure, axes, ends)
    seeds = sorted({point.seeds for curve in curves.values() for point in curve})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else f"{seeds[0]} seed{'' if seeds[0] == 1 else 's'}"
    return Drawn(
        "lengths",
        f"Gain over no augmentation on validation by the length of the training, with 95 % intervals; {many} a point.",
        figure,
    )


def _draw_curve(axes: Any, curve: Sequence[LengthPoint], shift: float, colour: str, marker: str) -> None:
    xs = [point.factor * shift for point in curve]
    axes.plot(xs, [POINTS * point.gain for point in curve], marker=marker, markersize=5, color=colour, linewidth=1.4)
    for x, point in zip(xs, curve, strict=True):
        if math.isfinite(point.low) and math.isfinite(point.high):
            axes.plot([x, x], [POINTS * point.low, POINTS * point.high], color=colour, linewidth=1.4, alpha=0.55)


def _figure(height: float, labels: bool = True, width: float = WIDTH) -> tuple[Figure, Any]:
    """Returns a figure whose axes leave room for labels at the right; in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    left, bottom, top = (0.62 if labels else 0.2) / width, 0.45 / height, 1 - 0.08 / height
    axes = figure.add_axes((left, bottom, 1 - left - (LABELS if labels else 0.2 / width), top - bottom))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT)
    axes.xaxis.label.set_fontsize(FONT + 1)
    axes.yaxis.label.set_fontsize(FONT + 1)
    axes.grid(axis="both", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _label(figure: Figure, axes: Any, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Puts a label at the right of the axes for each line's end (label, x, y, colour), none over another."""
    box, height = axes.get_position(), figure.get_figheight()
    axes.get_xlim(), axes.get_ylim()  # has the axes take up what was drawn: transData does not ask for it
    to_figure = axes.transData + figure.transFigure.inverted()
    ends = sorted(ends, key=lambda end: (math.isnan(end[2]), -end[2]))
    wanted = [to_figure.transform((x, y))[1] if math.isfinite(y) else box.y0 for _, x, y, _ in ends]
    places = spread_down(wanted, ROW / height, box.y0, box.y1)
    for (label, x, y, colour), place in zip(ends, places, strict=True):
        figure.text(box.x1 + 0.03, place, letters_of(label), color=colour, fontsize=FONT, va="center")
        if math.isfinite(y):
            start = to_figure.transform((x, y))
            line = {"color": colour, "linewidth": 0.5, "alpha": 0.5, "transform": figure.transFigure}
            axes.plot([start[0], box.x1 + 0.01, box.x1 + 0.027], [start[1], place, place], clip_on=False, **line)


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
