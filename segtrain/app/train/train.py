"""Runs `python -m segtrain train`: one run, from config to results. Torch, which takes seconds, comes last.

What can be told of a command before that, of its values, its paths and its data, is told at once.
"""

import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from segtrain.app.train.open_run import leave_nothing, open_run
from segtrain.app.train.other_programs import read_core_times
from segtrain.config.composition import run_config
from segtrain.config.objects import require_buildable
from segtrain.config.run_config import RunConfig
from segtrain.interrupts import Stops
from segtrain.parts import config_changes as changes
from segtrain.parts.data import OpenData, build_splitter, open_data, require_split
from segtrain.parts.limits import require_one_size
from segtrain.printable import print_text
from segtrain.runs.find_run import meant_run, weights_file
from segtrain.runs.folder import RunFolder
from segtrain.runs.lock import Lock

LOOKED_AT = ["dataset", "aug", "init_from", "resume", "resume_with"]  # keys that a look depends on


def train(config: DictConfig) -> dict[str, Any]:
    """Trains, keeps the best checkpoint by val/dice, tests it once; everything that comes out is in the run folder.

    The same command again goes on where a run stopped, and repeats none that is finished.

    Returns:
        The flat results, as in results.json.
    """
    began, before, run = time.monotonic(), read_core_times(), run_of(config)
    data = look_first(config, run)
    with Stops() as stops, leave_nothing(run), Lock(run.path):
        opened = open_run(config, run, data)
        if opened.finished:
            print_text(f"{run.path} is finished already; nothing was run, its results are as they were")
            return run.results
        if is_of_several(opened.config):
            from segtrain.app.train.together import fit_together

            return fit_together(opened, data, stops, began, before)
        from segtrain.app.train.fit_run import fit  # torch, which takes seconds: mistakes are told by now

        return fit(opened, data, stops, began, before)


def look_first(config: DictConfig, run: RunFolder) -> OpenData | None:
    """Returns the data that the run is to train on; None of a finished run, whose data may be gone.

    Args:
        config: as composed, its values checked.
        run: which it means.

    Raises:
        UserError: a value that is missing or cannot be, weights that are not there, data that cannot be opened or
            split so, an override that a run cannot go on with.
    """
    if run.exists and run.status["state"] == "finished":
        return None
    if config.resume is None:
        wanted = run_config(config)
    else:  # the run's own config, with what was typed
        wanted = changes.with_typed(changes.completed(RunConfig(run.config())), config.resume_with)
    require_buildable(wanted)  # which works the amounts out that strength scales
    require_one_size(wanted)
    if wanted.init_from is not None and not run.has_checkpoint:
        weights_file(str(wanted.init_from), Path(wanted.outputs))
    data = open_data(wanted)
    if run.exists:
        build_splitter(wanted)  # what the run recorded may hold, whatever this version would draw
    else:
        require_split(wanted, data.dataset)
    return data


def is_of_several(config: RunConfig) -> bool:
    """Returns whether several processes train together, one a device."""
    devices, machines = config.trainer["devices"], int(config.trainer.get("num_nodes") or 1)
    return machines > 1 or (len(devices) > 1 if isinstance(devices, list) else int(devices) > 1)


def run_of(config: DictConfig) -> RunFolder:
    """Returns the run that a command means: the folder to go on with, or the one that its overrides name.

    Raises:
        UserError: there is no such run.
    """
    typed = list(HydraConfig.get().overrides.task)
    return meant_run(Path(config.outputs), str(config.name), typed, config.resume)
