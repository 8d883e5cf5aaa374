"""Builds learning-rate schedules over `steps`, the optimizer steps of the whole training, below the optimizer's lr.

Every function takes (optimizer, *, steps, …) and returns a torch scheduler, stepped once after each optimizer
step (plateau: once an epoch with val/dice).

The state of a schedule is how far it has come; its curve is that of its making. So a schedule of the same values goes
on exactly where it stopped, and one over more steps gives the next step the lr that a training of that many steps has
there: a schedule that had come down rises again.
"""

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from segtrain.errors import UserError


class Curve(LambdaLR):
    """Makes lr a function of the step."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to the step that the state has reached, after the optimizer's state is loaded."""
        _go_to(self, state_dict)


class OneCycle(OneCycleLR):
    """Makes lr, and momentum against it, functions of the step."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to the step that the state has reached, after the optimizer's state is loaded.

        Raises:
            UserError: that step is behind the last one.
        """
        done = state_dict["last_epoch"]
        if done > self.total_steps:
            raise UserError(
                f"scheduler=one_cycle ends after {self.total_steps} optimizer steps, and {done} are done; expected a "
                "training of as many or more; give more trainer.max_epochs or data.steps_per_epoch, or begin a new run "
                "with name=… (init_from=RUN gives it these weights)"
            )
        _go_to(self, state_dict)


class Plateau(ReduceLROnPlateau):
    """Lets lr be as the scores have made it, which the optimizer's state holds."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what it has seen of the scores."""
        seen = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")
        super().load_state_dict({key: state_dict[key] for key in seen})


def cosine(optimizer: Optimizer, *, steps: int, warmup: float = 0.05, floor: float = 0.0) -> Curve:
    """Returns a straight warm-up over the first share of the steps, then half a cosine down to floor x lr.

    Args:
        optimizer: its lr is the peak.
        steps: optimizer steps of the whole training.
        warmup: share of the steps, in [0, 1).
        floor: share of lr that is reached after the last step, in [0, 1].

    Raises:
        UserError: a value out of its range.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, one period; warm-up, Goyal et al. 2017
    (arXiv 1706.02677), section 2.2.
    """
    _require("warmup", warmup, 0 <= warmup < 1, "in [0, 1)")
    _require("floor", floor, 0 <= floor <= 1, "in [0, 1]")
    rising = round(warmup * steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)  # + 1: the first step moves already, and step `rising` is the peak
        done = min((step - rising) / max(steps - rising, 1), 1.0)
        return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2

    return Curve(optimizer, factor)


def poly(optimizer: Optimizer, *, steps: int, power: float = 0.9) -> Curve:
    """Lets lr fall as (1 - step / steps)^power, to 0 after the last step.

    Raises:
        UserError: power is not above 0.

    Source: Chen et al. 2017 (arXiv 1606.00915), section 4.1.
    """
    _require("power", power, power > 0, "a number > 0")

    def factor(step: int) -> float:
        return float(max(1 - step / steps, 0.0) ** power)

    return Curve(optimizer, factor)


def one_cycle(optimizer: Optimizer, *, steps: int, warmup: float = 0.3, cycle_momentum: bool = True) -> OneCycle:
    """Takes lr up from lr / 25 over the first share of the steps, and down to lr / 250,000 at the last one.

    Args:
        optimizer: its lr is the peak.
        steps: optimizer steps of the whole training; a further one raises.
        warmup: share of the steps, in (0, 1).
        cycle_momentum: let momentum (Adam: beta 1) move against lr between .85 and .95.

    Raises:
        UserError: warmup is out of its range.

    Source: Smith & Topin 2018 (arXiv 1708.07120); torch's OneCycleLR and its constants.
    """
    _require("warmup", warmup, 0 < warmup < 1, "in (0, 1)")
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    return OneCycle(optimizer, peaks, steps, pct_start=warmup, cycle_momentum=cycle_momentum)


def plateau(
    optimizer: Optimizer, *, steps: int, factor: float = 0.5, patience: int = 5, floor: float = 0.001
) -> Plateau:
    """Multiplies lr by factor when the watched score, larger is better, did not grow for `patience` epochs.

    Args:
        optimizer: starts at its lr.
        steps: taken like everywhere, and of no effect: this schedule follows the score.
        factor: in (0, 1).
        patience: epochs without growth (by a ten-thousandth of the score) that are waited.
        floor: share of lr below which it does not go, in [0, 1].

    Raises:
        UserError: a value out of its range.
    """
    _require("factor", factor, 0 < factor < 1, "in (0, 1)")
    _require("patience", patience, patience >= 0, "a whole number ≥ 0")
    _require("floor", floor, 0 <= floor <= 1, "in [0, 1]")
    lowest = [floor * float(group["lr"]) for group in optimizer.param_groups]
    return Plateau(optimizer, mode="max", factor=factor, patience=patience, min_lr=lowest)


def constant(optimizer: Optimizer, *, steps: int) -> Curve:
    """Keeps the optimizer's lr at every step, however many steps there are."""
    return Curve(optimizer, lambda step: 1.0)


def _go_to(scheduler: LRScheduler, state: Mapping[str, Any]) -> None:
    """Sets lr to that of the step that the state has reached; nothing else of the state is taken."""
    scheduler.last_epoch, scheduler._step_count = state["last_epoch"] - 1, 0  # 0: a first step, which is not warned of
    scheduler.step()
    scheduler._step_count = state["_step_count"]


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(
            f"scheduler.{name} is out of its range; expected {expected}; got {value}; change scheduler.{name}"
        )
