"""Answers one question after the other, each for a limited time, so that no user of serve blocks the next."""

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from segtrain.errors import UserError

Answer = TypeVar("Answer")

MOST_WAITING = 16  # questions, beside the one that is answered


class TimeLimit:
    """Ends the answer to a question when its time is over; asked between its steps, by the thread that gives it."""

    def __init__(self, seconds: float) -> None:
        """Begins with no question.

        Args:
            seconds: that an answer may take.
        """
        self.seconds, self.ended = seconds, threading.Event()
        self._until, self._given_up = float("inf"), threading.Event()

    def begin(self, given_up: threading.Event) -> None:
        """Starts the time of a question, which `given_up` may end before."""
        self._until, self._given_up = time.monotonic() + self.seconds, given_up

    def require(self) -> None:
        """Raises UserError once the time is over, nobody waits for the answer any more, or the server ends."""
        if self.ended.is_set():
            raise UserError("the server was stopped before the prediction was done; start it again")
        if self._given_up.is_set():
            raise UserError("something else was asked before the prediction was done")
        if time.monotonic() > self._until:
            raise UserError(
                f"the prediction was not done in {self.seconds:g} s, and was given up; cut the image into tiles, or "
                "start with max_seconds=…; `python -m segtrain predict` takes as long as it needs"
            )


class Queue:
    """Lets questions wait: one is answered at a time, and of each session the last alone."""

    def __init__(self, limit: TimeLimit) -> None:
        """Begins with nobody who waits."""
        self._limit, self._waiting = limit, 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._last: dict[str, threading.Event] = {}  # session -> what gives up its question

    async def ask(self, session: str, question: Callable[[], Answer]) -> Answer:
        """Returns the answer, once it is this question's turn; gives up what the session asked before.

        Raises:
            UserError: too many wait, or the answer is one.
        """
        if session in self._last:
            self._last[session].set()
        if self._waiting > MOST_WAITING:
            raise UserError(
                f"{MOST_WAITING} questions wait already; expected fewer, as one is answered at a time; try again soon"
            )
        given_up = self._last[session] = threading.Event()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._answer, question, given_up)
        finally:
            self._waiting -= 1
            if self._last.get(session) is given_up:
                del self._last[session]

    def _answer(self, question: Callable[[], Answer], given_up: threading.Event) -> Answer:
        self._limit.begin(given_up)
        self._limit.require()
        try:
            return question()
        finally:
            give_back()

    def end(self) -> None:
        """Gives up whatever is asked."""
        self._limit.ended.set()
        self._worker.shutdown(wait=False, cancel_futures=True)


def give_back() -> None:
    """Hands memory that is free back to the system: glibc keeps what large pictures took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if hasattr(ctypes, "CDLL") else None
    if trim is not None:
        trim(0)
