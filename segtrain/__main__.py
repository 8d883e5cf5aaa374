"""`python -m segtrain [verb] [overrides…]`: the verb is taken off, Hydra reads the rest, mistakes become messages."""

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from segtrain.config.composition import choices_of, conf_dir, register_resolvers
from segtrain.config.trust import trust, typed_trust
from segtrain.errors import UserError
from segtrain.files import print_any_name
from segtrain.help import help_text
from segtrain.interrupts import Stopped
from segtrain.mistakes import CONFIG_DIR, INFO, package_told, require_flags, require_readable
from segtrain.nearest_name import did_you_mean, nearest_name
from segtrain.openmp import spin_briefly
from segtrain.printable import print_text

VERBS = {
    "train": "train a model, or several with -m; resume=RUN goes on with an unfinished one",
    "preview": "look at an augmentation on your data without training; replay=RUN sample=ID shows what a run saw",
    "evaluate": "score a run again from its folder, on its test images, shifted ones, or other data: evaluate run=RUN",
    "serve": "a page on this machine on which an image is dropped and its prediction looked at: serve run=RUN",
    "predict": "label images of files, folders, stacks and scans, of any size: predict run=RUN input=PATH",
    "export": "a run's network as one file for other programs, checked, with a model card: export run=RUN format=onnx",
    "report": "what the runs of a sweep say together, and how sure that is: report outputs/NAME",
    "compare": "two arms against each other by the report's statistics: compare RUN RUN",
    "diff": "in what two runs differ: config, environment, data and results: diff RUN RUN",
    "new": "a config for your folder of images and masks, guessed from what is in it, and checked: new NAME ROOT",
    "convert": "write a dataset as chunks that stream from a folder or an object store: convert dataset=X to=FOLDER",
    "check": "audit an augmentation on your data without training; exit status 1 when a verdict is fail",
}
BELONGS = {"compare": "report", "diff": "report"}  # verbs that have no folder of their own
WITHOUT_HYDRA = ("report", "compare", "diff", "new")  # verbs that take names, not overrides
QUOTED = ("resume", "init_from", "replay", "sample", "to", "run", "input", "output", "model_file")
OF_FILE = ("predict", "serve")  # verbs whose model= is an exported file; elsewhere, and to Hydra, it is a group
BESIDE = ("resume", "resume_allow", "debug", "outputs", "trust")  # keys that are about resuming, not of the run
# Keys of evaluate and predict whose comma lists are lists, not a sweep; parts of a split, as `split=` may name them.
LISTS = ("shift", "shift_strength", "views", "spacing")
PARTS = ("train", "val", "test", "all")
# Flags of Hydra whose value is the next argument; it may look like an override.
VALUED = (*CONFIG_DIR, "--config-path", "-cp", "--config-name", "-cn", "--cfg", "-c", "--package", "-p")


def main() -> None:
    """Run one verb; exit status 0 done, 1 a failure of ours, 2 a mistake of the user's, 130 interrupted."""
    verb = "train"
    print_any_name()
    spin_briefly()  # before torch is imported, and for every process that is started from here
    try:
        verb, arguments = split_verb(sys.argv[1:])
        if {"--help", "-h"} & set(arguments):
            print(help_text(VERBS, arguments))
            return
        register_resolvers()
        if verb in WITHOUT_HYDRA:
            page(verb)(arguments)
            return
        # Without this Hydra prints errors itself and exits; with it they reach the handlers below.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        refuse_rerun(arguments)
        require_readable(arguments, verb, VALUED)
        arguments = [plain_list(a) for a in arguments] if verb in ("evaluate", "predict") else arguments
        arguments = [of_file(a) for a in arguments] if verb in OF_FILE else arguments
        arguments = swept(overrides_first([quoted(argument) for argument in arguments]))
        require_flags(arguments)
        arguments = of_data(arguments) if verb == "evaluate" else arguments
        sys.argv = [f"segtrain {verb}", *(beside_resume(arguments) if verb == "train" else arguments)]
        run(verb)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Stopped as stop:
        print(f"interrupted by {stop}; the same command goes on", file=sys.stderr)
        sys.exit(stop.status)
    except Exception as error:
        report(error, sys.argv[1:], verb)


def split_verb(arguments: list[str]) -> tuple[str, list[str]]:
    """Verb and remaining arguments; the first argument, or that behind --config-dir, is a verb when it is a bare word.

    Raises:
        UserError: the bare word is no verb; all verbs are listed.
    """
    first = arguments[0] if arguments else ""
    before = 2 if first in CONFIG_DIR else 1 if first.startswith("--config-dir=") else 0
    if before and len(arguments) > before:
        verb, rest = split_verb(arguments[before:])
        return verb, [*arguments[:before], *rest]
    if not first or first.startswith(("-", "+", "~")) or "=" in first:
        return "train", arguments
    if first not in VERBS:
        hint = did_you_mean(nearest_name(first, VERBS)) or "keys are typed as key=value; "
        listed = "".join(f"\n  {verb:10s} {what}" for verb, what in VERBS.items())
        raise UserError(f"there is no verb '{first}'; {hint}the verbs are:{listed}")
    return first, arguments[1:]


def refuse_rerun(arguments: list[str]) -> None:
    """Raises UserError where Hydra would run a pickle: by the flag, or a beginning of it, which argparse takes too."""
    flags = (argument.partition("=")[0] for argument in arguments)
    if any(len(flag) >= len("--e") and "--experimental-rerun".startswith(flag) for flag in flags):
        raise UserError("--experimental-rerun unpickles what it is given, and so runs it; use resume=RUN instead")


def quoted(argument: str) -> str:
    """`resume=PATH` and the like in quotes: folders and samples may have `=` and `,` in their names, Hydra's signs."""
    key, equals, value = argument.partition("=")
    if key == "init_from" and "," in value and not os.path.exists(value):
        several = value.split(",")  # the values of a sweep, where each is a path
        if all(one == "null" or os.path.exists(one) for one in several):
            return f"{key}={','.join(quoted(f'{key}={one}').partition('=')[2] for one in several)}"
    if key in QUOTED and value and value[0] not in "'\"" and value != "null":
        return f"{key}{equals}'{value.rstrip('/')}'"
    return argument


def of_file(argument: str) -> str:
    """`model=FILE` as `model_file=FILE`, the key that the configs of these verbs have."""
    return f"model_file={argument.removeprefix('model=')}" if argument.startswith("model=") else argument


def overrides_first(arguments: list[str]) -> list[str]:
    """Overrides before flags: Hydra's parser refuses `aug=none -m seed=0,1`, and users type any order."""
    flags = [a.startswith("-") or not ("=" in a or a[:1] in ("~", "+")) for a in arguments]
    flags = [flag or before in (*VALUED, *INFO) for flag, before in zip(flags, ["", *arguments], strict=False)]
    return [a for _, a in sorted(zip(flags, arguments, strict=True), key=lambda pair: pair[0])]


def swept(arguments: list[str]) -> list[str]:
    """With -m where a sweep file is chosen: without it, one run would leave the file's axes out in silence."""
    chosen = any(a.startswith("sweep=") and a != "sweep=null" for a in arguments)
    asked = {"-m", "--multirun", "--cfg", "-c", "--info", "-i"} & set(arguments)
    return [*arguments, "--multirun"] if chosen and not asked else arguments


def beside_resume(arguments: list[str]) -> list[str]:
    """Other overrides than resume's own in `resume_with`: they change the run's config, not the one composed here."""
    if not any(a.startswith("resume=") for a in arguments):
        return arguments
    others = [a for a in arguments if not a.startswith("-") and "=" in a and a.partition("=")[0] not in BESIDE]
    kept = [a for a in arguments if a not in others]
    return [f"resume_with={json.dumps(others)}", *kept] if others else kept


def plain_list(argument: str) -> str:
    """Of evaluate and predict: `shift=noise,blur` as `shift=[noise,blur]`."""
    key, equals, value = argument.partition("=")
    return f"{key}=[{value}]" if equals and key in LISTS and value not in ("", "null") and value[0] != "[" else argument


def of_data(arguments: list[str]) -> list[str]:
    """What was typed of the data goes into evaluate's `with`: it changes the run's config; split=test is its part."""
    parts = {f"split={part}": f"part={part}" for part in PARTS}
    arguments = [parts.get(argument, argument) for argument in arguments]
    keys = {a: a.lstrip("+").partition("=")[0].partition(".")[0] for a in arguments if "=" in a and a[0] != "-"}
    ours = [a for a, key in keys.items() if key in ("dataset", "split", "data")]
    kept = [a for a in arguments if a not in ours]
    return [f"with={json.dumps(ours)}", *kept] if ours else kept


def page(verb: str) -> Callable[[Any], object]:
    """Returns the function of a verb, from the module of its name, in the folder that it belongs to."""
    module = f"segtrain.app.{BELONGS.get(verb, verb)}.{verb}"
    function: Callable[[Any], object] = getattr(importlib.import_module(module), verb)
    return function


def run(verb: str) -> None:
    """Hand the command line to Hydra and the composed config to the verb's page, `segtrain.app.<verb>.<verb>`.

    Of several jobs (-m) every one is tried; the first failure is raised when all are done.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import DictConfig

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
            importlib.import_module("segtrain.given_paths").require_paths(config, verb)
            return page(verb)(config)
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


def report(error: Exception, arguments: list[str], verb: str) -> None:
    """Print a mistake as one message and exit 2; with debug=true, or when it is no mistake, raise it."""
    from segtrain.mistakes import explain

    message = explain(error, verb)
    if message is None or "debug=true" in [a.lower() for a in arguments]:
        raise error
    print_text(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
