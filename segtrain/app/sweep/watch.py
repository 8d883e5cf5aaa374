"""Says what a sweep does while it runs: in a live table on a terminal, else a line for each job that ends."""

import functools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from segtrain.app.sweep.pool import Outcome
from segtrain.counted import counted
from segtrain.files import text_of
from segtrain.runs.duration import time_in_words
from segtrain.runs.epochs import number_of
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen

TAIL = 15  # lines of a failed job's log that are shown
LOG = "job.log"
BAD = ("failed", "refused", "timed out")


class AtWork(Protocol):
    """Says of a running job what is shown of it."""

    @property
    def name(self) -> str:
        """Returns its run folder."""

    @property
    def began(self) -> float:
        """Returns when it began, as time.monotonic."""


class Watch:
    """Shows what runs and what ended, when it is called."""

    def __init__(
        self, names: Mapping[str, str], slots: int | None, score: str = "test/dice", *, tells_skipped: bool = True
    ) -> None:
        """Begins to watch.

        Args:
            names: what each job is called here, by folder.
            slots: how many run at a time; None where others say.
            score: that is shown of a job that ended.
            tells_skipped: whether a job that was finished before has a line too, or is counted only.
        """
        self.score, self.tells_skipped = score, tells_skipped
        self.console = Screen(soft_wrap=True)
        self.names, self.total, self.slots = names, len(names), slots
        self.began, self.told = time.monotonic(), 0
        self.foretold = False  # how long the others take, by the first that ended
        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        parents = sorted({str(Path(folder).parent) for folder in names})
        self.console.print(
            f"{counted(self.total, 'job')}{f', {slots} at a time' if slots else ''}, in {', '.join(parents)}/"
        )

    def __enter__(self) -> "Watch":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def __call__(self, running: Sequence[AtWork], ended: Sequence[Outcome]) -> None:
        """Shows the state; what ended since the last call is told for good."""
        for outcome in ended[self.told :]:
            self.told += 1
            if self.tells_skipped or outcome.answer.state != "skipped":
                self._tell(outcome)
            if outcome.answer.state == "finished" and not self.foretold and len(ended) < self.total:
                self.foretold = True
                self.console.print(self._summary(ended))
        if self.console.is_terminal:
            self.live.update(Group(self._table(running), Text(self._summary(ended))), refresh=True)
        if len(ended) == self.total:
            self.console.print(self._summary(ended))

    def _tell(self, outcome: Outcome) -> None:
        state, message, results = outcome.answer
        dice = (results or {}).get(self.score)
        score = "" if dice is None else f", {self.score} {dice:.4f}"
        said = f": {message}" if message else ""
        head = f"[{self.told}/{self.total}] {self.names[outcome.name]}: {state}{score}, {outcome.seconds:.0f} s{said}"
        bad = state in BAD
        self.console.print(head, style="red" if bad else None)
        if state == "failed":
            self.console.print(_log_tail(Path(outcome.name) / LOG), style="dim")

    def _summary(self, ended: Sequence[Outcome]) -> str:
        counts = Counter(outcome.answer.state for outcome in ended)
        said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "none ended yet"
        left = self.total - len(ended)
        if not left:
            return f"{counted(self.total, 'job')}: {said}; {(time.monotonic() - self.began) / 60:.1f} min"
        worked = [outcome.seconds for outcome in ended if outcome.answer.state == "finished"]
        time_left = (
            f"; about {time_in_words(left * sum(worked) / len(worked) / min(self.slots, left))} left"
            if worked and self.slots
            else ""
        )
        return f"{len(ended)} of {counted(self.total, 'job')}: {said}{time_left}"

    def _table(self, running: Sequence[AtWork]) -> Table:
        table = Table()
        for heading in ("running", "epoch", "val/dice", "min"):
            table.add_column(heading, justify="left" if heading == "running" else "right", overflow="fold")
        for job in running:
            rows = RunFolder(job.name).metrics.rows()
            row = rows[-1] if rows else {}
            epoch = f"{number_of(int(row['epoch']))}/{_epochs(Path(job.name))}" if row else "-"
            dice = f"{row['val/dice']:.4f}" if "val/dice" in row else "-"
            minutes = f"{(time.monotonic() - job.began) / 60:.1f}"
            table.add_row(self.names[job.name], epoch, dice, minutes)
        return table


@functools.cache
def _epochs(run: Path) -> int:
    """Returns the epochs of the whole training, from the run's own config."""
    return int(RunFolder(run).config().trainer.max_epochs)


def _log_tail(log: Path) -> str:
    """Returns the last lines of a log, indented."""
    lines = text_of(log, errors="replace").splitlines()[-TAIL:] if log.exists() else []
    return "\n".join(f"    {line}" for line in lines)
