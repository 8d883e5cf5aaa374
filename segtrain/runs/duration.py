"""Says how long a sweep will take, by what runs like its own took that are there; nothing is run to find out."""

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import RESULTS

LOOKED_AT = 200  # newest runs: reading a config takes some ms


class Planned(NamedTuple):
    """Holds a job of a sweep: its run folder, its config as plain values, and whether it runs on a GPU."""

    folder: str
    config: Mapping[str, Any]
    on_gpu: bool


def forecast(jobs: Sequence[Planned], outputs: Path, slots: int | None) -> str:
    """Returns a sentence: how many jobs there are, how many are done, and about how long the others take.

    Args:
        jobs: of the sweep.
        outputs: the folder below which runs like them are looked for.
        slots: how many run at a time; None where another engine decides that.
    """
    left = [job for job in jobs if not _is_finished(Path(job.folder))]
    ended = len(jobs) - len(left)
    done = f"; {ended} {'is' if ended == 1 else 'are'} finished already" if ended else ""
    head = f"{counted(len(jobs), 'run')}{done}"
    if not left:
        return f"{head}; nothing is left to run"
    took = threads_seconds(left, outputs)
    if not took:
        return f"{head}; no run like these is there that could say how long they take: it is told when the first ends"
    whole = [value for values in took.values() for value in values]
    seconds = [statistics.median(took.get(kind(job), whole)) / max(1, int(job.config["threads"])) for job in left]
    basis = f"{len(whole)} like {'it' if len(left) == 1 else 'them'} that {'is' if len(whole) == 1 else 'are'} there"
    strange = sum(kind(job) not in took for job in left)
    doubt = f", which says little of {strange} that differ in data, model or length" if strange else ""
    if slots is None:
        each = time_in_words(statistics.mean(seconds))
        return f"{head}; each of the other {len(left)} takes about {each}, by {basis}{doubt}"
    at_once = min(slots, len(left))
    return (
        f"{head}; the {'other ' if done else ''}{len(left)} {'takes' if len(left) == 1 else 'take'} about "
        f"{time_in_words(sum(seconds) / at_once)}, {at_once} at a time, by {basis}{doubt}; longer beside other "
        "programs"
    )


def by_one_run(runs: int, seconds: float, threads: int, each: int, at_once: int) -> str:
    """Returns about how long a sweep takes by what one of its runs took, as `forecast` reckons.

    Args:
        runs: of the sweep.
        seconds, threads: what the run took, and with how many threads.
        each: threads of a job of the sweep.
        at_once: jobs that run at a time.
    """
    return f"{counted(runs, 'run')}, about {time_in_words(runs * seconds * threads / each / min(at_once, runs))}"


def threads_seconds(jobs: Sequence[Planned], outputs: Path) -> dict[str, list[float]]:
    """Returns kind to the seconds of each finished run like one of the jobs, times the threads that it used."""
    wanted = {kind(job) for job in jobs}
    files = sorted(outputs.glob(f"*/*/{RESULTS}"), key=lambda path: path.stat().st_mtime, reverse=True)[:LOOKED_AT]
    found: dict[str, list[float]] = {}
    for folder in (file.parent for file in files):
        try:
            config = RunFolder(folder).plain_config()
            seconds = duration(RunFolder(folder).status)
            if seconds is None:
                continue
            on_gpu = config["trainer"]["accelerator"] not in ("cpu", "auto")
            of = kind(Planned(str(folder), config, on_gpu))
            if of in wanted:
                found.setdefault(of, []).append(seconds * int(config["threads"]))
        except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged folder, or one of something else, says nothing
    return found


def kind(job: Planned) -> str:
    """Returns what two runs have in common that take about the same time: data, model, steps and device."""
    config = job.config
    data = {key: value for key, value in config["dataset"].items() if key != "split"}
    fed = {key: config["data"].get(key) for key in ("batch_size", "crop", "steps_per_epoch")}
    limits = {key: value for key, value in config["trainer"].items() if key.startswith(("max_", "limit_"))}
    return json.dumps([data, config["model"], fed, limits, job.on_gpu], sort_keys=True, default=str)


def duration(status: Mapping[str, Any]) -> float | None:
    """Returns the seconds between the last start and the end of a finished run; None of another one."""
    began, ended = status.get("started_at"), status.get("ended_at")
    if status.get("state") != "finished" or not began or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def time_in_words(seconds: float) -> str:
    """Returns a length of time as one says it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _is_finished(folder: Path) -> bool:
    return RunFolder(folder).exists and RunFolder(folder).status["state"] == "finished"
