"""Confirms the winner of a race: on the test set, by seeds that took no part in it, against no augmentation."""

import math
from collections.abc import Sequence

from segtrain.app.find.answer import Confirmation
from segtrain.app.find.arms import baselines
from segtrain.app.find.race import Standing
from segtrain.app.find.record import Record
from segtrain.app.find.trainings import DONE, Training, Trainings
from segtrain.app.report import cautions
from segtrain.app.report.arms import BASELINE, Arm, arms_of
from segtrain.app.report.contrasts import SCORE, Contrast, contrast, judged
from segtrain.app.report.design import Design
from segtrain.app.report.paired import needed_for_power
from segtrain.app.report.read_runs import Run, read_run
from segtrain.runs.find_folder import FIRST_CONFIRMING


def choose_pair(trainings: Trainings, standing: Standing) -> tuple[int, int] | None:
    """Returns the places of the winner and of the arm that it is tested against.

    That is the one without augmentation that else is the same. Where the winner is without augmentation, it is the best
    arm with one, by what the winner leads by over it; None where there is none.
    """
    names = [arm.name for arm in trainings.arms]
    winner, bases = names.index(str(standing.leader)), baselines(trainings.arms)
    if not trainings.arms[winner].plain:
        return winner, bases[winner]
    others = [i for i, arm in enumerate(trainings.arms) if not arm.plain and names[i] in standing.leads]
    if not others:
        return None
    alike = [i for i in others if bases[i] == winner] or others
    left = [i for i in alike if names[i] in standing.left]
    return winner, min(left or alike, key=lambda i: standing.leads[names[i]])


def confirm(trainings: Trainings, pair: tuple[int, int], seeds: int, record: Record) -> Confirmation | None:
    """Runs both arms of the pair with so many seeds, and returns what the test set says; None where it says nothing.

    Args:
        trainings: runs them.
        pair: places of the winner, and of what it is tested against.
        seeds: how many.
        record: counts the time.
    """
    jobs = [Training(arm, FIRST_CONFIRMING + i) for i in range(seeds) for arm in pair]
    trainings.run(jobs, record, score=f"test/{SCORE}")
    ended = [job for job in jobs if trainings.outcomes[job].answer.state in DONE]
    runs = {job: read_run(trainings.run_folder(job).path) for job in ended}
    arms = [_arm(trainings, place, [runs[job] for job in ended if job.arm == place]) for place in pair]
    if any(arm is None for arm in arms):
        return None
    ours, theirs = [arm for arm in arms if arm is not None]
    found = judged(contrast(ours, theirs, SCORE))
    if found is None:
        return None
    said = cautions.warnings(list(runs.values()), [ours, theirs._replace(policy=BASELINE)], [found])
    shared = sorted(rep.seed for rep in ours.finished if rep in theirs.finished)
    failed = [
        f"seed {job.seed} of {trainings.arms[job.arm].name} failed: {trainings.failure(job)}"
        for job in jobs
        if job not in ended
    ]
    scored = ours.table(SCORE)
    e = found.estimate
    return Confirmation(
        winner=trainings.arms[pair[0]].name,
        against=trainings.arms[pair[1]].name,
        seeds=tuple(shared),
        images=found.table.images,
        groups=len(found.table.units),
        score=scored.mean if scored else math.nan,
        gain=e.mean,
        low=e.low,
        high=e.high,
        p=e.p,
        verdict=found.verdict,
        over=found.table.design.value,
        cautions=tuple([*said, *failed]),
        needed=_needed(found),
    )


def _needed(found: Contrast) -> tuple[int | None, int | None]:
    """Returns the seeds, and the test images or groups, at which a difference of this size would be found."""
    rows, units = needed_for_power(found.estimate) if found.table.design is Design.CROSSED else (None, None)
    return rows, units


def _arm(trainings: Trainings, place: int, runs: Sequence[Run]) -> Arm | None:
    """Returns the runs of an arm as the report holds them, by the name that the find gives it."""
    return arms_of(runs)[0]._replace(name=trainings.arms[place].name) if runs else None
