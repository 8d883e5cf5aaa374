"""Writes a report's sentences: which arm is best and how sure that is, what harms, and what to do next."""

import math
from collections.abc import Sequence

from segtrain.app.report.arms import Arm, Choice, baseline_of
from segtrain.app.report.contrasts import ALPHA, POINTS, Contrast
from segtrain.app.report.design import Design
from segtrain.app.report.paired import BETTER, LEAST_SEEDS, LEAST_UNITS, SETTLING_UNITS, needed_for_power
from segtrain.counted import counted


def points(value: float) -> str:
    """Returns a difference of scores in Dice points (hundredths) with its sign."""
    return "n/a" if math.isnan(value) else f"{POINTS * value:+.2f}"


def interval(limits: tuple[float, float]) -> str:
    """Returns an interval in points, within the -100 to +100 that two scores can differ by."""
    low, high = limits
    return "no interval" if math.isnan(low) else f"{points(max(low, -1.0))} to {points(min(high, 1.0))}"


def own_interval(contrast: Contrast) -> str:
    """Returns the 95 % interval of one contrast in points."""
    return interval((contrast.estimate.low, contrast.estimate.high))


def p_value(p: float) -> str:
    """Returns a p-value as it is printed."""
    return "n/a" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def rows_in_words(contrast: Contrast) -> str:
    """Returns what was repeated, such as "8 seeds"."""
    rows, seeds = contrast.estimate.rows, contrast.table.seeds
    if contrast.table.design is Design.FOLDS:
        return f"{counted(rows, 'fold')} of one seed"
    if contrast.table.draws > 1 and rows != seeds:
        return f"{rows} splits of {seeds} seed{'' if seeds == 1 else 's'}"
    if contrast.table.draws > 1:
        return f"{rows} seeds, each with test images of its own"
    return f"{rows} seed{'' if rows == 1 else 's'}"


def units_in_words(contrast: Contrast) -> str:
    """Returns what was tested on, such as "35 test images" or "6 groups of 35 test images"."""
    images, groups = contrast.table.images, len(contrast.table.units)
    tested = f"{images} test image{'' if images == 1 else 's'}"
    return f"{groups} group{'' if groups == 1 else 's'} of {tested}" if contrast.table.grouped else tested


def verdict_sentences(choice: Choice | None, contrasts: Sequence[Contrast], arms: Sequence[Arm]) -> list[str]:
    """Returns the verdict in words, most important first."""
    if not contrasts:
        return [f"Nothing can be compared: {_why_nothing(arms)}"]
    of = {contrast.arm.name: contrast for contrast in contrasts}
    if choice is None:
        said = ["No arm is chosen: there is no seed in which all arms have a score on validation."]
    else:
        said = [_best(choice, of.get(choice.best.name), len(contrasts))]
        if choice.mildest.name != choice.best.name:
            said.append(
                f"{choice.mildest.name} is the mildest arm of its kind that is within one standard error of it on "
                "validation."
            )
    for verdict, words in _WORDS.items():
        named = [f"{c.arm.name} ({points(c.estimate.mean)})" for c in contrasts if c.verdict == verdict]
        if named:
            said.append(f"{words}: {', '.join(named)}.")
    return said + _harmful_strengths(contrasts)


def _why_nothing(arms: Sequence[Arm]) -> str:
    augmented = [arm for arm in arms if not arm.plain]
    if not augmented:
        return "there is no arm with augmentation."
    if not any(arm.finished for arm in augmented):
        return "no run with augmentation has finished."
    if all(baseline_of(arm, arms) is None for arm in augmented):
        return "no arm without augmentation is else the same as one with; add aug=none to the sweep, or aug.strength=0."
    return "no arm and its baseline share a finished seed with a test image that has a score in both."


_WORDS = {
    "better": "Better than the baseline",
    "looks better": "Looks better, not settled",
    "not distinguishable": "Not distinguishable from the baseline",
    "looks worse": "Looks worse, not settled",
    "worse": "Harms",
    "too few seeds": "Too few seeds to say anything",
}
_ON_TEST = {
    "better": "it is better than {}",
    "looks better": "it looks better than {}, which is not settled",
    "not distinguishable": "it cannot be told from {}",
    "looks worse": "it looks worse than {}, which is not settled",
    "worse": "it is worse than {}",
}


def _best(choice: Choice, contrast: Contrast | None, arms: int) -> str:
    best, n = choice.best, choice.repetitions
    chosen = f"{best.name} is best on validation (mean of {n} seed{'' if n == 1 else 's'})."
    if best.plain:
        return f"{chosen} It is without augmentation: no arm beats it there."
    if contrast is None:
        return f"{chosen} It is compared with nothing, so what its augmentation does is not known."
    e, base = contrast.estimate, contrast.baseline.name
    if contrast.verdict == "too few seeds":
        return (
            f"{chosen} With {rows_in_words(contrast)} it cannot be compared with {base}: the difference is "
            f"{points(e.mean)} Dice points, and no interval can be given."
        )
    share, low, high = contrast.superiority
    these = contrast.table.design is Design.THESE_IMAGES
    where = "On exactly these test images" if these else "On test"
    over = f"{rows_in_words(contrast)} {'on' if these else 'and'} {units_in_words(contrast)}"
    all_arms = f", which holds for all {arms} arms at once," if arms > 1 else ","
    holm = f" after Holm over {arms} arms" if arms > 1 else ""
    return (
        f"{chosen} {where} {_ON_TEST[contrast.verdict].format(base)}: {points(e.mean)} Dice points (95 % interval "
        f"{interval(contrast.at_once)}{all_arms} over {over}; p {p_value(contrast.p_holm)}{holm}{_at_odds(contrast)}). "
        f"It wins in {share:.0%} of the {_repeated(contrast)} (interval {low:.0%} to {high:.0%}; from {BETTER:.0%} it "
        "is worth having)."
    )


def _at_odds(contrast: Contrast) -> str:
    """Returns what is to be said where the interval at once and the test after Holm tell 0 apart differently."""
    low, high = contrast.at_once
    holds = low <= 0 <= high
    if holds == (contrast.p_holm >= ALPHA):
        return ""
    return f"; of the two, the {'interval' if holds else 'test'} is the more cautious here"


def _repeated(contrast: Contrast) -> str:
    if contrast.table.design is Design.FOLDS:
        return "folds"
    return "splits" if contrast.table.draws > 1 and contrast.estimate.rows != contrast.table.seeds else "seeds"


def _harmful_strengths(contrasts: Sequence[Contrast]) -> list[str]:
    said = []
    for name, curve in curves_by_kind(contrasts).items():
        harmful = [c.verdict == "worse" for c in curve]
        if len(curve) < 2 or not any(harmful):
            continue
        first = harmful.index(True)
        strengths = [f"{c.arm.strength:g}" for c, harms in zip(curve, harmful, strict=True) if harms]
        if all(harmful):
            said.append(f"{name} harms at every strength that was tried.")
        elif all(harmful[first:]):
            said.append(f"{name} harms from strength {strengths[0]} on, of those tried.")
        else:
            said.append(
                f"{name} harms at strength {' and '.join(strengths)}, and not at every greater one that was tried."
            )
    return said


def curves_by_kind(contrasts: Sequence[Contrast]) -> dict[str, list[Contrast]]:
    """Returns the contrasts of each policy, and what else tells it apart, by strength."""
    found: dict[str, list[Contrast]] = {}
    for contrast in sorted(contrasts, key=lambda c: c.arm.strength):
        found.setdefault(contrast.arm.kind, []).append(contrast)
    return found


def next_steps(choice: Choice | None, contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what to run next, if anything; with a winner, only arms that may be as good are worth more runs."""
    if after := steps_after_find(contrasts):
        return after
    better = [c for c in contrasts if c.verdict == "better" and c.table.design is not Design.THESE_IMAGES]
    winner = choice and next((c for c in better if c.arm is choice.best), None)
    steps = steps_to_settle(contrasts) + _for_power(contrasts, winner.estimate.mean if winner else 0.0)
    if choice is not None and winner:
        steps.insert(0, _train_with(choice, better))
    elif choice is not None and better:
        names = " and ".join(c.arm.name for c in better)
        steps.insert(0, f"Confirm {names} with seeds of their own: better on test, and not what validation chose.")
    elif contrasts and not steps and not any(c.verdict.endswith("better") for c in contrasts):
        steps.append(
            "No arm is shown to be better than its baseline: train without augmentation, or sweep other policies."
        )
    return steps


def steps_after_find(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns where the answer is, of runs by which a find chose; nothing of others."""
    of = next((run for c in contrasts if c.raced for run in c.arm.runs.values() if run.raced), None)
    return (
        []
        if of is None
        else [f"Read {of.path.parent.name}/find.html: there is the answer of the find whose runs these are."]
    )


def _train_with(choice: Choice, better: Sequence[Contrast]) -> str:
    settled = {c.arm.name for c in better}
    arm: Arm = choice.mildest if choice.mildest.name in settled else choice.best
    return f"Train with {arm.name} on all your data, or sweep other policies at its strength."


def steps_to_settle(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what it takes for a word without reserve, beside a difference that is large enough."""
    steps = []
    seeds = min((c.table.seeds for c in contrasts), default=LEAST_SEEDS)
    rows = min((c.estimate.rows for c in contrasts), default=LEAST_SEEDS)
    if min(seeds, rows) < LEAST_SEEDS:
        what, fewest = ("seeds", seeds) if seeds < LEAST_SEEDS else ("splits", rows)
        steps.append(
            f"Run at least {LEAST_SEEDS} {what} of every arm (the fewest now: {fewest}); fewer never settle anything."
        )
    few = [c for c in contrasts if len(c.table.units) < SETTLING_UNITS]
    if few:
        least = LEAST_UNITS if any(c.table.design is Design.THESE_IMAGES for c in few) else SETTLING_UNITS
        steps.append(
            f"Test on at least {least} images or groups (patients, scans, stacks) that are independent, by more data, "
            "other shares or split=folds."
        )
    if any(c.neighbours for c in contrasts):
        steps.append("Name what belongs together, by dataset.split.group or the data set's own groups.")
    return steps


def _for_power(contrasts: Sequence[Contrast], least: float) -> list[str]:
    steps = []
    for contrast in contrasts:
        settled = contrast.verdict != "not distinguishable" and not contrast.p_holm >= ALPHA
        crossed = contrast.table.design is Design.CROSSED
        if settled or not crossed or contrast.estimate.mean <= 0 or contrast.estimate.high < least:
            continue
        units = "groups of test images" if contrast.table.grouped else "test images"
        numbers = zip(needed_for_power(contrast.estimate, len(contrasts)), ("seeds", units), strict=True)
        ways = [f"{n} {what} in all" for n, what in numbers if n is not None]
        if ways:
            steps.append(
                f"{contrast.arm.name}: a difference of this size, if it is there, would be found in 8 of 10 sweeps "
                f"with about {' or '.join(ways)}."
            )
    return steps
