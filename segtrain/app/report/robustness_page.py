"""The report's section on robustness: what it says, its tables and its figures."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from segtrain.app.report import figures
from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import Contrast
from segtrain.app.report.figures import Drawn
from segtrain.app.report.robustness import Robustness, mean
from segtrain.app.report.verdict import interval, own_interval, points
from segtrain.draw.sheet import letters_of
from segtrain.runs.run_files import ROBUSTNESS

TITLE = "Robustness"
COLUMNS = 2  # panels side by side
NOTE = (
    "The test images under augmentations of training, with draws fixed by image alone, so that every run sees the same "
    "shifted images; strength 1 is the policy as in training. Cells are Dice points against the baseline under the "
    "same shift, paired by seed and image as above, with their 95 % interval; the baseline's cells are its Dice."
)


def sentences(found: Robustness, arms: Sequence[Arm]) -> list[str]:
    """For each policy, at its greatest strength, which arm holds best, and by how much."""
    said = []
    for name in found.shifts:
        strength = found.strengths(name)[-1]
        known = found.contrasts[name, strength]
        if not known:
            continue
        best = max(known, key=lambda c: (c.verdict == "better", c.verdict == "looks better", c.estimate.mean))
        base = next(arm for arm in found.arms[name, strength] if arm.name == best.baseline.name)
        at_once = f", for all {len(known)} arms at once" if len(known) > 1 else ""
        dice = f"against {mean(base):.4f} of {base.name}"
        gain = f"{points(best.estimate.mean)} points ({interval(best.at_once)}{at_once})"
        under = f"Under {name} × {strength:g}"
        if best.verdict in ("better", "looks better"):
            more = "" if best.verdict == "better" else "; looks better"
            said.append(f"{under}, {best.arm.name} buys most: {gain}, {dice}{more}.")
        else:
            said.append(f"{under}, no arm is known to help; {best.arm.name} comes to {gain}, {dice}; {best.verdict}.")
    if missing := found.missing(arms):
        said.append(f"Not scored, and so not compared, under {'; under '.join(missing)}.")
    if found.left_out:
        said.append(
            f"Left out, as their {len(found.left_out)} {ROBUSTNESS} are of other weights, images or draws: "
            f"{', '.join(found.left_out)}; evaluate them again."
        )
    return said


def table(found: Robustness, arms: Sequence[Arm]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: an arm a row, a shift a column."""
    shifts = list(found.arms)
    rows = []
    for arm in arms:
        cells = [_cell(found, shift, arm) for shift in shifts]
        if any(cells):
            rows.append([arm.name, *cells])
    return ["arm", *(f"{name} × {strength:g}" for name, strength in shifts)], rows


def _cell(found: Robustness, shift: tuple[str, float], arm: Arm) -> str:
    contrast = next((c for c in found.contrasts[shift] if c.arm.name == arm.name), None)
    if contrast is not None:
        return f"{points(contrast.estimate.mean)} ({own_interval(contrast)})"
    own = next((one for one in found.arms[shift] if one.name == arm.name), None)
    return f"{mean(own):.4f}" if own is not None else ""


def drawn(found: Robustness, arms: Sequence[Arm], clean: Sequence[Contrast]) -> list[Drawn]:
    """Dice over the strength of each shift; and what the training's strength buys under each."""
    return [one for one in (_degradation(found, arms), _doses(found, clean)) if one]


def _degradation(found: Robustness, arms: Sequence[Arm]) -> Drawn:
    """A panel a policy, a line an arm."""
    lines = -(-len(found.shifts) // COLUMNS)
    figure, panels = _panels(lines, min(COLUMNS, len(found.shifts)))
    looks = figures.styles(arms)
    for name, axes in zip(found.shifts, panels, strict=False):
        for arm in arms:
            points_of = [(0.0, mean(arm))] if arm.finished else []
            points_of += [(s, mean(one)) for s in found.strengths(name) if (one := _named(found.arms[name, s], arm))]
            if len(points_of) > 1:
                x, y = zip(*points_of, strict=True)
                axes.plot(x, y, label=letters_of(arm.name), **{"markersize": 3, "linewidth": 1.2, **looks[arm.name]})
        axes.set_title(letters_of(name), fontsize=10, loc="left")
    _along(panels, len(found.shifts), "strength of the shift")
    figure.supylabel("Dice, mean over images and seeds", fontsize=figures.FONT)
    figures.legend(figure)
    return Drawn("robustness", "How Dice falls as the test images are shifted, mean over seeds and images.", figure)


def _doses(found: Robustness, clean: Sequence[Contrast]) -> Drawn | None:
    """A panel an augmentation of several strengths, a line a shift; None where no augmentation has several."""
    kinds: dict[str, list[Arm]] = {}
    for contrast in clean:
        kinds.setdefault(contrast.arm.kind, []).append(contrast.arm)
    several = {kind: sorted(of, key=lambda arm: arm.strength) for kind, of in kinds.items() if len(of) > 1}
    if not several:
        return None
    figure, panels = _panels(-(-len(several) // COLUMNS), min(COLUMNS, len(several)))
    greatest = {
        f"{name} × {s[-1]:g}": found.contrasts[name, s[-1]] for name in found.shifts if (s := found.strengths(name))
    }
    for (kind, of), axes in zip(several.items(), panels, strict=False):
        axes.axhline(0, color="0.4", linewidth=1)
        for index, (label, known) in enumerate({"unshifted": clean, **greatest}.items()):
            dots = [(0.0, 0.0)] + [(arm.strength, c.estimate.mean) for arm in of if (c := _contrast(known, arm))]
            look = {"color": "0.1", "linewidth": 2.0} if not index else {"color": figures.COLOURS[(index - 1) % 6]}
            marker = figures.MARKERS[index % len(figures.MARKERS)]
            x, y = [dot[0] for dot in dots], [figures.POINTS * dot[1] for dot in dots]
            axes.plot(x, y, label=letters_of(label), marker=marker, markersize=4, **look)
        axes.set_title(letters_of(kind), fontsize=10, loc="left")
    _along(panels, len(several), "aug.strength of the training")
    figure.supylabel("Dice points against no augmentation", fontsize=figures.FONT)
    figures.legend(figure)
    caption = (
        "What each dose of augmentation buys on the test images as they are, and under each shift at its greatest."
    )
    return Drawn("robustness-dose", caption, figure)


def _contrast(known: Sequence[Contrast], arm: Arm) -> Contrast | None:
    found = next((c for c in known if c.arm.name == arm.name), None)
    return found if found is not None and not math.isnan(found.estimate.mean) else None


def _named(arms: Sequence[Arm], arm: Arm) -> Arm | None:
    return next((one for one in arms if one.name == arm.name), None)


def _along(panels: Sequence[Any], used: int, words: str) -> None:
    """Name the axis below each column, and take away panels that nothing is drawn in."""
    for axes in panels[used:]:
        axes.remove()
    for axes in panels[max(0, used - COLUMNS) : used]:
        axes.set_xlabel(words, fontsize=figures.FONT)


def _panels(rows: int, columns: int) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(figures.WIDTH, 0.6 + 2.2 * rows), dpi=figures.DPI, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel().tolist()
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="both", color="0.92", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=figures.FONT)
    return figure, panels
