"""Our training step against a plain PyTorch loop doing the same work on the same batches.

Ours is what the train verb builds: its callbacks, recorder, progress bar, checkpoints and log, all on, in one
`Trainer.fit`. The plain loop trains a copy of the same network, from the same weights, with the same loss,
optimizer, schedule, precision and clipping; its turn comes before each epoch of ours. Both read the same ready
batches, and in the end their weights must be equal to the bit, so that the work is known to be the same. A sample
is the mean time from one step's start to the next over an epoch; what happens once an epoch (validation,
checkpoint) is in neither.

Two figures: the ratio for unet_resnet18 on 128 x 128 pixels, batch 8; and, with a network of one convolution on
32 x 32 pixels, the fixed cost a step: ours - plain, in milliseconds.
"""

import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks import Comparison
from benchmarks._loops import Turns
from benchmarks._product import training

RATIO_AIM = 1.03
FIXED_COST_AIM = 0.35  # ms a step
BATCH = 8


def run(quick: bool) -> list[Comparison]:
    """The ratio for a real network and the fixed cost with a tiny one."""
    common: dict[str, Any] = {"alternative_name": "plain loop", "unit": "ms"}
    network = measure("unet_resnet18", {}, size=128, steps=5 if quick else 20, seconds=16 if quick else 180)
    tiny_model = {"model": {"_target_": "benchmarks.step.one_convolution"}}
    tiny = measure("one convolution", tiny_model, size=32, steps=100, seconds=10 if quick else 30)
    return [
        Comparison("step of unet_resnet18", figure="ratio", aim=RATIO_AIM, **network, **common),
        Comparison("fixed cost of a step", figure="difference", aim=FIXED_COST_AIM, **tiny, **common),
    ]


def one_convolution(in_channels: int, classes: int) -> nn.Module:
    """A network that costs next to nothing."""
    return nn.Conv2d(in_channels, classes, 1)


def measure(model: str, changes: dict[str, Any], *, size: int, steps: int, seconds: float) -> dict[str, Any]:
    """Setting and paired samples of both loops, ms a step; the first epoch warms up and is left out.

    Epochs of `steps` steps, as many as fit into `seconds`, 30 at most.

    Raises:
        RuntimeError: the weights differ in the end.
    """
    overrides = ["dataset=shapes", f"dataset.size={size}", "model=unet_resnet18", "aug=none", "data.crop=null"]
    overrides += [f"data.batch_size={BATCH}", f"data.steps_per_epoch={steps}", "trainer.max_epochs=30"]
    with tempfile.TemporaryDirectory() as folder, training(overrides, changes, Path(folder)) as (parts, data):
        trainer = parts.config.trainer
        turns = Turns(data.train_dataloader(), trainer.precision, trainer.gradient_clip_val, seconds)
        parts.trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        parts.trainer.fit(parts.module, data)
        setting = f"{model}, batch {BATCH} of {size} x {size}, {trainer.precision}, {parts.device}"
        setting += f", {parts.config.threads} threads"
    return {"setting": setting, "ours": turns.ours[1:], "alternative": turns.plain[1:]}
