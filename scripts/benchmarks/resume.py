"""How soon a run goes on from the middle of an epoch, and what writing checkpoints costs a training.

The first step: seconds from `Trainer.fit` to the end of the first step, resumed at batch 500 of an epoch of 1,000,
minus the same from the start, in turn; brain_tissue through aug=medical_elastic, and a network of one convolution, so
that reading skipped samples would show.

Checkpoints: seconds of an epoch of the default training on brain_tissue in which last, previous and best are written,
in a thread beside it, against the next epoch, in which nothing is. Where epochs vary by more than the aim, the second
figure bounds it: the next epoch plus all work on the checkpoints, the writing thread's CPU time among it.
"""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import Comparison
from benchmarks._product import assembled
from segtrain.lightning import L
from segtrain.runs.checkpoint import CheckpointWriter

FIRST_STEP_AIM = 1.0  # s later than a fresh start
CHECKPOINT_AIM = 1.02  # times the epoch without
TINY = {"model": {"_target_": "benchmarks.step.one_convolution"}}
LONG = ["aug=medical_elastic", "data.steps_per_epoch=1000", "trainer.max_epochs=1", "checkpoint.every=500"]


class Enough(Exception):
    """What was to be measured has happened."""


class FirstStep(L.Callback):
    """Ends the training after `steps` steps; when the first one ended."""

    def __init__(self, steps: int) -> None:
        self.left, self.at = steps, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.at = self.at or time.perf_counter()
        self.left -= 1
        if self.left == 0:
            raise Enough


def run(quick: bool) -> list[Comparison]:
    """The first step after a resume, and the cost of checkpoints."""
    return [first_step(3 if quick else 10), *(checkpoints(3, 12) if quick else checkpoints(10, 60))]


def first_step(repeats: int) -> Comparison:
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / "begun"
        resumed, fresh = list[float](), list[float]()
        seconds_to_first_step(begun, 501)
        for i in range(repeats):
            again = Path(folder) / f"again{i}"
            shutil.copytree(begun, again)
            resumed.append(seconds_to_first_step(again, 1))
            fresh.append(seconds_to_first_step(Path(folder) / f"fresh{i}", 1))
    return Comparison(
        name="first step after a resume at batch 500 of 1,000",
        setting="brain_tissue, batch 4, one convolution, in the training process",
        alternative_name="fresh start",
        unit="s",
        figure="difference",
        aim=FIRST_STEP_AIM,
        ours=resumed,
        alternative=fresh,
    )


def seconds_to_first_step(folder: Path, steps: int) -> float:
    first = FirstStep(steps)
    with assembled(LONG, TINY, folder) as (parts, checkpoint):
        parts.trainer.callbacks.append(first)  # type: ignore[attr-defined]
        began = time.perf_counter()
        with contextlib.suppress(Enough):
            parts.trainer.fit(parts.module, parts.data, ckpt_path=checkpoint, weights_only=True)
    return first.at - began


def checkpoints(pairs: int, steps: int) -> list[Comparison]:
    overrides = ["aug=medical_elastic", f"trainer.max_epochs={2 * pairs + 1}", f"data.steps_per_epoch={steps}"]
    with tempfile.TemporaryDirectory() as folder, assembled(overrides, {}, Path(folder)) as (parts, _):
        seconds = Alternating(parts.trainer.checkpoint_callback)
        parts.trainer.callbacks.append(seconds)  # type: ignore[attr-defined]
        parts.trainer.fit(parts.module, parts.data)
        setting = f"brain_tissue, {steps} steps an epoch, {parts.config.trainer.precision}, {parts.device}"
    written, plain = seconds.epochs[1::2], seconds.epochs[2::2]
    names = {
        "an epoch in which its checkpoints are written": written,
        "an epoch, and all work on its checkpoints as if none went on beside it": [
            epoch + work for epoch, work in zip(plain, seconds.work[: len(plain)], strict=True)
        ],
    }
    return [
        Comparison(
            name=name,
            setting=setting,
            alternative_name="one without",
            unit="s",
            figure="ratio",
            aim=CHECKPOINT_AIM,
            ours=ours,
            alternative=plain,
        )
        for name, ours in names.items()
    ]


class Alternating(L.Callback):
    """Each second epoch writes last, previous and best, after its second step, so that all of it falls into it."""

    def __init__(self, recorder: Any) -> None:
        self.recorder, self.save = recorder, recorder._save
        self.epochs: list[float] = []
        self.work: list[float] = []  # seconds a checkpoint held up training, and the CPU time of the writing thread
        self.began = 0.0
        recorder._save = lambda *_: None  # the end of an epoch is between two measurements
        recorder.writer.best = lambda: None

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, number: int) -> None:
        if number == 0:
            self.began = time.perf_counter()
        if number == 2 and trainer.current_epoch % 2 == 1:
            began, writer = time.perf_counter(), self.recorder.writer
            before = writer._thread.submit(time.thread_time).result()
            self.save(trainer, trainer.current_epoch, number)
            CheckpointWriter.best(writer)
            self.work.append(time.perf_counter() - began)
            self.spent = writer._thread.submit(lambda: time.thread_time() - before)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        if number == trainer.num_training_batches - 1:
            self.recorder.writer.wait()
            self.epochs.append(time.perf_counter() - self.began)
            if trainer.current_epoch % 2 == 1:
                self.work[-1] += self.spent.result()
