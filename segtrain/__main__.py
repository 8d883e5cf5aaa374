"""Runs `python -m segtrain [verb] [overrides…]`: a config is composed, the verb takes it, mistakes are told."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segtrain.command_line import (
    find_arguments,
    find_lr_arguments,
    package_told,
    read_arguments,
    split_verb,
    swept,
)
from segtrain.config.composition import choices_of, conf_dir, register_resolvers
from segtrain.config.trust import trust, typed_trust
from segtrain.errors import UserError
from segtrain.files import print_any_name
from segtrain.help import help_text
from segtrain.interrupts import Stopped
from segtrain.launchers import Place, find_place
from segtrain.openmp import spin_briefly
from segtrain.printable import print_text

BELONGS = {"compare": "report", "diff": "report"}  # verbs that have no folder of their own
WITHOUT_HYDRA = ("report", "compare", "diff", "new")  # verbs that take names, not overrides
TOGETHER = ("train", "evaluate", "predict")  # verbs that several processes may do
# What a verb wants that no default can stand for -> what it is, and an example.
GIVEN = {
    "run": ("a run: its folder, or its name below outputs", "outputs/NAME/RUN"),
    "input": ("what is predicted: a file, a folder, or a list of them", "FOLDER"),
    "to": ("a folder to write, which is not there yet", "FOLDER"),
}
NEVER_NULL = (("evaluate", "run"), ("export", "run"))  # elsewhere an exported file may stand for the run


def main() -> None:
    """Runs one verb; exit status 0 done, 1 a failure of ours, 2 a mistake of the user's, 130 interrupted."""
    verb = "train"
    print_any_name()
    spin_briefly()  # before torch is imported, and for every process that is started from here
    try:
        verb, arguments = split_verb(sys.argv[1:])
        if {"--help", "-h"} & set(arguments):
            print(help_text(arguments))
            return
        if verb == "find":  # a training's command, with a sweeper of its own
            verb, arguments = "train", find_arguments(arguments)
        entry = verb
        if verb == "find_lr":  # likewise, and it begins no run
            verb, arguments = "train", find_lr_arguments(arguments)
        register_resolvers()
        if verb in WITHOUT_HYDRA:
            page(verb)(arguments)
            return
        # Without this Hydra prints errors itself and exits; with it they reach the handlers below.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        with others_there(find_place() if entry in TOGETHER else None, arguments):
            sys.argv = [f"segtrain {verb}", *read_arguments(arguments, verb)]
            run(verb, entry)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Stopped as stop:
        print(f"interrupted by {stop}; the same command goes on", file=sys.stderr)
        sys.exit(stop.status)
    except Exception as error:
        report_error(error, sys.argv[1:], verb)


@contextlib.contextmanager
def others_there(place: Place | None, arguments: Sequence[str]) -> Iterator[None]:
    """Lets the first of a launcher's processes run the command in the block; in the others it does its share, and ends.

    Raises:
        UserError: of a sweep, whose jobs start their own processes.
        SystemExit: in another process than the first, when the work is done.
    """
    if place is None:
        yield
        return
    company = importlib.import_module("segtrain.parts.company")  # torch, which the others need in any case
    if place.rank > 0:
        sys.exit(company.follow(place))
    company.host(place)
    try:
        if {"-m", "--multirun"} & set(swept(list(arguments))) or "hydra/sweeper=find" in arguments:
            raise UserError(
                f"{place.launcher} has started {place.ranks} processes, and a sweep starts those of its jobs itself; "
                "expected the command once; leave the launcher out, or hand the jobs to Slurm by "
                "hydra/launcher=submitit_slurm"
            )
        yield
    finally:
        company.dismiss()


def page(verb: str) -> Callable[[Any], object]:
    """Returns the function of a verb, from the module of its name, in the folder that it belongs to."""
    module = f"segtrain.app.{BELONGS.get(verb, verb)}.{verb}"
    function: Callable[[Any], object] = getattr(importlib.import_module(module), verb)
    return function


def run(verb: str, entry: str) -> None:
    """Hands the command line to Hydra and the config composed of a verb to a page, `segtrain.app.<entry>.<entry>`.

    Of several jobs (-m) every one is tried; the first failure is raised when all are done.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from segtrain.config.files import use
    from segtrain.config.known_keys import require_known
    from segtrain.config.values import require_value

    use(conf_dir())
    failures: list[Exception] = []
    stops: list[SystemExit] = []

    def task(config: DictConfig) -> object:
        try:
            require_value("trust", config.trust)
            trust(typed_trust(config.trust, sys.argv[1:]))
            require_known(config, verb, choices_of(HydraConfig.get()))
            require_paths(config, verb)
            return page(entry)(config)
        except SystemExit as stop:  # a verdict, not a mistake: other jobs still run
            stops.append(stop)
            return None
        except Exception as error:
            failures.append(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                print_text(f"failed: {' '.join(HydraConfig.get().overrides.task)}: {error}", file=sys.stderr)
            return None

    with package_told(sys.argv[1:]):
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=verb)(task)()
    if failures or stops:
        raise (failures or stops)[0]


def require_paths(config: DictConfig, verb: str) -> None:
    """Raises UserError unless what a verb cannot do without is given, and the runs and files that it names exist."""
    from segtrain.data.files.input_files import find_inputs
    from segtrain.runs.find_run import runs_of

    missing = OmegaConf.missing_keys(config)
    given = {key: config[key] for key in GIVEN if key in config and key not in missing}
    for key, (what, example) in GIVEN.items():
        is_null = (verb, key) in NEVER_NULL and given.get(key, "") is None
        if key in missing or is_null:
            got = "null" if is_null else "none"
            raise UserError(f"{verb} wants {what}; expected {key}=…; got {got}; give it, as {key}={example}")
    outputs = Path(config.get("outputs", ""))
    if verb in ("evaluate", "predict", "export") and given["run"] is not None:
        runs_of(str(given["run"]), outputs)
    if verb == "predict":
        inputs = given["input"] if isinstance(given["input"], str) else list(given["input"])
        find_inputs(inputs, Path(os.devnull))  # nothing is left out: the output may not be known yet


def report_error(error: Exception, arguments: list[str], verb: str) -> None:
    """Prints a mistake as one message and exits with 2; with debug=true, or when it is no mistake, raises it."""
    from segtrain.mistakes import explain

    message = explain(error, verb)
    if message is None or "debug=true" in [a.lower() for a in arguments]:
        raise error
    print_text(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
