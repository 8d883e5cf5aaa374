"""Says what a run does: to the terminal as fits it, and to train.log as plain text."""

import io
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from segtrain.files import BEYOND_UTF8, appended, explained
from segtrain.lightning import L
from segtrain.printable import one_line
from segtrain.runs.epochs import number_of
from segtrain.screen import Screen

REFRESH = 0.25  # seconds between updates of the bar: fast enough for the eye, too rare to cost anything


class Terminal:
    """Writes to standard output and to a log file; colours and a bar only where standard output is a terminal."""

    def __init__(self, log: Path | None) -> None:
        """Opens `log`, to append to it; without one it says nothing, as another process than the first."""
        self._file: TextIO
        if log is None:
            self._file = io.TextIOWrapper(io.BytesIO(), "utf-8", BEYOND_UTF8)
            self.console = self._log = Screen(file=io.StringIO(), force_terminal=False)
            return
        self.console = Screen(soft_wrap=True)
        with explained(log):
            self._file = io.TextIOWrapper(io.BufferedWriter(appended(log)), "utf-8", BEYOND_UTF8)
        self._log = Screen(file=self._file, soft_wrap=True, width=120)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._log.print(one_line(f"ended by {type(error).__name__}: {error}"))
        self._file.close()

    def say(self, what: RenderableType) -> None:
        """Prints to both; a text is one line of the log, whatever names are in it."""
        what = one_line(what) if isinstance(what, str) else what
        self.console.print(what)
        self._log.print(what)
        self._file.flush()

    def note(self, what: str, *, on_screen: bool) -> None:
        """Prints to the log, and to the screen on demand."""
        if on_screen:
            self.console.print(what)
        self._log.print(what)
        self._file.flush()


class ProgressBar(L.Callback):
    """Shows a bar over all steps with loss, val/dice and time left; without a terminal one line an epoch."""

    def __init__(self, terminal: Terminal) -> None:
        """Reports to `terminal`."""
        self.terminal, self._drawn = terminal, 0.0
        self._bar: Bar | None = None
        self._task: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the bar."""
        if not self.terminal.console.is_terminal:
            return
        text = TextColumn("epoch {task.fields[epoch]}  loss {task.fields[loss]}  val/dice {task.fields[dice]}")
        self._bar = Bar(BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn(), console=self.terminal.console)
        total = int(trainer.max_epochs or 1) * int(trainer.num_training_batches)
        done = trainer.current_epoch * int(trainer.num_training_batches)
        epoch = number_of(trainer.current_epoch)
        self._task = self._bar.add_task("", total=total, completed=done, epoch=epoch, loss="-", dice="-")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar, at most four times a second."""
        if self._bar is None or time.monotonic() - self._drawn < REFRESH:
            return
        self._drawn = time.monotonic()
        done = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1
        loss = f"{pl_module.losses(50).mean():.3f}"  # type: ignore[operator]
        self._bar.update(self._task, completed=done, epoch=number_of(trainer.current_epoch), loss=loss)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows val/dice."""
        dice = float(trainer.callback_metrics["val/dice"])
        if self._bar is not None:
            self._bar.update(self._task, dice=f"{dice:.4f}")

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Says how the last epoch went, in the log and where there is no bar."""
        self._line(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Closes the bar."""
        self._line(trainer)
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Closes the bar, so that the message stands below it."""
        self._close()

    def _line(self, trainer: L.Trainer) -> None:
        row = trainer.checkpoint_callback.row  # type: ignore[union-attr]  # the recorder's
        if row:
            scores = "  ".join(f"{key} {row[key]:.4f}" for key in ("train/loss", "val/loss", "val/dice") if key in row)
            epoch = f"epoch {number_of(row['epoch'])}/{trainer.max_epochs}"
            self.terminal.note(f"{epoch}  {scores}", on_screen=self._bar is None)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
