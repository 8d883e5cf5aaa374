"""Says which augmentation buys which robustness: the arms on shifted test images, as `evaluate shift=…` scored them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from segtrain.app.report import figures
from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import POINTS, SCORE, Contrast, contrasts
from segtrain.app.report.figures import Drawn
from segtrain.app.report.read_runs import PIXELS, Run
from segtrain.app.report.verdict import interval, own_interval, points
from segtrain.draw.sheet import letters_of
from segtrain.runs.folder import RunFolder
from segtrain.runs.image_table import UNSHIFTED, Images, Shift, read_shifted
from segtrain.runs.run_files import ROBUSTNESS

TITLE = "Robustness"
COLUMNS = 2  # panels of a figure side by side
NOTE = (
    "The test images under augmentations of training, with draws fixed by image alone, so that every run sees the same "
    "shifted images; strength 1 is the policy as in training. Cells are Dice points against the baseline under the "
    "same shift, paired by seed and image as above, with their 95 % interval; the baseline's cells are its Dice."
)


class Robustness(NamedTuple):
    """Holds the arms under every shift that two of them were scored under."""

    arms: dict[Shift, list[Arm]]  # with the scores under the shift in place of the test's
    contrasts: dict[Shift, list[Contrast]]
    left_out: list[str]  # runs whose file is of other weights, images or draws

    @property
    def shifts(self) -> list[str]:
        """Returns the policies, in order."""
        return list(dict.fromkeys(name for name, _ in self.arms))

    def missing(self, arms: Sequence[Arm]) -> list[str]:
        """Returns which finished runs of the arms were not scored under a shift that others were, in words."""
        said = []
        for (name, strength), under in self.arms.items():
            there = {arm.name: arm.finished for arm in under}
            lone = {arm.name: [str(rep) for rep in arm.finished if rep not in there.get(arm.name, {})] for arm in arms}
            if found := [f"{arm} ({', '.join(reps)})" for arm, reps in lone.items() if reps]:
                said.append(f"{name} × {strength:g}: {', '.join(found)}")
        return said

    def strengths(self, shift: str) -> list[float]:
        """Returns the strengths of a policy, ascending."""
        return sorted(strength for name, strength in self.arms if name == shift)


def find_robustness(arms: Sequence[Arm]) -> Robustness | None:
    """Returns what the arms' runs hold of shifts; None where none was scored under one."""
    scored: dict[Path, dict[Shift, Images]] = {}
    left_out = []
    seeds: set[str] = set()
    for run in (run for arm in arms for run in arm.finished.values() if RunFolder(run.path).robustness.exists()):
        seed, tables = read_shifted(RunFolder(run.path).robustness)
        seeds = seeds or {seed}  # of the draws: those of another seed are other images
        if seed in seeds and _same(tables.pop(UNSHIFTED, {}), run):
            scored[run.path] = tables
        else:
            left_out.append(run.path.name)
    shifts = sorted({shift for tables in scored.values() for shift in tables})
    under = {shift: _under(arms, shift, scored) for shift in shifts}
    under = {shift: found for shift, found in under.items() if found}
    if not under:
        return None
    return Robustness(under, {shift: contrasts(found, SCORE) for shift, found in under.items()}, left_out)


def mean_dice(arm: Arm) -> float:
    """Returns an arm's mean Dice over repetitions and test images, or groups of them; NaN without any."""
    table = arm.table(SCORE)
    return table.mean if table else math.nan


def _under(arms: Sequence[Arm], shift: Shift, scored: Mapping[Path, Mapping[Shift, Images]]) -> list[Arm]:
    found = []
    for arm in arms:
        runs = {s: run for s, run in arm.finished.items() if shift in scored.get(run.path, {})}
        shifted = {s: run._replace(images=_with_pixels(scored[run.path][shift], run)) for s, run in runs.items()}
        found += [arm._replace(runs=shifted)] if shifted else []
    return found


def _with_pixels(images: Images, run: Run) -> Images:
    """Returns the scores with the pixels that count: an image without any has no score under a shift either."""
    pixels = {name: {PIXELS: row[PIXELS]} for name, row in run.images.items() if PIXELS in row}
    return {name: {**pixels.get(name, {}), **row} for name, row in images.items()}


def _same(unshifted: Images, run: Run) -> bool:
    """Returns whether the file is of the run as it is now: an unshifted image scores what it did in the run's test."""
    test = {name: row[SCORE] for name, row in run.images.items()}
    ours = {name: row[SCORE] for name, row in unshifted.items()}
    return ours.keys() == test.keys() and all(ours[n] == test[n] or math.isnan(ours[n] + test[n]) for n in test)


def robustness_sentences(found: Robustness, arms: Sequence[Arm]) -> list[str]:
    """Returns for each policy, at its greatest strength, which arm holds best, and by how much."""
    said = []
    for name in found.shifts:
        strength = found.strengths(name)[-1]
        known = found.contrasts[name, strength]
        if not known:
            continue
        best = max(known, key=lambda c: (c.verdict == "better", c.verdict == "looks better", c.estimate.mean))
        base = next(arm for arm in found.arms[name, strength] if arm.name == best.baseline.name)
        at_once = f", for all {len(known)} arms at once" if len(known) > 1 else ""
        dice = f"against {mean_dice(base):.4f} of {base.name}"
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


def robustness_table(found: Robustness, arms: Sequence[Arm]) -> tuple[list[str], list[list[str]]]:
    """Returns heads and rows: an arm a row, a shift a column."""
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
    return f"{mean_dice(own):.4f}" if own is not None else ""


def robustness_figures(found: Robustness, arms: Sequence[Arm], clean: Sequence[Contrast]) -> list[Drawn]:
    """Returns the figures: Dice over the strength of each shift, and what the training's strength buys under each."""
    return [one for one in (_degradation(found, arms), _doses(found, clean)) if one]


def _degradation(found: Robustness, arms: Sequence[Arm]) -> Drawn:
    """Draws a panel a policy, a line an arm."""
    lines = -(-len(found.shifts) // COLUMNS)
    figure, panels = _panels(lines, min(COLUMNS, len(found.shifts)))
    looks = figures.styles(arms)
    for name, axes in zip(found.shifts, panels, strict=False):
        for arm in arms:
            points_of = [(0.0, mean_dice(arm))] if arm.finished else []
            under = {s: _named(found.arms[name, s], arm) for s in found.strengths(name)}
            points_of += [(strength, mean_dice(one)) for strength, one in under.items() if one]
            if len(points_of) > 1:
                x, y = zip(*points_of, strict=True)
                axes.plot(x, y, label=letters_of(arm.name), **{"markersize": 3, "linewidth": 1.2, **looks[arm.name]})
        axes.set_title(letters_of(name), fontsize=10, loc="left")
    _along(panels, len(found.shifts), "strength of the shift")
    figure.supylabel("Dice, mean over images and seeds", fontsize=figures.FONT)
    figures.add_legend(figure)
    return Drawn("robustness", "How Dice falls as the test images are shifted, mean over seeds and images.", figure)


def _doses(found: Robustness, clean: Sequence[Contrast]) -> Drawn | None:
    """Draws a panel an augmentation of several strengths, a line a shift; returns None where none has several."""
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
            x, y = [dot[0] for dot in dots], [POINTS * dot[1] for dot in dots]
            axes.plot(x, y, label=letters_of(label), marker=marker, markersize=4, **look)
        axes.set_title(letters_of(kind), fontsize=10, loc="left")
    _along(panels, len(several), "aug.strength of the training")
    figure.supylabel("Dice points against no augmentation", fontsize=figures.FONT)
    figures.add_legend(figure)
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
    """Names the axis below each column, and take away panels that nothing is drawn in."""
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
