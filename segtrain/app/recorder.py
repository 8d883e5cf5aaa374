"""What is kept of a training: a row an epoch, and whole checkpoints."""

import time
from pathlib import Path
from typing import Any

from segtrain.lightning import L
from segtrain.runs import checkpoint
from segtrain.runs.folder import RunFolder


class AtomicCheckpoints(L.fabric.plugins.CheckpointIO):
    """Lightning's checkpoints, written whole with a checksum and read back only if undamaged."""

    def save_checkpoint(self, checkpoint_: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Make `path` the newest checkpoint of its folder."""
        checkpoint.save_last(checkpoint_, Path(path).parent)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """The checkpoint at `path`, on the CPU; plain tensors and containers only."""
        return checkpoint.read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


class Recorder(L.pytorch.callbacks.Checkpoint):
    """After each epoch: a row in metrics.csv, a checkpoint, and a copy of it when val/dice is the best so far.

    A Lightning Checkpoint callback, because those run after the module has logged its epoch.
    """

    def __init__(self, run: RunFolder) -> None:
        """Record into `run`."""
        self.run, self.best, self._began = run, float("-inf"), time.monotonic()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the epoch."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the epoch."""
        row: dict[str, float | int] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        row |= {key: float(value) for key, value in trainer.callback_metrics.items()}
        row["seconds"] = round(time.monotonic() - self._began, 3)
        dice = row.get("val/dice", float("nan"))
        is_best = dice > self.best or not (self.run.checkpoints / "best.ckpt").exists()
        self.best = dice if is_best else self.best
        trainer.save_checkpoint(self.run.checkpoints / "last.ckpt")
        if is_best:
            checkpoint.save_best(self.run.checkpoints)
        self.run.metrics.append(row)

    def state_dict(self) -> dict[str, Any]:
        """The best val/dice so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best val/dice of a checkpoint."""
        self.best = state_dict["best"]
