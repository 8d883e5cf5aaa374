"""Trains one run in several processes, of which the first alone writes and speaks."""

from typing import Any

from segtrain.app.train.fit_run import fit, fit_beside
from segtrain.app.train.open_run import Opened
from segtrain.app.train.other_programs import CoreTimes
from segtrain.config.composition import command_under_way
from segtrain.interrupts import Stops
from segtrain.parts.company import working_together
from segtrain.parts.data import OpenData
from segtrain.parts.device import gpus_of, ranks_of
from segtrain.parts.members import Errand

PRELOAD = ("segtrain.app.train.fit_run", "segtrain.aug", "segmentation_models_pytorch", "albumentations")


def fit_together(
    opened: Opened, data: OpenData | None, stops: Stops, began: float, before: CoreTimes | None
) -> dict[str, Any]:
    """Returns the flat results of the run, as `fit` does, trained by as many processes as its config has devices."""
    trainer = opened.config.trainer
    gpus = gpus_of(trainer.accelerator, trainer["devices"])
    errand = Errand(fit_beside, (opened,), command_under_way(), gpus)
    with working_together(ranks_of(trainer), errand, PRELOAD) as ranks:
        return fit(opened, data, stops, began, before, ranks)
