"""Runs jobs in processes of their own, so many at once, from a fork server that has imported the heavy libraries.

A job starts in hundredths of a second and its death harms nobody. Each is the leader of its own process group: Ctrl-C
reaches this process alone, which asks every job to stop. A job holds the reading end of a pipe of this process: when
that dies, however it dies, the job stops itself.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

State = Literal["finished", "skipped", "refused", "failed", "interrupted", "timed out", "pruned"]
LOOK = 0.25  # seconds between looks at jobs that say nothing
GRACE = 60.0  # seconds for a job that was asked to stop to write its checkpoint
BUSY_WAIT = 5.0  # seconds until a job is tried again whose folder another process is still in
HANGUP = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has none
BUSY_TRIES = 24
EX_BUSY = 75  # EX_TEMPFAIL of sysexits.h: the folder is in use


class Answer(NamedTuple):
    """Holds what a job says at its end; none comes from one that died."""

    state: State
    message: str = ""
    results: Mapping[str, Any] | None = None


class Outcome(NamedTuple):
    """Says how a job ended, for good."""

    name: str
    answer: Answer
    seconds: float


@dataclass
class Running:
    """Holds a job at work."""

    name: str
    process: Any
    answers: Connection
    alive: Connection  # our end: closed by our death
    device: str | None
    began: float = field(default_factory=time.monotonic)
    stopped: float = float("inf")  # when it was asked to stop
    why: State | None = None  # it was

    def stop(self, why: State) -> None:
        """Asks the job to stop with a checkpoint; it has then ended by `why`."""
        if self.why is None:
            self.why, self.stopped = why, time.monotonic()
            _signal(self, signal.SIGTERM)


# What a process of the pool does: handed the pipe to answer on, it ends by returning.
Work = Callable[[Any, Connection], None]


class Pool:
    """Runs jobs, some at a time, and calls `look` with those at work and those that ended."""

    def __init__(
        self,
        work: Work,
        slots: Sequence[str | None],
        *,
        preload: Sequence[str] = (),
        timeout: float | None = None,
        retries: int = 0,
        look: Callable[[Sequence[Running], Sequence[Outcome]], None] = lambda running, ended: None,
    ) -> None:
        """Starts nothing yet.

        Args:
            work: a function at the top of a module, called in the job's process.
            slots: one a job at a time: the CUDA_VISIBLE_DEVICES that it gets, or None.
            preload: modules that the fork server imports before its first job.
            timeout: seconds after which a job is stopped.
            retries: how often a job is tried again that died or failed by no mistake of the user's.
            look: called several times a second.
        """
        self.work, self.free, self.timeout, self.retries, self.look = work, list(slots), timeout, retries, look
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(preload))
        self.running: list[Running] = []
        self.ended: list[Outcome] = []
        self.tries: dict[str, int] = {}
        self.busy: dict[str, tuple[int, float]] = {}  # name -> tries, when next

    def run(self, jobs: Iterable[tuple[str, Any]]) -> list[Outcome]:
        """Returns every job's outcome, in the order in which they ended; `jobs` are names with what `work` is handed.

        However this is left, no job is left running.
        """
        waiting, payloads = deque(jobs), dict[str, Any]()
        _start_server()
        try:
            while waiting or self.running:
                payloads.update(waiting)
                self._fill(waiting)
                self.look(self.running, self.ended)
                if not wait([job.process.sentinel for job in self.running], timeout=LOOK) and not self.running:
                    time.sleep(LOOK)  # all that are left wait for a folder
                for job in [job for job in self.running if not job.process.is_alive()]:
                    self._end(job, waiting, payloads)
                self._stop_late()
            self.look(self.running, self.ended)
            return self.ended
        finally:
            self._stop_all()

    def _fill(self, waiting: "deque[tuple[str, Any]]") -> None:
        for _ in range(len(waiting)):
            if not self.free:
                return
            name, payload = waiting.popleft()
            if self.busy.get(name, (0, 0.0))[1] > time.monotonic():
                waiting.append((name, payload))
                continue
            self._start(name, payload)

    def _start(self, name: str, payload: Any) -> None:
        device = self.free.pop()
        answers, answer = self.context.Pipe(duplex=False)
        theirs, alive = self.context.Pipe(duplex=False)
        arguments = self.work, payload, answer, theirs, device, _ignores_hangup()
        process = self.context.Process(target=begin_job, args=arguments, daemon=False)
        process.start()
        answer.close()
        theirs.close()
        self.running.append(Running(name, process, answers, alive, device))

    def _end(self, job: Running, waiting: "deque[tuple[str, Any]]", payloads: dict[str, Any]) -> None:
        self.running.remove(job)
        self.free.append(job.device)
        status = job.process.exitcode
        try:
            answer: Answer = job.answers.recv()
        except EOFError:
            answer = Answer("failed", death_words(status))
        job.answers.close()
        job.alive.close()
        if status == EX_BUSY and self._again_when_free(job.name):
            waiting.append((job.name, payloads[job.name]))
            return
        if job.why and answer.state != "finished":
            answer = Answer(job.why, f"stopped after {time.monotonic() - job.began:.0f} s, resumable")
        elif answer.state == "failed" and self.tries.get(job.name, 0) < self.retries:
            self.tries[job.name] = self.tries.get(job.name, 0) + 1
            waiting.appendleft((job.name, payloads[job.name]))
            return
        self.ended.append(Outcome(job.name, answer, time.monotonic() - job.began))

    def _again_when_free(self, name: str) -> bool:
        tries = self.busy.get(name, (0, 0.0))[0] + 1
        self.busy[name] = tries, time.monotonic() + BUSY_WAIT
        return tries < BUSY_TRIES

    def _stop_late(self) -> None:
        for job in self.running:
            now = time.monotonic()
            if now - job.began > (self.timeout or float("inf")):
                job.stop("timed out")
            if now - job.stopped > GRACE:
                _signal(job, signal.SIGKILL)

    def _stop_all(self) -> None:
        """Asks every job to stop; kills what has not within the grace."""
        for job in self.running:
            job.stop("interrupted")
        end = time.monotonic() + GRACE
        for job in self.running:
            job.process.join(max(0.0, end - time.monotonic()))
            _signal(job, signal.SIGKILL)


def _start_server() -> None:
    """Starts the fork server so that a terminal that is closed does not end it: it says how our jobs end."""
    if HANGUP is None or threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(HANGUP, before)


def _ignores_hangup() -> bool:
    """Says whether SIGHUP is ignored, as under nohup: then by the jobs too."""
    return HANGUP is not None and signal.getsignal(HANGUP) == signal.SIG_IGN


def begin_job(
    work: Work, payload: Any, answer: Connection, alive: Connection, device: str | None, ignores_hangup: bool
) -> None:
    """Begins the job's process: with a group and a device of its own, and an end when the sweep's process is gone."""
    os.setpgid(0, 0)
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN if ignores_hangup else signal.SIG_DFL)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    work(payload, answer)


def _end_with(alive: Connection) -> None:
    try:
        alive.recv()
    except EOFError:
        os.kill(os.getpid(), signal.SIGTERM)


def death_words(status: int | None) -> str:
    """Returns how a process without an answer ended."""
    if status is not None and status < 0:
        hint = "; the system does that when memory runs out: lower n_jobs" if -status == signal.SIGKILL else ""
        return f"killed by {signal.Signals(-status).name}{hint}"
    return f"ended with exit status {status} and no word"


def _signal(job: Running, number: int) -> None:
    """Sends a signal to the job's process; SIGKILL to its whole group, with its loader processes."""
    if not job.process.is_alive():
        return
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if number == signal.SIGKILL else os.kill)(job.process.pid, number)
