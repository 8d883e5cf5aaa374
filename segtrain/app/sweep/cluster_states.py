"""What jobs are at, read from their run folders: for engines that do not say."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple

from segtrain.app.sweep.pool import Outcome
from segtrain.app.sweep.watch import Watch
from segtrain.runs.folder import RunFolder

EVERY = 2.0  # seconds between two looks: a run folder may lie on a network


class Distant(NamedTuple):
    """A job at work somewhere."""

    name: str
    began: float  # as time.monotonic


class Following:
    """Shows, from a thread of its own, which jobs run, and tells each when it ends."""

    def __init__(self, watch: Watch, folders: Sequence[str], outcome: Callable[[str], Outcome]) -> None:
        """Of the runs in these folders; `outcome` says how the run in one has ended."""
        self.watch, self.outcome = watch, outcome
        self.before = {folder: status(folder) for folder in folders}
        self.ended: dict[str, Outcome] = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Following":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()

    def _follow(self) -> None:
        while not self.over.wait(EVERY):
            now = {f: s for f, before in self.before.items() if (s := status(f)) != before and f not in self.ended}
            ended = [folder for folder, s in now.items() if s.get("state") in ("finished", "failed")]
            if len(self.ended) + len(ended) < len(self.before):  # the last one is told when the engine returns
                self.ended |= {folder: self.outcome(folder) for folder in ended}
            running = [Distant(f, _began(s["started_at"])) for f, s in now.items() if s.get("state") == "running"]
            self.watch(running, list(self.ended.values()))


def status(folder: str) -> dict[str, Any]:
    """What status.json says; nothing where no run has begun."""
    run = RunFolder(folder)
    return run.status if run.exists else {}


def _began(when: str) -> float:
    return time.monotonic() - (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
