"""What can be told of a command before torch is imported, which takes seconds: its values, its paths, its data."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segtrain.app import changes
from segtrain.app.finding import find_run, weights_file
from segtrain.app.inputs import find_inputs
from segtrain.app.several import runs_of
from segtrain.app.sources import OpenData, build_splitter, open_data, require_split
from segtrain.config import choices_of, plain, require_buildable
from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder
from segtrain.values import check_values

# What a verb wants that no default can stand for -> what it is, and an example.
GIVEN = {
    "run": ("a run: its folder, or its name below outputs", "outputs/NAME/RUN"),
    "input": ("what is predicted: a file, a folder, or a list of them", "FOLDER"),
    "to": ("a folder to write, which is not there yet", "FOLDER"),
}
NEVER_NULL = (("evaluate", "run"), ("export", "run"))  # elsewhere an exported file may stand for the run
LOOKED_AT = ["dataset", "aug", "init_from", "resume", "resume_with"]  # keys that a look depends on


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
    require_buildable(wanted)
    OmegaConf.to_container(wanted.aug, resolve=True)  # amounts, which strength scales
    if wanted.init_from is not None and not any(run.checkpoints.glob("*.ckpt")):
        weights_file(str(wanted.init_from), Path(wanted.outputs))
    data = open_data(wanted)
    if run.exists:
        build_splitter(wanted)  # what the run recorded may hold, whatever this version would draw
    else:
        require_split(wanted, data.dataset)
    return data


def intended(config: DictConfig, run: RunFolder) -> DictConfig:
    """Returns the config that the run is to have, `auto` still in it: its own with what was typed, or the composed."""
    if config.resume is None:
        choices = choices_of(HydraConfig.get())
        container: dict[str, Any] = {**plain(config, choices), "choices": choices}
        return DictConfig(container)
    return changes.with_typed(changes.completed(run.config()), config.resume_with, check_values)


def require_paths(config: DictConfig, verb: str) -> None:
    """Raises UserError unless what a verb cannot do without is given, and the runs and files that it names exist."""
    missing = OmegaConf.missing_keys(config)
    for key, (what, example) in GIVEN.items():
        is_null = (verb, key) in NEVER_NULL and key not in missing and config[key] is None
        if key in missing or is_null:
            got = "null" if is_null else "none"
            raise UserError(f"{verb} wants {what}; expected {key}=…; got {got}; give it, as {key}={example}")
    require = OF_VERB.get(verb)
    if require is not None:
        require(config, Path(config.outputs))


def _runs(config: DictConfig, outputs: Path) -> None:
    if not OmegaConf.is_missing(config, "run") and config.run is not None:
        runs_of(str(config.run), outputs)


def _run(config: DictConfig, outputs: Path) -> None:
    if not OmegaConf.is_missing(config, "run"):
        find_run(str(config.run), outputs)


def _runs_and_inputs(config: DictConfig, outputs: Path) -> None:
    _runs(config, outputs)
    if not OmegaConf.is_missing(config, "input"):
        given = config.input if isinstance(config.input, str) else list(config.input)
        find_inputs(given, Path(os.devnull))  # nothing is left out: the output may not be known yet


OF_VERB: dict[str, Callable[[DictConfig, Path], None]] = {
    **{"evaluate": _runs, "export": _run, "predict": _runs_and_inputs},
}
