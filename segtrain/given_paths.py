"""Says what a verb cannot do without, and refuses paths that are not there before torch is imported."""

import os
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from segtrain.data.files.input_files import find_inputs
from segtrain.errors import UserError
from segtrain.runs.find_run import find_run, runs_of

# What a verb wants that no default can stand for -> what it is, and an example.
GIVEN = {
    "run": ("a run: its folder, or its name below outputs", "outputs/NAME/RUN"),
    "input": ("what is predicted: a file, a folder, or a list of them", "FOLDER"),
    "to": ("a folder to write, which is not there yet", "FOLDER"),
}
NEVER_NULL = (("evaluate", "run"), ("export", "run"))  # elsewhere an exported file may stand for the run


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
