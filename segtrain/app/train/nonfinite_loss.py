"""A loss that is no number any more: training stops, and the batch it began with can be looked at."""

import math

import numpy as np

from segtrain.aug.trace import traced
from segtrain.command_line import command
from segtrain.data.datamodule import DataModule
from segtrain.errors import UserError
from segtrain.lightning import L
from segtrain.model.module import Segmentation
from segtrain.runs.epochs import number_of, written
from segtrain.runs.folder import RunFolder

EVERY = 25  # batches between looks on a GPU, where each look waits for the device


class NonFinite(L.Callback):
    """Looks at the losses: after each batch on a CPU, every 25 on a GPU, and before each checkpoint."""

    def __init__(self, run: RunFolder) -> None:
        """What is found is written to `run`."""
        self.run = run

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Look at the newest losses."""
        if pl_module.device.type == "cpu":
            assert isinstance(pl_module, Segmentation)
            if not math.isfinite(pl_module.newest_loss()):
                self.look(trainer, pl_module, 1)
        elif batch_idx % EVERY == EVERY - 1:
            self.look(trainer, pl_module, EVERY)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at what is left, before the module forgets it."""
        self.look(trainer, pl_module, EVERY)

    def look(self, trainer: L.Trainer, pl_module: L.LightningModule, last: int) -> None:
        """Raise UserError if one of the `last` losses is not finite."""
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
            drawn = traced(data.policy.at(epoch), *dataset.read(index), key)[1]
            samples.append({"id": dataset.ids[index], **written("epoch", epoch), "view": view, "drawn": drawn})
        word = "nan" if math.isnan(loss) else "infinite"
        at = written("epoch", epoch) | written("batch", number)
        self.run.write_json("nonfinite.json", {"loss": word, **at, "samples": samples})
        names = ", ".join(f"{sample['id']}" for sample in samples)
        first = samples[0]
        at_epoch = f"epoch={number_of(epoch)}"
        which = (f"replay={self.run.path}", f"sample={first['id']}", at_epoch, f"view={first['view']}")
        look = command("preview", *which, conf="")
        return UserError(
            f"the loss became {word} in epoch {number_of(epoch)}, batch {number_of(number)}, on the samples {names}; "
            f"expected a finite number; their draws are in {self.run.path}/nonfinite.json; look at them with\n"
            f"  {look}\nif they look sound lower optimizer.lr or aug.strength, or compute in "
            "trainer.precision=32-true; the checkpoints are from before"
        )
