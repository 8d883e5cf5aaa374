"""`python -m segtrain compare RUN RUN`: the arms of two runs against each other, by the report's own statistics."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segtrain.app.finding import find_run
from segtrain.errors import UserError
from segtrain.sweeps import verdict
from segtrain.sweeps.arms import Arm, contrast
from segtrain.sweeps.reading import Run, read_run, read_runs

USAGE = "python -m segtrain compare RUN RUN, each a run folder or its name; it stands for its arm: all seeds beside it"


def compare(arguments: Sequence[str]) -> None:
    """Print the paired difference of the first run's arm to the second's, in every score of a test image.

    Raises:
        UserError: not two runs, or no seed that both arms have finished.
    """
    if len(arguments) != 2:
        raise UserError(f"compare takes two runs; expected: {USAGE}; got: {' '.join(arguments) or 'nothing'}")
    ours, theirs = (arm_of(read_run(find_run(name, Path("outputs")).path)) for name in arguments)
    if len(ours.finished.keys() & theirs.finished.keys()) == 0:
        raise UserError(
            f"{ours.name} and {theirs.name} have no finished seed in common; expected runs of the same seed in both "
            f"arms, to pair them; got seeds {list(ours.finished)} and {list(theirs.finished)}; run those that lack"
        )
    table = Table(title=f"{ours.name} against {theirs.name}, in points (hundredths)", title_justify="left")
    for head in ("score", "difference", "95 % interval", "wins in", "p", "verdict"):
        table.add_column(head, justify="left" if head in ("score", "verdict") else "right")
    first = next(iter(ours.finished.values()))
    for score in [key for key in next(iter(first.images.values())) if key.startswith(("dice", "iou"))]:
        found = contrast(ours, theirs, score)
        if found is None:
            continue
        found = found._replace(p_holm=found.estimate.p)
        wins = f"{found.superiority[0]:.0%} of {found.estimate.seeds}"
        cells = (verdict.points(found.estimate.mean), verdict.interval(found), wins, verdict.p_value(found.estimate.p))
        table.add_row(score, *cells, found.verdict)
    Console(soft_wrap=True).print(table)


def arm_of(run: Run) -> Arm:
    """The arm of a run: those beside it that were typed alike but for the seed."""
    same = [one for one in read_runs([run.path.parent]) if one.typed == run.typed] or [run]
    name = ", ".join(run.typed) or "default"
    return Arm(name, run.policy, run.strength, (), {one.seed: one for one in same})
