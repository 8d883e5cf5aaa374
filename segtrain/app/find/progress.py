"""Says on the terminal what a budget can see before a find begins, and how its race stands while it runs."""

from collections.abc import Sequence

from segtrain.app.find.allowance import Allowance, RunTime
from segtrain.app.find.boundary import Boundary, detectable
from segtrain.app.find.options import FIRST
from segtrain.app.find.order import count_abreast
from segtrain.app.find.race import Standing
from segtrain.app.report.contrasts import POINTS
from segtrain.counted import counted
from segtrain.runs.duration import time_in_words


def plan_lines(
    names: Sequence[str],
    allowed: Allowance,
    run: RunTime,
    budget: float,
    slots: int,
    boundary: Boundary,
    most: int,
    spread: float,
) -> list[str]:
    """Returns what a budget can see, and what will be done.

    Args:
        names: of the arms.
        allowed: what the budget allows.
        run: what one takes.
        budget: seconds.
        slots: jobs at a time.
        boundary: of the race.
        most: seeds of an arm that were asked for; fewer than the race was begun for are not followed.
        spread: residual standard deviation of a run, a guess, in Dice.
    """
    arms, seeds, leading = len(names), allowed.seeds, allowed.leading
    others = f", and {allowed.length_runs:.0f} for other lengths" if allowed.length_runs else ""
    ahead = f"then {leading} of the {count_abreast(arms)} arms that lead, " if leading > seeds else ""
    race = (
        f"{allowed.race_runs} are for the race: {counted(seeds, 'seed')} of every arm, {ahead}and more where others "
        "are dropped."
    )
    if seeds == boundary.last:
        race = f"the race takes at most {arms * seeds} of the others: {counted(seeds, 'seed')} of every arm (seeds=)."
    lead = POINTS * detectable(boundary, max(FIRST, seeds), spread)
    tells = f"an arm that is {lead:.1f} points behind the best is told from it in 8 of 10 finds"
    if leading > seeds:
        tells += f", and one of those that lead where it is {POINTS * detectable(boundary, leading, spread):.1f} behind"
    fewer = (
        f"seeds={most} is not followed: the race was begun for up to {boundary.last} seeds of an arm, and what it says "
        "holds for these looks."
    )
    return [
        f"{arms} arms: {', '.join(names)}",
        *([fewer] if most < boundary.last else []),
        f"A run takes about {time_in_words(run.seconds)}, {run.basis}. {time_in_words(budget)} with "
        f"{counted(slots, 'job')} at a time allow {counted(allowed.runs, 'run')}: "
        f"{2 * allowed.confirming} are kept to confirm the winner against none by {allowed.confirming} seeds of its "
        f"own{others}; {race}",
        f"If a run's residual spread is {POINTS * spread:.2g} Dice points (a guess, by spread=; it is measured on the "
        f"way), {tells}.",
    ]


def progress_line(standing: Standing, before: Standing | None, remaining: float) -> str:
    """Returns how a race stands: seeds, arms left, the leader with its lead, who left, and the time left.

    Args:
        standing: now; at least one seed of an arm left is there.
        before: when this was said last; None: never.
        remaining: seconds of the budget.
    """
    leader, left = standing.leader, standing.left
    said = [f"seed {standing.seeds}: {len(left)} of {counted(len(standing.taken), 'arm')} left"]
    waiting = [name for name in left if standing.taken[name] < standing.seeds]
    if waiting:
        said.append(f"{len(waiting)} of them {'waits' if len(waiting) == 1 else 'wait'} with fewer seeds")
    if second := next((name for name in left[1:] if name not in waiting), None):
        said.append(f"{leader} leads by {POINTS * standing.leads[second]:.2f} points over {second}")
    gone = [
        f"{drop.arm} ({POINTS * drop.by:.2f} points behind {drop.behind})"
        for drop in standing.drops
        if before is None or drop not in before.drops
    ]
    if gone:
        said.append(f"dropped: {', '.join(gone)}")
    if standing.sd is not None and standing.seeds >= FIRST:
        said.append(f"residual spread of a run {POINTS * standing.sd:.2f} points")
    said.append(f"{time_in_words(remaining) if remaining else 'nothing'} of the budget is left")
    return "; ".join(said)


def batch_line(seeds: Sequence[int], names: Sequence[str], standing: Standing, last: int) -> str:
    """Returns what is said before some runs of the race: their seeds, and their arms where not all that are left run.

    Args:
        seeds: numbered from 0.
        names: of the arms that run.
        standing: of the race.
        last: the most seeds of an arm.
    """
    numbers = " and ".join(str(seed + 1) for seed in sorted(set(seeds)))
    arms = list(dict.fromkeys(names))
    said = f"the race, seed {numbers} of at most {last}"
    return f"{said}:" if len(arms) == len(standing.left) else f"{said}, of {', '.join(arms)}:"
