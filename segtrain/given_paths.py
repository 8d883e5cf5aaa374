"""Says what a verb cannot do without, and refuses paths that are not there before torch is imported."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from segtrain.data.files.input_files import find_inputs
from segtrain.errors import UserError
from segtrain.runs.find_run import find_run
from segtrain.runs.find_runs import runs_of

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
    given = {key: config[key] for key in GIVEN if key in config and key not in missing}
    for key, (what, example) in GIVEN.items():
        is_null = (verb, key) in NEVER_NULL and given.get(key, "") is None
        if key in missing or is_null:
            got = "null" if is_null else "none"
            raise UserError(f"{verb} wants {what}; expected {key}=…; got {got}; give it, as {key}={example}")
    outputs = Path(config.get("outputs", ""))
    if verb == "export":
        find_run(str(given["run"]), outputs)
    if verb in ("evaluate", "predict") and given["run"] is not None:
        runs_of(str(given["run"]), outputs)
    if verb == "predict":
        inputs = given["input"] if isinstance(given["input"], str) else list(given["input"])
        find_inputs(inputs, Path(os.devnull))  # nothing is left out: the output may not be known yet
