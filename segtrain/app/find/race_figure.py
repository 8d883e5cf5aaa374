"""Draws the race: how far each arm is behind the leader, seed by seed, and where it was dropped, waits or failed."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from segtrain.app.find.answer import ArmAnswer, RaceAnswer
from segtrain.app.find.compared import waits
from segtrain.app.find.limits import PRIOR, student_score
from segtrain.app.find.line_ends import INK, SOFT, WIDE, End, Form, line_look, name_ends, new_axes, shortened
from segtrain.app.report.contrasts import POINTS
from segtrain.app.report.figures import COLOURS, Drawn

NONE = "0.1"  # colour of the arm without augmentation
COMPRESSED = 3.0  # limits behind the leader from which the axis is compressed
TALL, SHORT = 3.8, 2.7  # inches of the axes on a wide screen, and on a narrow one
MARKS = {"left": "o", "waits": "D", "dropped": "x", "failed": "v"}  # at the ends of lines


class Line(NamedTuple):
    """Holds an arm's line in the race: how far it is behind the final leader, over its first 1, 2, … seeds."""

    arm: ArmAnswer
    seeds: list[int]  # numbers of seeds
    behind: list[float]  # points, 0 and less where the leader is ahead
    fate: str  # left, waits, dropped or failed


def race_lines(race: RaceAnswer) -> list[Line]:
    """Returns the lines of all arms: of those left in their order, then of the others by how far each was behind.

    An arm's mean is over its own first seeds, the leader's over the same.
    """
    leader = next((arm for arm in race.arms if arm.name == race.leader), None)
    found = []
    for arm in race.arms:
        until = arm.seed if arm.state == "dropped" else None  # what the race saw when it dropped the arm
        pairs = zip(arm.scores[:until], leader.scores if leader else (), strict=False)
        differences = [None if a is None or b is None else POINTS * (a - b) for a, b in pairs]
        known = [(i + 1, d) for i, d in enumerate(differences) if d is not None]
        means = np.cumsum([d for _, d in known]) / np.arange(1, len(known) + 1)
        fate = "waits" if waits(arm, race) else arm.state
        found.append(Line(arm, [i for i, _ in known], [float(mean) for mean in means], fate))
    places = {name: i for i, name in enumerate(race.left)}
    order = {"left": 0, "dropped": 1, "failed": 2}
    return sorted(found, key=lambda line: (order[line.arm.state], places.get(line.arm.name, 0), *_last(line)))


def _last(line: Line) -> tuple[float, float]:
    return (-line.behind[-1], -len(line.seeds)) if line.behind else (math.inf, 0.0)


def draw_race(race: RaceAnswer, form: Form = WIDE) -> Drawn:
    """Draws how far each arm is behind the leader by the number of seeds."""
    lines = race_lines(race)
    most = max(max(line.seeds, default=1) for line in lines)
    labels = [_label_of(line, race, form) for line in lines]
    figure, axes = new_axes(form, TALL if form.beside else SHORT, labels)
    axes.set_xlim(0.8, most + 0.2 if most > 1 else 1.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    limits = _limits(race, most)
    _set_scale(axes, lines, limits)
    if limits:
        reach = [-limit for _, limit in limits]
        axes.fill_between([n for n, _ in limits], 0, reach, color=COLOURS[4], alpha=0.16, linewidth=0)
    looks = _looks(lines, race)
    for line, look in zip(lines, looks, strict=True):
        _draw_line(axes, line, look)
    axes.set_xlabel("seeds of an arm")
    axes.set_ylabel("Dice points to the leader (val/dice)")
    inks = [INK if line.arm.state == "left" else SOFT for line in lines]
    ends = [
        End(label, *_end(line), look, ink) for label, line, look, ink in zip(labels, lines, looks, inks, strict=True)
    ]
    name_ends(figure, axes, ends, form)
    return Drawn("race", _race_caption(race, lines, bool(limits)), figure)


def _race_caption(race: RaceAnswer, lines: Sequence[Line], band: bool) -> str:
    fates, leader = {line.fate for line in lines if line.seeds}, race.leader
    said = [f"Mean difference of each arm to the leader, {leader}, over the seeds that both have."]
    if "dropped" in fates:
        said.append(
            "A cross: dropped after that many seeds. The short bar above it: how far behind the arm that it lost to it "
            "might have been."
        )
    if "waits" in fates:
        said.append("An open diamond: waits there while others run on; it is among those left.")
    if "failed" in fates:
        said.append("A triangle: the last seed before the arm failed.")
    if band:
        crossed = "a cross may lie inside the band, and " if "dropped" in fates else ""
        said.append(
            "The band: about how far behind an arm may be and stay, for two arms whose difference varies as most do. "
            "Each pair has a limit of its own, and an arm may be held against another one than the leader of the end: "
            f"so {crossed}an arm that is left may lie outside it."
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
        step = next((one for one in steps if one >= widest / 4), 1.0)
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


def _looks(lines: Sequence[Line], race: RaceAnswer) -> list[dict[str, Any]]:
    """Returns how each line looks: no two alike, those left heavier than those dropped, the leader's the heaviest."""
    coloured = iter(range(len(lines)))
    found = []
    for line in lines:
        look = {"color": NONE, "linestyle": (0, (6, 2))} if line.arm.plain else line_look(next(coloured))
        wide = {"left": 1.7, "waits": 1.7, "dropped": 0.9, "failed": 0.9}[line.fate]
        found.append({**look, "linewidth": 2.6 if line.arm.name == race.leader else wide})
    return found


def _draw_line(axes: Any, line: Line, look: dict[str, Any]) -> None:
    if not line.seeds:
        return
    (x, y), colour = _end(line), look["color"]
    axes.plot(line.seeds, line.behind, zorder=3 if line.arm.state == "left" else 2, **look)
    axes.plot(line.seeds[:-1], line.behind[:-1], ".", markersize=3, color=colour)
    face = "white" if line.fate == "waits" else colour
    axes.plot([x], [y], MARKS[line.fate], color=colour, markersize=6, markerfacecolor=face, zorder=4, clip_on=False)
    if line.arm.by is not None and line.arm.limit is not None:
        limit = y + POINTS * (line.arm.by - line.arm.limit)
        axes.plot([x, x], [y, limit], color=colour, linewidth=0.6, alpha=0.6)
        axes.plot([x - 0.08, x + 0.08], [limit, limit], color=colour, linewidth=1.2)


def _label_of(line: Line, race: RaceAnswer, form: Form) -> str:
    arm, name = line.arm, shortened(line.arm.name, form.longest)
    if arm.state == "failed":
        return f"{name}: failed at seed {arm.seed}"
    if arm.name == race.leader:
        return f"{name}: leads"
    behind = f"{line.behind[-1]:+.2f}" if line.behind else ""
    after = f", out after {arm.seed}" if line.fate == "dropped" else f", waits after {len(arm.scores)}"
    return f"{name} {behind}{after if line.fate != 'left' else ''}"


def _end(line: Line) -> tuple[float, float]:
    return (float(line.seeds[-1]), line.behind[-1]) if line.seeds else (math.nan, math.nan)
