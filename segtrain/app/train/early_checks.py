"""What can be told of a command before torch is imported, which takes seconds: its values, its paths, its data."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from segtrain.config.composition import run_config
from segtrain.config.objects import require_buildable
from segtrain.config.run_config import RunConfig
from segtrain.parts import config_changes as changes
from segtrain.parts.data import OpenData, build_splitter, open_data, require_split
from segtrain.runs.find_run import find_run, weights_file
from segtrain.runs.folder import RunFolder, folder_name

LOOKED_AT = ["dataset", "aug", "init_from", "resume", "resume_with"]  # keys that a look depends on


def run_of(config: DictConfig) -> RunFolder:
    """Returns the run that the command means: the one to go on with, or that which its overrides name.

    Raises:
        UserError: there is no such run.
    """
    if config.resume is not None:
        return find_run(config.resume, Path(config.outputs))
    return RunFolder(Path(config.outputs) / str(config.name) / folder_name(list(HydraConfig.get().overrides.task)))


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
    wanted = intended(config, run)
    require_buildable(wanted)  # which works the amounts out that strength scales
    if wanted.init_from is not None and not any(run.checkpoints.glob("*.ckpt")):
        weights_file(str(wanted.init_from), Path(wanted.outputs))
    data = open_data(wanted)
    if run.exists:
        build_splitter(wanted)  # what the run recorded may hold, whatever this version would draw
    else:
        require_split(wanted, data.dataset)
    return data


def intended(config: DictConfig, run: RunFolder) -> RunConfig:
    """Returns the config that the run is to have, `auto` still in it: its own with what was typed, or the composed."""
    if config.resume is None:
        return run_config(config)
    return changes.with_typed(changes.completed(RunConfig(run.config())), config.resume_with)
