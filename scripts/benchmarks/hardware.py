"""What each of the hardware's offers is worth: a training step with it against one without, on the device at hand.

channels_last, the precision that `auto` chooses against 32-true, fused optimizers, and compiled steps: with the time
that compiling takes, and after how many steps that has paid, on unet_resnet18 (a GPU: unet_resnet34). A loop of our own
over the same ready batches, each variant an epoch in turn. They are on by default but for compile, whose steps must be
many.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import Comparison
from benchmarks._loops import PlainLoop
from benchmarks._product import training

NONE = math.inf  # compile is off by default: there is no aim


@dataclass(frozen=True)
class Compiled(Comparison):
    """Says after how many steps compiling has paid."""

    seconds: float = 0.0  # that the first step took longer

    @property
    def break_even(self) -> float:
        """Steps; infinite where a compiled step is no shorter."""
        saved = statistics.median(self.alternative) - statistics.median(self.ours)
        return 1000 * self.seconds / saved if saved > 0 and self.median < 1 else float("inf")

    def text(self) -> str:
        paid = "has not paid after any number of steps" if self.break_even == float("inf") else "pays"
        after = "" if self.break_even == float("inf") else f" after {self.break_even:.0f} steps"
        return f"{super().text()}\n  compiling took {self.seconds:.0f} s, which {paid}{after}"

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "break_even": self.break_even}


def run(quick: bool) -> list[Comparison]:
    """A comparison of each offer."""
    is_gpu = torch.cuda.is_available()
    side, batch = (512, 32) if is_gpu else (96, 4)
    encoder = "resnet34" if is_gpu else "resnet18"
    steps, turns = (4, 4) if quick else (20, 8)
    overrides = ["dataset=shapes", f"dataset.size={side}", "aug=none", "data.crop=null", f"data.batch_size={batch}"]
    overrides += [f"model.encoder_name={encoder}", f"data.steps_per_epoch={steps}", "deterministic=warn"]
    with tempfile.TemporaryDirectory() as folder, training(overrides, {}, Path(folder)) as (parts, data):
        chosen = str(parts.config.trainer.precision)
        module = parts.module.to("cuda" if is_gpu else "cpu")
        setting = f"unet_{encoder}, batch {batch} of {side} x {side}, {parts.device}, {parts.config.threads} threads"
        loader = data.train_dataloader()

        def loop(**more: Any) -> PlainLoop:
            return PlainLoop(module, loader, more.pop("precision", chosen), 1.0, **more)

        found = [
            in_turn("channels_last", setting, "NCHW", loop(), in_nchw(loop()), turns),
            *(
                [in_turn(chosen, setting, "32-true", loop(), loop(precision="32-true"), turns)]
                if is_low(chosen)
                else []
            ),
            *(
                in_turn(f"fused {name}", setting, "not fused", with_optimizer(loop(), make, True), of_many, turns)
                for name, make in (("AdamW", adamw), ("SGD", sgd))
                for of_many in [with_optimizer(loop(), make, False)]
            ),
        ]
        return [*found, compiled(loop, setting, turns)]


def is_low(precision: str) -> bool:
    return precision != "32-true"


def in_turn(
    name: str, setting: str, other: str, ours: PlainLoop, theirs: PlainLoop, turns: int, aim: float = 1.0
) -> Comparison:
    """ms a step of both, epoch by epoch; the first warms up."""
    samples = [(ours.epoch(), theirs.epoch()) for _ in range(turns + 1)][1:]
    mine, others = zip(*samples, strict=True)
    return Comparison(f"a step with {name}", setting, other, "ms", "ratio", aim, mine, others, ours_name=name)


def compiled(loop: Callable[..., PlainLoop], setting: str, turns: int) -> Comparison:
    """The same of compiled steps, after they are compiled."""
    eager, fast = loop(), loop(compiled=True)
    eager.epoch()
    began = time.monotonic()
    fast.epoch()  # its first step compiles, forward and backward
    first = time.monotonic() - began
    measured = in_turn("compile=true", setting, "compile=false", fast, eager, turns, NONE)
    usual = len(list(fast.loader)) * statistics.median(measured.ours) / 1000
    return Compiled(**vars(measured), seconds=max(0.0, first - usual))


def in_nchw(loop: PlainLoop) -> PlainLoop:
    loop.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    loop.layout = torch.contiguous_format
    return loop


def with_optimizer(loop: PlainLoop, make: Callable[[Sequence[Any], bool], Any], fused: bool) -> PlainLoop:
    loop.optimizer = make(list(loop.network.parameters()), fused)
    loop.scheduler = torch.optim.lr_scheduler.ConstantLR(loop.optimizer, 1.0)
    return loop


def adamw(parameters: Sequence[Any], fused: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, 1e-3, fused=fused)


def sgd(parameters: Sequence[Any], fused: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.01, 0.9, nesterov=True, weight_decay=1e-4, fused=fused)
