"""Says what to run next where two arms cannot be told apart: how many seeds or images, and the commands for them."""

import itertools
import os
import re
from collections.abc import Sequence

from segtrain.app.report import verdict
from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import POINTS, Contrast
from segtrain.app.report.design import Design
from segtrain.app.report.meant_arms import shown_path
from segtrain.app.report.paired import LEAST_SEEDS, LEAST_UNITS, SETTLING_UNITS, Needed, needed_for_power
from segtrain.app.report.read_runs import DEAL, FOLD, SEED, Run, key_of
from segtrain.command_line import command
from segtrain.config.composition import conf_dir
from segtrain.runs.find_folder import FIRST_CONFIRMING
from segtrain.runs.folder import RunFolder

LIMIT = 1000  # seeds or images, beyond which nobody goes
NOBODY = Needed(None, None)
# What a command for more runs leaves out of what was typed for one: it says them itself, or they are of that command.
OWN = re.compile(r"(name|outputs|debug|resume.*|sweep|trust.*|hydra([./].*)?)")
CHOICES = "choices."
PLAIN_VALUE = re.compile(r"[A-Za-z][A-Za-z0-9_.+/-]*")  # a value that Hydra reads as that text
FILLED_IN = "…"  # stands for what the user fills in


def is_settled(found: Contrast) -> bool:
    """Returns whether the report says better or worse of a contrast, without reserve."""
    return found.verdict in ("better", "worse")


def find_needed(found: Contrast) -> Needed:
    """Returns at how many seeds, or units, in all a difference of the size seen is told from 0 with a power of 80 %.

    Of seeds no fewer than a verdict takes; where there is no spread to reckon with, so many.

    Returns:
        None: that alone would not do it, or it is not reckoned for how the runs were repeated.
    """
    if is_settled(found) or found.neighbours is not None or not found.same_data:
        return NOBODY
    rows, units = _by_power(found)
    if found.by_race:  # a spread that was looked at on the way, and none that images would mend
        rows, units = max(LEAST_SEEDS, rows or 0), None
    if has_few_seeds(found):
        rows, units = rows if _is_reckoned(found) else LEAST_SEEDS, None
    return Needed(None if _has_few_units(found) else rows, units and max(units, SETTLING_UNITS))


def has_few_seeds(found: Contrast) -> bool:
    """Returns whether there are fewer repetitions than a verdict takes."""
    return min(found.table.seeds, found.estimate.rows) < LEAST_SEEDS


def _has_few_units(found: Contrast) -> bool:
    """Returns whether there are fewer units than a verdict takes; with very few it is one on exactly these."""
    design, units = found.table.design, len(found.table.units)
    on_these = design is Design.THESE_IMAGES or (design is Design.ONE and units < LEAST_UNITS)
    return units < SETTLING_UNITS and not on_these


def _by_power(found: Contrast) -> Needed:
    is_some = _is_reckoned(found) and found.estimate.mean != 0
    return needed_for_power(found.estimate, limit=LIMIT) if is_some else NOBODY


def _is_reckoned(found: Contrast) -> bool:
    return found.table.design is Design.CROSSED


def find_steps(found: Contrast, needed: Needed) -> list[str]:
    """Returns what to do next, in sentences; nothing where it is settled."""
    if is_settled(found):
        return []
    if found.by_race:
        return [
            *verdict.steps_after_find([found]),
            f"Or train both arms with {needed.rows or LEAST_SEEDS} seeds of their own, from {FIRST_CONFIRMING} on.",
        ]
    steps = verdict.steps_to_settle([found])
    if not found.same_data:
        steps.append("Train both arms on the same data.")
    units = "groups of test images" if found.table.grouped else "test images"
    ways = [f"{n} {what} in all" for n, what in zip(needed, ("seeds", units), strict=True) if n is not None]
    if ways and _is_reckoned(found):
        steps.append(
            "A difference of this size, if it is there, would be found in 8 of 10 such comparisons with about "
            f"{' or '.join(ways)}. Run all of them before the next look: whoever looks after each and stops at the "
            "first difference finds some that are not there."
        )
    if not steps and _is_reckoned(found):
        most = POINTS * min(1.0, max(abs(found.estimate.low), abs(found.estimate.high)))
        steps.append(
            f"By the interval the two differ by at most {most:.2f} points, and {LIMIT} seeds or {units} would not find "
            "a difference of the size seen. Where so many points do not matter, take either; else more of both narrow "
            "the interval."
        )
    return steps


def commands_for(arms: Sequence[Arm], seeds: int | None, conf: str, first: int = 0) -> list[str]:
    """Returns the commands that run what each of the two arms lacks: seeds that the other has, and further ones.

    Args:
        arms: the two.
        seeds: that both should have in all; None: those that one of them has.
        conf: the folder of the user's own configs that was given; "" for none.
        first: the first seed that counts.

    Returns:
        No command where the split is drawn anew by a seed of its own, which another seed of training does not tell.
    """
    repetitions = [rep for arm in arms for rep in arm.runs]
    if len({rep.deal for rep in repetitions}) > 1 and not all(map(_deals_by_seed, arms)):
        return []
    folds = sorted({rep.fold for rep in repetitions})
    whole = [{seed for seed in _whole_seeds(arm, folds) if seed >= first} for arm in arms]
    wanted = _wanted(arms, whole, seeds, first)
    lacking = [[seed for seed in wanted if seed not in there] for there in whole]
    return [_command(arm, lack, folds, conf) for arm, lack in zip(arms, lacking, strict=True) if lack]


def _deals_by_seed(arm: Arm) -> bool:
    """Returns whether each run draws its split by its own seed, and another seed would."""
    typed = [o for o in RunFolder(_example(arm).path).overrides() if key_of(o) == DEAL]
    return all(rep.deal == rep.seed for rep in arm.runs) and all(f"${{{SEED}}}" in o for o in typed)


def _example(arm: Arm) -> Run:
    return next(iter((arm.finished or arm.runs).values()))


def _whole_seeds(arm: Arm, folds: Sequence[int]) -> set[int]:
    """Returns the seeds of which every fold has finished."""
    finished: dict[int, set[int]] = {}
    for rep in arm.finished:
        finished.setdefault(rep.seed, set()).add(rep.fold)
    return {seed for seed, of in finished.items() if of >= set(folds)}


def _wanted(arms: Sequence[Arm], whole: Sequence[set[int]], seeds: int | None, first: int) -> list[int]:
    """Returns the seeds to run: those that one arm has come first, then those begun, then new ones."""
    both, either = whole[0] & whole[1], whole[0] | whole[1]
    if seeds is None:
        return sorted(either - both)
    begun = {rep.seed for arm in arms for rep in arm.runs if rep.seed >= first} - either
    fresh = (seed for seed in itertools.count(first) if seed not in either | begun)
    order = itertools.chain(sorted(either - both), sorted(begun), fresh)
    return sorted(itertools.islice(order, max(0, seeds - len(both))))


def _command(arm: Arm, seeds: Sequence[int], folds: Sequence[int], conf: str) -> str:
    """Returns the command that runs an arm with these seeds, by what was typed for a run of it."""
    run = _example(arm)
    told = {SEED: f"{SEED}={_several(seeds)}"} | ({FOLD: f"{FOLD}={_several(folds)}"} if len(folds) > 1 else {})
    kept = [o for o in RunFolder(run.path).overrides() if o[:1] != "-" and not OWN.fullmatch(key_of(o))]
    typed = [told.pop(key_of(o), o) for o in kept]  # in its order, which names the folder: what was begun goes on
    folder, outputs = run.path.parent, shown_path(run.path.parent.parent)
    place = [f"name={_value(folder.name)}", *([] if outputs == "outputs" else [f"outputs={_value(outputs)}"])]
    lacks = any(_is_own(key, value) for key, value in run.config.items())
    return command("", "-m", *typed, *told.values(), *place, conf=conf or (FILLED_IN if lacks else ""))


def _is_own(key: str, value: object) -> bool:
    """Returns whether a key of a config is a choice of the user's own, which is found by --config-dir alone."""
    group = key.removeprefix(CHOICES)
    return group != key and isinstance(value, str) and not os.path.isfile(conf_dir() / group / f"{value}.yaml")


def _several(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if len(numbers) > 2 and list(numbers) == list(range(first, last + 1)):
        return f"range({first},{last + 1})"
    return ",".join(map(str, numbers))


def _value(text: str) -> str:
    """Returns a value as Hydra takes it for that text."""
    if PLAIN_VALUE.fullmatch(text) and text.lower() not in ("null", "true", "false", "nan", "inf"):
        return text
    within = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + "\\'" * (found[2] != ""), text)
    return f"'{within}'"
