"""Tests a range of learning rates: one short training in which the rate grows from step to step, by a constant factor.

Lightning's own finder is not taken: it gives every group of parameters one rate, and so leaves `encoder_lr` out, and
it writes and restores checkpoints around a training that there is none of here.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from segtrain.app.train.assembly import build_module
from segtrain.app.train.initial_weights import read_weights
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.lightning import L
from segtrain.model.initial import begin_with
from segtrain.model.module import Segmentation
from segtrain.parts.feeding import Feeding, build_data
from segtrain.runs.find_run import weights_file

LEAST, MOST = 1e-7, 10.0  # rates of the first step and of the last: fast.ai's and Lightning's range, and a decade more
STEPS = 100  # optimizer steps: 12 to a decade
DIVERGED = 4.0  # times the lowest loss; as fast.ai and Lightning have it
WINDOW = 9  # steps that a smoothed loss is the mean of; centred, so that it does not lag behind the rate
BELOW = 10.0  # a rate is suggested so many times below the one of the lowest loss


class RatedLoss(NamedTuple):
    """Holds the rate of a step and the loss that it was taken at."""

    rate: float
    loss: float


def measure_range(config: RunConfig, dataset: SegmentationDataset) -> list[RatedLoss]:
    """Returns a reading of each step, until the loss diverges; nothing is written, and no run is begun.

    Source: Smith 2017 (arXiv 1506.01186), section 3.3, the learning rate range test, with steps of a constant factor.

    Args:
        config: of the training, decided.
        dataset: its data.
    """
    torch.set_num_threads(config.threads)
    L.seed_everything(config.seed, verbose=False)
    batches = STEPS * config.trainer.accumulate_grad_batches
    feeding = Feeding(config, dataset)
    data = build_data(config.changed({"data.steps_per_epoch": batches}), feeding)
    module = build_module(config, feeding, data)
    if config.init_from is not None:
        begin_with(module.network, read_weights(weights_file(config.init_from, Path(config.outputs))), dataset.channels)
    module.scheduler, module.steps = growing, STEPS
    readings = RatedLosses()
    asked = {"max_epochs": 1, "max_steps": STEPS, "limit_train_batches": batches, "limit_val_batches": 0}
    node = config.trainer.but(
        **asked, check_val_every_n_epoch=1, val_check_interval=None, min_epochs=None, min_steps=None
    )
    trainer: L.Trainer = build(
        node,
        callbacks=[readings],
        deterministic=config.deterministic,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data)
    return readings.found


def growing(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Returns the scheduler of the test: the first group's rate from LEAST to MOST, the others' in proportion."""
    first = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr"] = LEAST * (group["lr"] / first if first else 1.0)
    return LambdaLR(optimizer, lambda step: (MOST / LEAST) ** (step / (steps - 1)))


class RatedLosses(L.Callback):
    """Notes rate and loss of each optimizer step, and ends the test where the loss diverges."""

    def __init__(self) -> None:
        """Begins with none."""
        self.found: list[RatedLoss] = []
        self._losses: list[float] = []
        self._rate = math.nan

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes the rate of the step to come."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Notes the loss, the mean of the batches of a step."""
        assert isinstance(pl_module, Segmentation)
        self._losses.append(pl_module.newest_loss())
        if len(self._losses) < trainer.accumulate_grad_batches:
            return
        reading = RatedLoss(self._rate, sum(self._losses) / len(self._losses))
        self._losses = []
        if not math.isfinite(reading.loss):
            trainer.should_stop = True
            return
        self.found.append(reading)
        least = min(smoothed([one.loss for one in self.found]))
        if len(self.found) > WINDOW and smoothed([one.loss for one in self.found[-WINDOW:]])[-1] > DIVERGED * least:
            trainer.should_stop = True


def smoothed(losses: Sequence[float]) -> list[float]:
    """Returns the mean of the WINDOW losses about each, of fewer at the ends."""
    values, half = np.asarray(losses, float), WINDOW // 2
    return [float(values[max(0, i - half) : i + half + 1].mean()) for i in range(len(values))]


def suggested_rate(readings: Sequence[RatedLoss]) -> float | None:
    """Returns a tenth of the rate at which the smoothed loss is lowest; None where it never fell.

    At the lowest loss itself the rate is about to be too large. The steepest descent, the other usual choice, moves by
    decades with the noise of single batches.
    Source: Howard and Gugger 2020 (fastai, arXiv 2002.04688), lr_find: the minimum divided by ten.
    """
    losses = smoothed([one.loss for one in readings])
    if not losses:
        return None
    lowest = int(np.argmin(losses))
    return None if lowest == 0 or losses[lowest] >= losses[0] else readings[lowest].rate / BELOW
