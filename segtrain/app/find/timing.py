"""Reckons how long a run takes: by runs like it that are there, else by short pieces of one."""

import math
import statistics
from pathlib import Path

from segtrain.app.find.allowance import RunTime
from segtrain.app.find.record import Record
from segtrain.app.find.trainings import DONE, Training, Trainings
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs import duration

PIECE = 30.0  # seconds that the second piece takes at least, if the training is that long: the fit needs it
LEAST = 3  # epochs of the second piece


def time_run(trainings: Trainings, record: Record) -> RunTime:
    """Returns what a run takes beside as many others as run at a time; the time for finding out counts.

    Two pieces, of one epoch and of several, tell what grows with the epochs from what does not. Every job that runs
    at a time is an arm of its own. Their folders lie below timing/ in the find's, but for those of a whole training:
    they are runs of the race, and their time is the race's.

    Raises:
        UserError: a piece fails, as every run of the race would.
    """
    seen = duration.threads_seconds(trainings.planned([Training(0, 0)]), trainings.folder.parent)
    record.timing = record.spent
    values = [value for of in seen.values() for value in of]
    if values:
        threads = max(1, int(trainings.first.threads))
        seconds, many = statistics.median(values) / threads, len(values)
        basis = f"by {many} {'run' if many == 1 else 'runs'} like it that {'is' if many == 1 else 'are'} there"
        return (
            RunTime(0.0, seconds / trainings.epochs, trainings.epochs, basis)
            if trainings.epochs
            else RunTime(seconds, 0, 0, basis)
        )
    print_text("how long does a run take? no run like these is there, so short pieces of some are run", flush=True)
    if not trainings.epochs:
        return RunTime(_piece(trainings, record, None), 0.0, 0, "by one whole run")
    short = _piece(trainings, record, 1)
    if trainings.epochs == 1:
        return RunTime(0.0, short, 1, "by one whole run")
    several = min(trainings.epochs, max(LEAST, math.ceil(PIECE / short)))
    long = _piece(trainings, record, several)
    each = max((long - short) / (several - 1), long / several / 10)  # a piece that took no longer is an accident
    basis = f"by pieces of 1 and {several} of its {trainings.epochs} epochs"
    return RunTime(max(0.0, long - several * each), each, trainings.epochs, basis)


def _piece(trainings: Trainings, record: Record, epochs: int | None) -> float:
    """Returns the mean seconds of trainings of so many epochs, as many as run at once; None: of their whole length."""
    is_whole = epochs in (None, trainings.epochs)
    apart = [f"outputs='{trainings.folder / 'timing'}'", "checkpoint.keep=best", f"trainer.max_epochs={epochs}"]
    more = [] if is_whole else apart
    arms = [0, *range(len(trainings.arms) - 1, 0, -1)][: trainings.slots]  # the last are the strongest
    jobs = [Training(arm, 0, tuple(more)) for arm in arms]
    trainings.run(jobs, record)
    if not is_whole:
        record.timing = record.spent
    took = [trainings.outcomes[job].seconds for job in jobs if trainings.outcomes[job].answer.state == "finished"]
    there = [duration.duration(run.status) for job in jobs if (run := trainings.run_folder(job)).exists]
    took = took or [seconds for seconds in there if seconds]
    if not took:
        failed = next((job for job in jobs if trainings.outcomes[job].answer.state not in DONE), jobs[0])
        raise UserError(
            f"a short piece of {trainings.arms[failed.arm].name} failed, by which the time of a run is reckoned: "
            f"{trainings.failure(failed)}; expected arms that train; see "
            f"{Path(trainings.tasks[failed].folder) / 'job.log'}"
        )
    return statistics.mean(took)
