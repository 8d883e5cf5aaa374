"""Records a training: a row an epoch, and whole checkpoints from which it goes on with the same bits."""

import math
import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segtrain.app.train.data_wait import DataWait
from segtrain.app.train.logbook import Logbook
from segtrain.aug.trace import trace_policy
from segtrain.command_line import command
from segtrain.data.datamodule import DataModule
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.model.module import Segmentation
from segtrain.model.ranks import ALONE, Ranks
from segtrain.runs import checkpoint
from segtrain.runs.checkpoint import CheckpointWriter
from segtrain.runs.contents import is_whole
from segtrain.runs.epochs import number_of, written
from segtrain.runs.folder import RunFolder

EVERY = 25  # batches between looks on a GPU, where each look waits for the device


class NonFinite(L.Callback):
    """Looks at the losses: after each batch on a CPU, every 25 on a GPU, and before each checkpoint."""

    def __init__(self, run: RunFolder) -> None:
        """Holds the run that what is found is written to."""
        self.run = run

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Looks at the newest losses."""
        if pl_module.device.type == "cpu":
            assert isinstance(pl_module, Segmentation)
            if not math.isfinite(pl_module.newest_loss()):
                self.look(trainer, pl_module, 1)
        elif batch_idx % EVERY == EVERY - 1:
            self.look(trainer, pl_module, EVERY)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks at what is left, before the module forgets it."""
        self.look(trainer, pl_module, EVERY)

    def look(self, trainer: L.Trainer, pl_module: L.LightningModule, last: int) -> None:
        """Raises UserError if one of the `last` losses is not finite."""
        assert isinstance(pl_module, Segmentation)
        losses = pl_module.losses(last).numpy()
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            number = len(pl_module.losses()) - len(losses) + int(bad[0])
            raise self._stop(trainer, number, float(losses[bad[0]]))

    def _stop(self, trainer: L.Trainer, number: int, loss: float) -> UserError:
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        epoch, dataset = trainer.current_epoch, data.dataset
        keys = data.keys(epoch, number)
        samples = []
        for index, view in keys:
            key = (data.seed, epoch, index, view)
            drawn = trace_policy(data.policy.at(epoch), *dataset.read(index), key)[1]
            samples.append({"id": dataset.ids[index], **written("epoch", epoch), "view": view, "drawn": drawn})
        word = "nan" if math.isnan(loss) else "infinite"
        at = written("epoch", epoch) | written("batch", number)
        where: Any = "the run's folder"
        if trainer.is_global_zero:
            where = self.run.write_nonfinite({"loss": word, **at, "samples": samples})
        names = ", ".join(f"{sample['id']}" for sample in samples)
        first = samples[0]
        at_epoch = f"epoch={number_of(epoch)}"
        which = (f"replay={self.run.path}", f"sample={first['id']}", at_epoch, f"view={first['view']}")
        look = command("preview", *which, conf="")
        return UserError(
            f"the loss became {word} in epoch {number_of(epoch)}, batch {number_of(number)}, on the samples {names}; "
            f"expected a finite number; their draws are in {where}; look at them with\n"
            f"  {look}\nif they look sound lower optimizer.lr or aug.strength, or compute in "
            "trainer.precision=32-true; the checkpoints are from before"
        )


class CheckpointTimer:
    """Says when a checkpoint within an epoch is due: each so many steps, or minutes."""

    def __init__(self, interval: int | str | None) -> None:
        """Takes a number of steps, minutes as '15min', or None: only at the end of an epoch."""
        minutes = re.fullmatch(r"(\d+(?:\.\d+)?)min", str(interval))
        self.steps = interval if isinstance(interval, int) else None
        self.seconds = 60 * float(minutes[1]) if minutes else None
        self._last = time.monotonic()

    def due(self, step: int) -> bool:
        """Returns whether one is due after this optimizer step."""
        if self.steps is not None:
            return step % self.steps == 0
        return self.seconds is not None and time.monotonic() - self._last >= self.seconds

    def done(self) -> None:
        """Notes that one was written."""
        self._last = time.monotonic()


class Recorder(L.pytorch.callbacks.Checkpoint):
    """Writes after each epoch a row of metrics.csv and a checkpoint, best when val/dice is, and checkpoints in between.

    A Lightning Checkpoint callback, because those run after the module and every other callback.
    """

    def __init__(
        self,
        run: RunFolder,
        writer: CheckpointWriter,
        every: CheckpointTimer,
        logbook: Logbook,
        stops: Stops,
        wait: DataWait | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """Records into `run` and `logbook`; checkpoints in between come at `every`, and when `stops` is asked.

        What `wait` measured, a callback before this one, goes into the row. Of several `ranks` the first alone writes.
        """
        self.wait, self.ranks = wait or DataWait(), ranks
        self.run, self.writer, self.every, self.logbook, self.stops = run, writer, every, logbook, stops
        self.best, self.best_epoch = float("-inf"), -1
        self.row: dict[str, float | int] = {}  # the newest of metrics.csv
        self._loaded: dict[str, Any] | None = None
        self._validated = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Takes up, after a resume, random states, a stop that was due, and what a crash kept from being written."""
        self.every.done()
        if self._loaded is None:
            if not self.ranks.is_first:
                torch.manual_seed(torch.initial_seed() + self.ranks.rank)  # dropout of another share is another
            return
        self._take_up_random(self._loaded)
        if self.ranks.is_first:
            done = self.run.metrics.rows()
            self.logbook.catch_up(done)
            at_epochs_end = trainer.datamodule.batches == 0  # type: ignore[attr-defined]
            if done and at_epochs_end and self.best_epoch == done[-1]["epoch"]:
                self.writer.best()  # the crash may have come between last and best
        stopping = trainer.early_stopping_callbacks
        trainer.should_stop = any(s.wait_count >= s.patience for s in stopping)

    def _take_up_random(self, loaded: dict[str, Any]) -> None:
        """Goes on with the random states of this rank; of another number of ranks each has a new stream."""
        states, ranks = [loaded["random"], *loaded.get("random_of_others", [])], self.ranks
        is_same = len(states) == ranks.count
        _set_random_states(states[ranks.rank if is_same else 0], ranks.is_alone)
        if not is_same and not ranks.is_first:
            torch.manual_seed(int(torch.randint(2**62, ())) + ranks.rank)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes a checkpoint within the epoch when it is due, and the last before a stop."""
        done = batch_idx + 1
        stepped = done % trainer.accumulate_grad_batches == 0
        within = stepped and done < trainer.num_training_batches  # the last batch is followed by the epoch's own
        if not stepped:
            return
        stop, is_due = self._agree(self.stops.asked, self.every.due(trainer.global_step))
        if within and (stop or is_due):
            self._save(trainer, trainer.current_epoch, done)
        if stop and not self.ranks.is_alone:
            self.stops.asked = stop
        if stop or self.ranks.is_alone:  # of several all stop after the same step
            self.stops.check()

    def _agree(self, asked: int | None, is_due: bool) -> tuple[int, bool]:
        """Returns the signal that any rank was asked to stop by, 0 for none, and whether the first has one due."""
        if self.ranks.is_alone:
            return asked or 0, is_due
        stop, due = self.ranks.agree(asked or 0, int(is_due and self.ranks.is_first))
        return stop, bool(due)

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stops if asked to: an evaluation is not kept, it is done again."""
        self._check()

    def on_test_batch_end(self, *_: Any) -> None:
        """Stops if asked to: the test is not kept either."""
        self._check()

    def _check(self) -> None:
        """Stops if asked to; the others end with the first rank."""
        if self.ranks.is_first:
            self.stops.check()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remembers that this epoch has scores of its own."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records the epoch."""
        row: dict[str, float | int] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        row |= {key: value for key, value in metrics.items() if self._validated or not key.startswith("val/")}
        row |= self.wait.row
        is_best = row.get("val/dice", float("nan")) > self.best or self.best_epoch < 0
        if is_best:
            self.best, self.best_epoch = row.get("val/dice", float("-inf")), trainer.current_epoch
        self._validated, self.row = False, row
        if self.ranks.is_first:
            self.run.metrics.append(row)  # first: a row without its checkpoint is cut off when the run goes on
        self._save(trainer, trainer.current_epoch + 1, 0)
        if not self.ranks.is_first:
            return
        if is_best:
            self.writer.best()
        self.logbook.log(row)
        self.stops.check()

    def _save(self, trainer: L.Trainer, epoch: int, batches: int) -> None:
        """Writes a checkpoint from which training goes on with batch number `batches` of `epoch`."""
        assert isinstance(trainer.lightning_module, Segmentation)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, NonFinite):
                callback.look(trainer, trainer.lightning_module, EVERY)
        data = trainer.datamodule  # type: ignore[attr-defined]
        data.epoch, data.batches = epoch, batches
        trainer.save_checkpoint(self.run.last_checkpoint)
        self.every.done()

    def on_train_end(self, *_: Any) -> None:
        """Returns when the last checkpoint is on the disk."""
        self.writer.wait()

    def on_exception(self, *_: Any) -> None:
        """Returns when the last checkpoint is on the disk, before the run is left."""
        self.writer.wait()

    def state_dict(self) -> dict[str, Any]:
        """Returns the best val/dice so far and its epoch, and the state of every random generator."""
        first, *others = self.ranks.gather(_random_states(self.ranks.is_alone))
        known = {"best": self.best, "best_epoch": self.best_epoch, "random": first}
        return known if self.ranks.is_alone else {**known, "random_of_others": others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what a checkpoint holds; the random states when training starts.

        Raises:
            UserError: it holds something else.
        """
        if not _is_state(state_dict):
            raise UserError("the checkpoint lacks the best epoch so far, or the states of the random generators")
        self.best, self.best_epoch, self._loaded = state_dict["best"], state_dict["best_epoch"], state_dict


class AtomicCheckpoints(L.fabric.plugins.CheckpointIO):
    """Writes Lightning's checkpoints whole, with a checksum, and reads them back only if undamaged."""

    def __init__(self, writer: CheckpointWriter) -> None:
        """Hands checkpoints to `writer`."""
        self.writer = writer

    def save_checkpoint(self, checkpoint_: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Begins to make it the newest checkpoint of the writer's folder."""
        self.writer.last(checkpoint_)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Returns the checkpoint at `path`, on the CPU; plain tensors and containers only."""
        return checkpoint.read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Deletes a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _random_states(is_alone: bool) -> dict[str, Any]:
    """Returns those of torch, CUDA, Python and NumPy, as plain values; of one among several ranks its own GPU's."""
    name, keys, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and is_alone else []
    if torch.cuda.is_available() and not is_alone:
        cuda = [torch.cuda.get_rng_state()]
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys).tolist(), *rest),
    }


def _is_state(known: dict[str, Any]) -> bool:
    """Returns whether a checkpoint holds what `Recorder.state_dict` gave: generators of the same kinds take it up."""
    try:
        states = known["random"]
        torch.Generator().set_state(states["torch"])
        random.Random().setstate(states["python"])
        np.random.RandomState().set_state(states["numpy"])
        return isinstance(known["best"], float) and is_whole(known["best_epoch"]) and isinstance(states["cuda"], list)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, OverflowError):
        return False


def _set_random_states(states: dict[str, Any], is_alone: bool) -> None:
    torch.set_rng_state(states["torch"])
    if not is_alone:
        if states["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(states["cuda"][0])
    elif len(states["cuda"]) == torch.cuda.device_count():  # another number of devices has other streams
        torch.cuda.set_rng_state_all(states["cuda"])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
