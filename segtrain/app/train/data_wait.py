"""Says for how much of its time a training waited for data, and what to do about it where that is too much."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from segtrain.config.composition import cores
from segtrain.config.run_config import RunConfig
from segtrain.data.feed import Feed
from segtrain.lightning import L
from segtrain.runs.metrics_csv import DATA_WAIT

MUCH = 0.05  # share of the time above which a way out is said


class DataWait(L.Callback):
    """Measures for which share of an epoch's training the device had to wait for a batch; validation left out."""

    def __init__(self) -> None:
        """Begins with nothing measured."""
        self.row: dict[str, float] = {}  # of metrics.csv, of the newest epoch
        self._began = self._validating = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins an epoch, or what is left of it."""
        self.row, self._began = {}, time.perf_counter()
        self._taken(trainer)

    def on_validation_start(self, *_: Any) -> None:
        """Stops the clock."""
        self._validating = time.perf_counter()

    def on_validation_end(self, *_: Any) -> None:
        """Lets it go on."""
        self._began += time.perf_counter() - self._validating

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Puts the share into the row."""
        waited = self._taken(trainer)  # first: it ends when the device has come so far
        spent = time.perf_counter() - self._began
        if waited is not None and spent > 0:
            self.row = {DATA_WAIT: round(min(1.0, waited / spent), 4)}

    def _taken(self, trainer: L.Trainer) -> float | None:
        feed = trainer.train_dataloader
        return feed.waits.take() if isinstance(feed, Feed) else None


def say_wait(rows: Sequence[Mapping[str, float]], config: RunConfig) -> str:
    """Returns the sentence about the median epoch, with the way out where it waited much; "" where none is known.

    Args:
        rows: of metrics.csv; those of earlier versions lack the share.
        config: of the run, decided.
    """
    known = [row[DATA_WAIT] for row in rows if DATA_WAIT in row]
    if not known:
        return ""
    share = statistics.median(known)
    said = f"{share:.1%} of the training time went by in waiting for data (median epoch)"
    if share <= MUCH:
        return said
    return f"{said}; expected at most {MUCH:.0%}; {_way_out(config)}; results stay the same"


def _way_out(config: RunConfig) -> str:
    workers, ways = config.data.num_workers, []
    if config.data.cache is None:
        ways.append("data.cache=disk, which decodes each image once")
    if workers < cores():
        ways.append(
            f"data.num_workers={min(cores(), max(1, 2 * workers))}, as loader processes work beside the training"
        )
    if not ways:
        ways.append(f"more than this machine's {cores()} cores, which all feed already, or a lighter augmentation")
    return f"give {', or '.join(ways)}"
