"""Runs `python -m segtrain compare RUNS RUNS`: one arm against another by the report's statistics, also for scripts."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.table import Table

from segtrain.app.report import cautions, verdict
from segtrain.app.report.arms import BASELINE, Arm, arms_of
from segtrain.app.report.contrasts import POINTS, SCORE, Contrast, contrast, judged
from segtrain.app.report.meant_arms import MeantArm, find_meant_arms
from segtrain.app.report.next_runs import commands_for, find_needed, find_steps, has_few_seeds, is_settled
from segtrain.app.report.paired import LEAST_SEEDS, SETTLING_UNITS, Needed
from segtrain.app.report.run_arguments import CONFIG_DIR, read_run_arguments
from segtrain.errors import UserError
from segtrain.files import in_utf8
from segtrain.nearest_name import did_you_mean, nearest_name
from segtrain.printable import print_text
from segtrain.runs.find_folder import FIRST_CONFIRMING
from segtrain.screen import Screen

USAGE = (
    "python -m segtrain compare RUNS RUNS [score=dice] [outputs=outputs] [--json], each a run folder or its name (it "
    "stands for its arm: all seeds beside it), FOLDER:ARM, or a folder or glob that holds the runs of one arm"
)
JSON = "--json"
SCORES = ("dice", "iou")  # and what begins so: in all of them more is better
STATUS = {"better": 0, "worse": 1, "undecided": 3}  # of --json; 2 is a mistake of the user's


class Judgement(NamedTuple):
    """Holds what is said of the first arm against the second."""

    verdict: Literal["better", "worse", "undecided"]
    reason: str  # why it is undecided; "" where it is not
    found: Contrast
    cautions: list[str]
    needed: Needed
    steps: list[str]
    commands: list[str]


def compare(arguments: Sequence[str]) -> None:
    """Prints the paired difference of the first arm to the second; with --json one object, and ends with its status.

    Without --json a comparison is a page to be read, and ends with 0 whatever it says, as report and diff do.

    Raises:
        UserError: not two arms, no seed that both have finished, or no image that both have the score of.
        SystemExit: with --json; status 0 better, 1 worse, 3 undecided.
    """
    names, options = read_run_arguments(arguments, USAGE, ("score", "outputs"), (JSON,))
    if len(names) != 2:
        raise UserError(f"compare takes two arms; expected: {USAGE}; got: {' '.join(arguments) or 'nothing'}")
    sides = find_meant_arms(names, Path(options.get("outputs", "outputs")))
    conf, score = options.get(CONFIG_DIR, ""), options.get("score", SCORE)
    _require_shared_seed(sides, conf)
    found = _scored(sides, score)
    if JSON in options:
        judgement = judge(sides, found, [found], conf)
        print_text(json_text(report_of(judgement)))
        raise SystemExit(STATUS[judgement.verdict])
    others = [one for name in _scores(sides) if (one := _contrast(sides, name))]
    _print(judge(sides, found, others, conf), others)


def judge(sides: Sequence[MeantArm], found: Contrast, compared: Sequence[Contrast], conf: str = "") -> Judgement:
    """Returns what is said of a contrast: decided only where the report would say it without reserve.

    Args:
        sides: the two arms.
        found: the contrast that decides.
        compared: all contrasts that are shown, which cautions are about.
        conf: the folder of the user's own configs, for commands.
    """
    ours, theirs = (side.arm for side in sides)
    runs = [run for side in sides for run in side.arm.runs.values()]
    unread = {path: reason for side in sides for path, reason in side.unread.items()}
    said = [f"{path.name} is left out, as it cannot be read: {reason}." for path, reason in unread.items()]
    said += cautions.warnings(runs, [ours, theirs._replace(policy=BASELINE)], compared)
    needed = find_needed(found)
    is_one_config = len(arms_of([run for side in sides for run in side.runs])) == 1
    # Runs of one config differ in what no command can say, such as the code that they were made with.
    seeds = needed.rows or (LEAST_SEEDS if has_few_seeds(found) else None)
    wanted = [] if is_settled(found) or is_one_config else commands_for([ours, theirs], seeds, conf, _first_seed(found))
    way: Literal["better", "worse", "undecided"] = "undecided"
    if is_settled(found):
        way = "better" if found.verdict == "better" else "worse"
    return Judgement(way, _reason(found), found, said, needed, find_steps(found, needed), wanted)


def _first_seed(found: Contrast) -> int:
    """Returns the first seed that may be added: of a find one that has no part in its race."""
    return FIRST_CONFIRMING if found.raced else 0


def _reason(found: Contrast) -> str:
    """Returns why nothing is decided; "" where it is."""
    if is_settled(found):
        return ""
    if found.verdict == "too few seeds":
        return f"there is no interval over {verdict.rows_in_words(found)}"
    if found.verdict == "not distinguishable":
        return "the two cannot be told apart: the interval holds 0"
    lacking = [
        "the runs did not all see the same data" * (not found.same_data),
        "the arms were chosen by these very runs, of a find's race" * found.by_race,
        f"it takes {LEAST_SEEDS} seeds" * has_few_seeds(found),
        f"it takes {SETTLING_UNITS} independent test images or groups" * (len(found.table.units) < SETTLING_UNITS),
        "test images that are neighbours differ alike" * (found.neighbours is not None),
    ]
    return f"it {found.verdict}, which is not settled: {', and '.join(filter(None, lacking))}"


def report_of(judgement: Judgement) -> dict[str, Any]:
    """Returns what --json prints: the same keys each time, None for what is not known."""
    found, e, needed = judgement.found, judgement.found.estimate, judgement.needed
    table = found.table
    return {
        "verdict": judgement.verdict,
        "word": found.verdict,
        "reason": judgement.reason or None,
        "first": _arm(found.arm),
        "second": _arm(found.baseline),
        "score": found.score,
        "unit": "points",
        "effect": _in_points(e.mean),
        "interval": None if math.isnan(e.low) else [_in_points(max(e.low, -1.0)), _in_points(min(e.high, 1.0))],
        "p": None if math.isnan(e.p) else e.p,
        "wins": found.superiority[0],
        "seeds": table.seeds,
        "repetitions": e.rows,
        "images": table.images,
        "groups": len(table.units) if table.grouped else None,
        "over": table.design.value,
        "cautions": judgement.cautions,
        "needed": {
            "seeds": needed.rows,
            "images": None if table.grouped else needed.units,
            "groups": needed.units if table.grouped else None,
        },
        "next": judgement.steps,
        "commands": judgement.commands,
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {"arm": arm.name, "runs": len(arm.runs), "finished": len(arm.finished)}


def _in_points(value: float) -> float:
    return POINTS * value


def json_text(value: Any) -> str:
    """Returns JSON that any parser takes and no terminal obeys: letters of ASCII alone, no half characters, no NaN."""
    return json.dumps(_whole_text(value), allow_nan=False, indent=2).replace("\x7f", "\\u007f")


def _whole_text(value: Any) -> Any:
    if isinstance(value, str):
        return in_utf8(value)
    if isinstance(value, Mapping):
        return {key: _whole_text(one) for key, one in value.items()}
    return [_whole_text(one) for one in value] if isinstance(value, list) else value


def _print(judgement: Judgement, compared: Sequence[Contrast]) -> None:
    """Prints all scores as a table, then the verdict in one of them, cautions, and what to run next."""
    found = judgement.found
    ours, theirs = found.arm.name, found.baseline.name
    table = Table(title=f"{ours} against {theirs}, in points (hundredths)", title_justify="left")
    for head in ("score", "difference", "95 % interval", "wins in", "p", "verdict"):
        table.add_column(head, justify="left" if head in ("score", "verdict") else "right")
    for one in compared:
        e, wins = one.estimate, f"{one.superiority[0]:.0%} of {one.estimate.rows}"
        table.add_row(
            one.score, verdict.points(e.mean), verdict.own_interval(one), wins, verdict.p_value(e.p), one.verdict
        )
    Screen(soft_wrap=True).print(table)
    said = f"{ours} is {judgement.verdict} than {theirs}" if is_settled(found) else f"undecided: {judgement.reason}"
    print_text(f"{found.score}, over {verdict.rows_in_words(found)} and {verdict.units_in_words(found)}: {said}")
    for warning in judgement.cautions:
        print_text(f"careful: {warning}")
    for step in (*judgement.steps, *judgement.commands):
        print_text(f"next: {step}")


def _scores(sides: Sequence[MeantArm]) -> list[str]:
    """Returns the scores of the first arm's runs in which two arms can be compared."""
    images = next(iter(sides[0].arm.finished.values())).images
    return [name for name in next(iter(images.values())) if name.startswith(SCORES)]


def _contrast(sides: Sequence[MeantArm], score: str) -> Contrast | None:
    return judged(contrast(sides[0].arm, sides[1].arm, score))


def _scored(sides: Sequence[MeantArm], score: str) -> Contrast:
    """Returns the contrast in a score.

    Raises:
        UserError: the first arm has no such score, or no test image has it in both.
    """
    known = _scores(sides)
    if score not in known:
        raise UserError(
            f"there is no score '{score}' to compare by; {did_you_mean(nearest_name(score, known))}expected one of "
            f"{', '.join(known)}"
        )
    found = _contrast(sides, score)
    if found is None:
        raise UserError(
            f"no test image has a score in {score} in both arms, {sides[0].arm.name} and {sides[1].arm.name}; expected "
            "runs that test the same images, with pixels that count; give other runs, or another score"
        )
    return found


def _require_shared_seed(sides: Sequence[MeantArm], conf: str) -> None:
    """Raises UserError unless the arms have finished a run of one seed, and split: there is no pair without."""
    ours, theirs = (side.arm for side in sides)
    if ours.finished.keys() & theirs.finished.keys():
        return
    got = " and ".join(", ".join(map(str, arm.finished)) or "none" for arm in (ours, theirs))
    ways = "".join(f"\n  {each}" for each in commands_for([ours, theirs], None, conf))
    raise UserError(
        f"{ours.name} and {theirs.name} have no finished seed in common; expected runs of the same seed in both "
        f"arms, to pair them; got {got}; run those that lack{':' if ways else ''}{ways}"
    )
