"""What deterministic kernels cost: a training step with deterministic=true against one with false.

The same network, batches and plain loop; torch is switched before each epoch, in turn. On a CPU most kernels are
deterministic anyway; on a GPU the figure is what `deterministic=false` would save.
"""

import tempfile
from pathlib import Path

import torch

from benchmarks import Comparison
from benchmarks._loops import PlainLoop
from benchmarks._product import training

AIM = 1.5  # times: more would call for another default
SIZE, BATCH = 128, 8


def run(quick: bool) -> list[Comparison]:
    """One comparison, of unet_resnet18."""
    steps, repeats = (5, 4) if quick else (20, 12)
    overrides = ["dataset=shapes", f"dataset.size={SIZE}", "aug=none", "data.crop=null", "trainer.max_epochs=1000"]
    overrides += [f"data.batch_size={BATCH}", f"data.steps_per_epoch={steps}"]
    found: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder, training(overrides, {}, Path(folder)) as (parts, data):
        trainer = parts.config.trainer
        module = parts.module.to("cuda" if trainer.accelerator == "gpu" else "cpu")
        loop = PlainLoop(module, data.train_dataloader(), trainer.precision, trainer.gradient_clip_val)
        for turn in range(repeats + 1):
            for deterministic in (True, False):
                torch.use_deterministic_algorithms(deterministic)
                torch.backends.cudnn.benchmark = not deterministic
                taken = loop.epoch()
                found[deterministic] += [taken] if turn else []  # the first warms up
        setting = f"unet_resnet18, batch {BATCH} of {SIZE} x {SIZE}, {trainer.precision}, {parts.device}"
    return [
        Comparison(
            name="a step with deterministic=true",
            setting=setting,
            alternative_name="deterministic=false",
            unit="ms",
            figure="ratio",
            aim=AIM,
            ours=found[True],
            alternative=found[False],
        )
    ]
