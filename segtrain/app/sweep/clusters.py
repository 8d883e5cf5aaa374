"""Runs the jobs of a sweep on engines of others: submitit (Slurm, or processes here), Ray, Hydra's own."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from segtrain.app.sweep import job
from segtrain.app.sweep.pool import Answer, Outcome
from segtrain.app.sweep.watch import Watch
from segtrain.app.train.train import run_of
from segtrain.config.composition import register_resolvers
from segtrain.config.trust import trust, typed_trust
from segtrain.errors import UserError
from segtrain.files import require_own
from segtrain.launchers import Place, find_place
from segtrain.mistakes import explain
from segtrain.openmp import spin_briefly
from segtrain.runs.folder import RunFolder

SUBMITIT = ".submitit"  # in a sweep's folder: what submitit's jobs are handed and say
# An engine's process imports this when it unpickles `work`, and composes the config before it calls that.
spin_briefly()  # its environment may not be that of the command
register_resolvers()
EVERY = 2.0  # seconds between two looks: a run folder may lie on a network


def run_elsewhere(
    launcher: Launcher, tasks: Sequence[job.Task], *, score: str = "test/dice", tells_skipped: bool = True
) -> dict[str, Outcome]:
    """Hands the jobs over and waits; how each ended is read from its run folder, whatever the engine says.

    `score` and `tells_skipped` are those of `Watch`.

    Returns:
        Folder to how its job ended.

    Raises:
        UserError: the engine began none.
    """
    folders = [task.folder for task in tasks]
    finished = {folder for folder in folders if _read_status(folder).get("state") == "finished"}
    messages: dict[str, str] = {}

    def outcome(folder: str) -> Outcome:
        return _outcome(folder, folder in finished, messages)

    for folder in {Path(task.folder).parent / SUBMITIT for task in tasks}:
        require_own(folder)  # the engine writes there, and follows links
    with Watch(job.job_names(tasks), None, score, tells_skipped=tells_skipped) as watch:
        try:
            with StatusThread(watch, folders, outcome) as following:
                returned = launcher.launch([list(task.overrides) for task in tasks], initial_job_idx=0)
            for task, one in zip(tasks, returned, strict=True):
                if one.status is not JobStatus.COMPLETED:
                    messages[task.folder] = _said(one._return_value)
        except Exception as error:  # for the first job that died, when the others have ended
            if not any(map(_read_status, folders)):
                raise _not_begun(launcher, error) from error
            dead = [folder for folder in folders if _read_status(folder).get("state") != "finished"]
            messages = dict.fromkeys(dead, f"ended without a word; the engine: {error}")
        outcomes = following.ended | {folder: outcome(folder) for folder in folders if folder not in following.ended}
        watch([], list(outcomes.values()))
    return outcomes


def work(config: DictConfig) -> Any:
    """Runs one job, in a process of the engine's; its output goes to the log in its run folder.

    Returns:
        The flat results, as in results.json.

    Raises:
        UserError: the message of what kept it from them.
    """
    os.chdir(HydraConfig.get().runtime.cwd)  # where the sweep was typed: Ray's processes begin elsewhere
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # behind all others, as in the command: packages of the user's own
    trust(typed_trust(config.trust, HydraConfig.get().overrides.task))  # `prepared` has held it against what was typed
    run = run_of(config)
    with job.logged_to_run(run), launched(find_place()) as is_first:
        if not is_first:  # the first task of the job answers
            return None
        answer, _ = job.train_task(run, config)
    if answer.state not in ("finished", "skipped"):
        raise UserError(answer.message)
    return answer.results


@contextlib.contextmanager
def launched(place: Place | None) -> Iterator[bool]:
    """Lets the first task of an engine's job do it in the block, and the others their share before it.

    Yields:
        Whether this is the first, or the only one.
    """
    if place is None:
        yield True
        return
    from segtrain.parts import company

    if place.rank > 0:
        company.follow(place)
        yield False
        return
    company.host(place)
    try:
        yield True
    finally:
        company.dismiss()


def _outcome(folder: str, was_finished: bool, messages: dict[str, str]) -> Outcome:
    now = _read_status(folder)
    state, seconds = now.get("state"), _seconds(now)
    if state == "finished" and folder not in messages:
        results = RunFolder(folder).results
        return Outcome(folder, Answer("skipped" if was_finished else "finished", results=results), seconds)
    message = messages.get(folder) or now.get("error") or f"ended as {state or 'nothing'}"
    return Outcome(folder, Answer("interrupted" if state == "interrupted" else "failed", message), seconds)


def _seconds(status: dict[str, Any]) -> float:
    """Returns the seconds between the last start and the end."""
    began, ended = status.get("started_at"), status.get("ended_at")
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds() if began and ended else 0.0


def _said(error: Any) -> str:
    return explain(error) or f"{type(error).__name__}: {error}"


def _not_begun(launcher: Launcher, error: Exception) -> UserError:
    return UserError(
        f"the launcher {type(launcher).__name__} began no job; expected an engine that answers from here; got: "
        f"{type(error).__name__}: {' '.join(str(error).split())}; without one, leave hydra/launcher out: jobs then run "
        "on this machine"
    )


class Distant(NamedTuple):
    """Holds a job at work somewhere."""

    name: str
    began: float  # as time.monotonic


class StatusThread:
    """Shows, from a thread of its own, which jobs run, and tells each when it ends."""

    def __init__(self, watch: Watch, folders: Sequence[str], outcome: Callable[[str], Outcome]) -> None:
        """Follows the runs in these folders; `outcome` says how the run in one has ended."""
        self.watch, self.outcome = watch, outcome
        self.before = {folder: _read_status(folder) for folder in folders}
        self.ended: dict[str, Outcome] = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "StatusThread":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()

    def _follow(self) -> None:
        while not self.over.wait(EVERY):
            now = {
                f: s for f, before in self.before.items() if (s := _read_status(f)) != before and f not in self.ended
            }
            ended = [folder for folder, s in now.items() if s.get("state") in ("finished", "failed")]
            if len(self.ended) + len(ended) < len(self.before):  # the last one is told when the engine returns
                self.ended |= {folder: self.outcome(folder) for folder in ended}
            running = [Distant(f, _began(s["started_at"])) for f, s in now.items() if s.get("state") == "running"]
            self.watch(running, list(self.ended.values()))


def _read_status(folder: str) -> dict[str, Any]:
    """Returns what status.json says; nothing where no run has begun."""
    run = RunFolder(folder)
    return run.status if run.exists else {}


def _began(when: str) -> float:
    return time.monotonic() - (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
