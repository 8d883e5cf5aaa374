"""Answers signals to stop: the first lets a step be finished and kept, the second one ends at once."""

import contextlib
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

# Sent ahead of a time limit or a preemption; Windows has none.
WARNINGS = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
HANGUPS = [getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)]  # the terminal was closed

TWICE = 1.0  # seconds within which a second signal is the first one again: `timeout` sends each twice


class Stopped(BaseException):
    """Says that the process was asked to stop; `status` is its exit status, 130 for Ctrl-C and 143 for the others."""

    def __init__(self, number: int) -> None:
        """Takes the number of the signal."""
        super().__init__(signal.Signals(number).name)
        self.status = 130 if number == signal.SIGINT else 143


class Stops:
    """Lets SIGINT, SIGTERM, SIGHUP and a scheduler's warning raise Stopped while entered: at once, or by `check`.

    SIGHUP comes when the terminal is closed; where it is ignored, as under nohup, it stays so.
    Warnings are SIGUSR1 under Slurm, and SIGUSR1 or SIGUSR2 where an engine such as submitit waits for it: that is told
    when the block is left, and may queue the job again. Outside the main thread, where Python takes no signals, nothing
    changes.
    """

    def __init__(self) -> None:
        """Begins unasked."""
        self.asked: int | None = None
        self._asked_at = 0.0
        self._deferring = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stops":
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGINT, signal.SIGTERM]
            numbers += [number for number in HANGUPS if signal.getsignal(number) != signal.SIG_IGN]
            numbers += [number for number in WARNINGS if callable(signal.getsignal(number))]
            if "SLURM_JOB_ID" in os.environ and signal.SIGUSR1 not in numbers:
                numbers.append(signal.SIGUSR1)
            self._before = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.asked is not None and self.asked in WARNINGS and callable(self._before[self.asked]):
            signal.raise_signal(self.asked)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Lets a signal wait, in the block, for `check`."""
        self._deferring = True
        try:
            yield
            self.check()
        finally:
            self._deferring = False

    def check(self) -> None:
        """Raises Stopped if that was asked for.

        To be called where something may have swallowed it, as Python does when an object is deleted.
        """
        if self.asked is not None:
            raise Stopped(self.asked)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.asked is not None:
            if time.monotonic() - self._asked_at < TWICE:
                return
            os._exit(Stopped(number).status)
        self.asked, self._asked_at = number, time.monotonic()
        if number in HANGUPS:
            _leave_terminal()
        if not self._deferring:
            raise Stopped(number)
        os.write(2, b"\nstopping after this step, with a checkpoint; once more leaves at once\n")


def leave_to_parent() -> None:
    """Leaves what reaches the whole group, Ctrl-C or a closed terminal, to the parent of a loader process.

    SIGTERM ends it.
    """
    for number in (signal.SIGINT, *HANGUPS):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave_terminal() -> None:
    """Lets what is said go nowhere from now on where the terminal is gone: saying it would fail."""
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, number)
                os.close(nowhere)
