"""Runs `python -m segtrain find_lr`: which learning rate a training should have, by 100 steps in which it grows.

It is typed as the training is. No run is begun and none is changed; what comes out is a figure and a number.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import DictConfig

from segtrain.app.train.open_run import decided_config, with_batch_size
from segtrain.command_line import command
from segtrain.config.composition import run_config
from segtrain.config.objects import require_buildable
from segtrain.draw.sheet import DPI, write_figure
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.parts.data import open_data, require_split
from segtrain.parts.limits import require_one_size
from segtrain.printable import print_text
from segtrain.runs.find_run import weights_file
from segtrain.runs.run_files import folder_name

if TYPE_CHECKING:
    from segtrain.app.find_lr.range_test import RatedLoss

NAME, FIGURE = "find_lr.json", "find_lr.png"


def find_lr(config: DictConfig) -> dict[str, Any]:
    """Tests the learning rates, writes find_lr.json and find_lr.png, and says with which command to train.

    Returns:
        The content of find_lr.json.

    Raises:
        UserError: as a training does; or no rate lets the loss fall.
    """
    typed = list(HydraConfig.get().overrides.task)
    wanted = decided_config(run_config(config))
    require_buildable(wanted)
    require_one_size(wanted)
    if wanted.init_from is not None:
        weights_file(str(wanted.init_from), Path(wanted.outputs))
    data = open_data(wanted)
    require_split(wanted, data.dataset)
    decided = with_batch_size(wanted, data)
    from segtrain.app.find_lr import range_test  # torch, which takes seconds: mistakes are told by now

    print_text(f"{range_test.STEPS} steps of growing learning rate, from {range_test.LEAST:g} to {range_test.MOST:g}")
    readings = range_test.measure_range(decided, data.dataset)
    rate = range_test.suggested_rate(readings)
    folder = Path(decided.outputs) / "find_lr" / decided.name / folder_name(typed)
    make_own(folder)
    losses = range_test.smoothed([one.loss for one in readings])
    draw_range(folder / FIGURE, readings, losses, rate)
    rounded = None if rate is None else float(f"{rate:.1e}")
    found = {
        "suggested": rounded,
        "command": None if rounded is None else training_command(typed, rounded, decided.data.batch_size),
        "typed": typed,
        "rates": [one.rate for one in readings],
        "losses": [one.loss for one in readings],
        "smoothed": losses,
    }
    write_whole(folder / NAME, json.dumps(found, indent=1) + "\n")
    if rounded is None:
        raise UserError(
            f"no learning rate from {range_test.LEAST:g} to {range_test.MOST:g} let the loss fall; expected one that "
            f"does; got the curve of {folder / FIGURE}; look at the data and the masks (check), or at the loss"
        )
    print_text(f"suggested: optimizer.lr={rounded:g}, a tenth of where the loss is lowest; {folder / FIGURE} shows it")
    print_text(f"train with it:\n  {found['command']}")
    return found


def training_command(typed: Sequence[str], rate: float, batch_size: int) -> str:
    """Returns the command that was typed, as a training with that rate; a batch size that was found is there."""
    others = [one for one in typed if one.lstrip("+").partition("=")[0] != "optimizer.lr"]
    plain = [f"data.batch_size={batch_size}" if one == "data.batch_size=auto" else one for one in others]
    return command("", *plain, f"optimizer.lr={rate:g}")


def draw_range(path: Path, readings: "Sequence[RatedLoss]", smoothed: Sequence[float], rate: float | None) -> None:
    """Writes the figure: losses and their smoothed curve over the rate, and the rate that is suggested."""
    figure = Figure(figsize=(7, 4), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    rates = [one.rate for one in readings]
    axis.plot(rates, [one.loss for one in readings], ".", color="0.6", markersize=4, label="loss of a step")
    axis.plot(rates, smoothed, color="black", linewidth=2, label="smoothed")
    if rate is not None:
        axis.axvline(rate, color="tab:orange", linestyle="--", label=f"suggested, {rate:.1e}")
    axis.set_xscale("log")
    if smoothed:
        low, high = min(smoothed), max(smoothed[0], min(smoothed))
        axis.set_ylim(low - 0.2 * (high - low + 1e-9), high + 0.5 * (high - low + 1e-9))
    axis.set_xlabel("learning rate, growing from step to step")
    axis.set_ylabel("training loss")
    axis.set_title(
        "The loss falls where learning rates work, and rises where they are too large", fontsize=10, loc="left"
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, frameon=False)
    write_figure(figure, path)
