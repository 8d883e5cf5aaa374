"""Runs `python -m segtrain compare RUN RUN`: the arms of two runs against each other, by the report's statistics."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from segtrain.app.report import cautions, verdict
from segtrain.app.report.arms import BASELINE, Arm, arms_of
from segtrain.app.report.contrasts import contrast, judged
from segtrain.app.report.read_runs import Run, read_run, read_runs
from segtrain.app.report.run_arguments import read_run_arguments
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs.find_run import find_run
from segtrain.screen import Screen

USAGE = "python -m segtrain compare RUN RUN, each a run folder or its name; it stands for its arm: all seeds beside it"


def compare(arguments: Sequence[str]) -> None:
    """Prints the paired difference of the first run's arm to the second's, in every score of a test image.

    Raises:
        UserError: not two runs, or no seed that both arms have finished.
    """
    names, _ = read_run_arguments(arguments, USAGE)
    if len(names) != 2:
        raise UserError(f"compare takes two runs; expected: {USAGE}; got: {' '.join(arguments) or 'nothing'}")
    ours, theirs = _arms([read_run(find_run(name, Path("outputs")).path) for name in names])
    if len(ours.finished.keys() & theirs.finished.keys()) == 0:
        got = " and ".join(", ".join(map(str, arm.finished)) or "none" for arm in (ours, theirs))
        raise UserError(
            f"{ours.name} and {theirs.name} have no finished seed in common; expected runs of the same seed in both "
            f"arms, to pair them; got {got}; run those that lack"
        )
    table = Table(title=f"{ours.name} against {theirs.name}, in points (hundredths)", title_justify="left")
    for head in ("score", "difference", "95 % interval", "wins in", "p", "verdict"):
        table.add_column(head, justify="left" if head in ("score", "verdict") else "right")
    first = next(iter(ours.finished.values()))
    compared = [
        found
        for score in next(iter(first.images.values()))
        if score.startswith(("dice", "iou")) and (found := judged(contrast(ours, theirs, score)))
    ]
    for found in compared:
        wins = f"{found.superiority[0]:.0%} of {found.estimate.rows}"
        e = found.estimate
        table.add_row(
            found.score, verdict.points(e.mean), verdict.own_interval(found), wins, verdict.p_value(e.p), found.verdict
        )
    Screen(soft_wrap=True).print(table)
    runs = [run for arm in (ours, theirs) for run in arm.runs.values()]
    for warning in cautions.warnings(runs, [ours, theirs._replace(policy=BASELINE)], compared):
        print_text(f"careful: {warning}")


def _arms(runs: Sequence[Run]) -> list[Arm]:
    """Returns the arm of each run: all runs in its folder that differ from it in the repetition alone.

    Raises:
        UserError: two of the runs are of one arm.
    """
    found = arms_of(read_runs(sorted({run.path.parent for run in runs})))
    arms = [next(arm for arm in found if arm.holds(run.path)) for run in runs]
    if len({arm.name for arm in arms}) < len(arms):
        raise UserError(
            f"both runs are of the arm {arms[0].name}, which is all of its seeds; expected runs of two arms; got "
            f"{' and '.join(run.path.name for run in runs)}; name a run that differs in more than the seed"
        )
    return arms
