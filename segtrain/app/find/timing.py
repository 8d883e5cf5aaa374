"""Reckons how long a run takes: by runs like it that are there, else by short pieces of one."""

import math
import statistics
from pathlib import Path

from segtrain.app.find.allowance import RunTime
from segtrain.app.find.jobs import DONE, Field, Job
from segtrain.app.find.record import Record
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs import duration

PIECE = 30.0  # seconds that the second piece takes at least, if the training is that long: the fit needs it
LEAST = 3  # epochs of the second piece


def time_run(field: Field, record: Record) -> RunTime:
    """Returns what a run takes beside as many others as run at a time; the time for finding out counts.

    Two pieces, of one epoch and of several, tell what grows with the epochs from what does not. Every job that runs
    at a time is an arm of its own. Their folders lie below timing/ in the find's.

    Raises:
        UserError: a piece fails, as every run of the race would.
    """
    seen = duration.threads_seconds(field.planned([Job(0, 0)]), field.folder.parent)
    values = [value for of in seen.values() for value in of]
    if values:
        threads = max(1, int(field.first.threads))
        seconds, many = statistics.median(values) / threads, len(values)
        basis = f"by {many} {'run' if many == 1 else 'runs'} like it that {'is' if many == 1 else 'are'} there"
        return (
            RunTime(0.0, seconds / field.epochs, field.epochs, basis) if field.epochs else RunTime(seconds, 0, 0, basis)
        )
    print_text("how long does a run take? no run like these is there, so short pieces of some are run", flush=True)
    if not field.epochs:
        return RunTime(_piece(field, record, None), 0.0, 0, "by one whole run")
    short = _piece(field, record, 1)
    if field.epochs == 1:
        return RunTime(0.0, short, 1, "by one whole run")
    several = min(field.epochs, max(LEAST, math.ceil(PIECE / short)))
    long = _piece(field, record, several)
    each = max((long - short) / (several - 1), long / several / 10)  # a piece that took no longer is an accident
    basis = f"by pieces of 1 and {several} of its {field.epochs} epochs"
    return RunTime(max(0.0, long - several * each), each, field.epochs, basis)


def _piece(field: Field, record: Record, epochs: int | None) -> float:
    """Returns the mean seconds of trainings of so many epochs, as many as run at once; None: of their whole length."""
    apart = f"outputs='{field.folder / 'timing'}'"
    more = [apart, "checkpoint.keep=best", *([] if epochs is None else [f"trainer.max_epochs={epochs}"])]
    arms = [0, *range(len(field.arms) - 1, 0, -1)][: field.slots]  # the last are the strongest
    jobs = [Job(arm, 0, tuple(more)) for arm in arms]
    field.run(jobs, record)
    took = [field.outcomes[job].seconds for job in jobs if field.outcomes[job].answer.state == "finished"]
    there = [duration.duration(run.status) for job in jobs if (run := field.run_folder(job)).exists]
    took = took or [seconds for seconds in there if seconds]
    if not took:
        failed = next((job for job in jobs if field.outcomes[job].answer.state not in DONE), jobs[0])
        raise UserError(
            f"a short piece of {field.arms[failed.arm].name} failed, by which the time of a run is reckoned: "
            f"{field.failure(failed)}; expected arms that train; see {Path(field.tasks[failed].folder) / 'job.log'}"
        )
    return statistics.mean(took)
