"""Reads the command line as a user types it, and writes commands for a user to copy.

What is typed in any order, unquoted and in words of other programs becomes the overrides and flags that Hydra reads;
what Hydra would not understand, or do in silence, is told before it is asked.
"""

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from segtrain.config.composition import keys_of, meant_key, typed_folder
from segtrain.errors import UserError
from segtrain.help import VERBS
from segtrain.nearest_name import did_you_mean, nearest_key, nearest_name
from segtrain.printable import one_line

INFO, OF_INFO = ("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
CONFIG_DIR = ("--config-dir", "-cd")
QUOTED = ("resume", "init_from", "replay", "sample", "to", "run", "input", "output", "model_file")
OF_FIND = ("budget", "tolerance", "seeds", "confirm", "lengths", "arms", "n_jobs", "spread")  # keys of find alone
OF_FILE = ("predict", "serve")  # verbs whose model= is an exported file; elsewhere, and to Hydra, it is a group
BESIDE = ("resume", "resume_allow", "debug", "outputs", "trust")  # keys that are about resuming, not of the run
# Keys of evaluate and predict whose comma lists are lists, not a sweep; parts of a split, as `split=` may name them.
LISTS = ("shift", "shift_strength", "views", "spacing")
PARTS = ("train", "val", "test", "all")
# Flags of Hydra whose value is the next argument; it may look like an override.
VALUED = (*CONFIG_DIR, "--config-path", "-cp", "--config-name", "-cn", "--cfg", "-c", "--package", "-p")
# Verbs that take all they need from a run's folder, a file or the arguments: no config is composed from choices.
OF_RUN = ("evaluate", "predict", "export", "serve", "report", "compare", "diff")
PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./…-]+")  # needs no quotes in a shell; … stands for what the user fills in


def read_arguments(arguments: list[str], verb: str) -> list[str]:
    """Returns what was typed behind a verb as Hydra reads it.

    Raises:
        UserError: an argument that is neither key=value nor a flag, or flags that do nothing here.
    """
    refuse_rerun(arguments)
    require_readable(arguments, verb)
    arguments = [plain_list(a) for a in arguments] if verb in ("evaluate", "predict") else arguments
    arguments = [of_file(a) for a in arguments] if verb in OF_FILE else arguments
    arguments = swept(overrides_first([quoted(argument) for argument in arguments]))
    require_flags(arguments)
    arguments = of_data(arguments) if verb == "evaluate" else arguments
    return beside_resume(arguments) if verb == "train" else arguments


def split_verb(arguments: list[str]) -> tuple[str, list[str]]:
    """Returns verb and remaining arguments; the first, or one behind --config-dir, is a verb when it is a bare word.

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
    """Returns `resume=PATH` in quotes, and the like: names of folders and samples may have Hydra's signs in them."""
    key, equals, value = argument.partition("=")
    if key == "init_from" and "," in value and not os.path.exists(value):
        several = value.split(",")  # the values of a sweep, where each is a path
        if all(one == "null" or os.path.exists(one) for one in several):
            return f"{key}={','.join(quoted(f'{key}={one}').partition('=')[2] for one in several)}"
    if key in QUOTED and value and value[0] not in "'\"" and value != "null":
        return f"{key}{equals}'{value.rstrip('/')}'"
    return argument


def of_file(argument: str) -> str:
    """Returns `model=FILE` as `model_file=FILE`, the key that the configs of these verbs have."""
    return f"model_file={argument.removeprefix('model=')}" if argument.startswith("model=") else argument


def overrides_first(arguments: list[str]) -> list[str]:
    """Returns overrides before flags: Hydra's parser refuses `aug=none -m seed=0,1`, and users type any order."""
    flags = [a.startswith("-") or not ("=" in a or a[:1] in ("~", "+")) for a in arguments]
    flags = [flag or before in (*VALUED, *INFO) for flag, before in zip(flags, ["", *arguments], strict=False)]
    return [a for _, a in sorted(zip(flags, arguments, strict=True), key=lambda pair: pair[0])]


def find_arguments(arguments: Sequence[str]) -> list[str]:
    """Returns what was typed behind `find` as a training's command: its own keys are those of its sweeper.

    `lengths=1,2,4` is a list there, not an axis of a sweep.
    """
    found = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "lengths" and value != "auto" and value[:1] != "[":
            value = f"[{value}]"
        found.append(f"hydra.sweeper.{key}={value}" if equals and key in OF_FIND else argument)
    chosen = any(argument.startswith("sweep=") for argument in arguments)
    return ["hydra/sweeper=find", *([] if chosen else ["sweep=find"]), *found]


def find_lr_arguments(arguments: Sequence[str]) -> list[str]:
    """Returns what was typed behind `find_lr`, a training's command.

    Raises:
        UserError: it is that of a sweep, or of a run that is there already.
    """
    swept_by = [a for a in arguments if a in ("-m", "--multirun") or (a.startswith("sweep=") and a != "sweep=null")]
    if swept_by or any(a.startswith("resume=") for a in arguments):
        got = swept_by[0] if swept_by else "resume=…"
        raise UserError(
            f"find_lr looks for the learning rate of one new training; expected what that is typed with; got {got}; "
            "leave it out; a sweep whose arms differ in their learning rate compares that as well"
        )
    return list(arguments)


def typed_find(arguments: Sequence[str]) -> tuple[str, ...]:
    """Returns what is typed behind `find`, without its budget: the way back from `find_arguments`, flags left out."""
    flags = ["", *arguments]
    overrides = [a for before, a in zip(flags, arguments, strict=False) if a[:1] != "-" and before not in VALUED]
    chosen = [a for a in overrides if a not in ("hydra/sweeper=find", "sweep=find")]
    own = [a.removeprefix("hydra.sweeper.") if a.startswith("hydra.sweeper.") else a for a in chosen]
    return tuple(a for a in own if not a.startswith("budget="))


def swept(arguments: list[str]) -> list[str]:
    """Adds -m where a sweep file is chosen: without it, one run would leave the file's axes out in silence."""
    chosen = any(a.startswith("sweep=") and a != "sweep=null" for a in arguments)
    asked = {"-m", "--multirun", "--cfg", "-c", "--info", "-i"} & set(arguments)
    return [*arguments, "--multirun"] if chosen and not asked else arguments


def beside_resume(arguments: list[str]) -> list[str]:
    """Puts other overrides than resume's own into `resume_with`: they change the run's config, not this one."""
    if not any(a.startswith("resume=") for a in arguments):
        return arguments
    others = [a for a in arguments if not a.startswith("-") and "=" in a and a.partition("=")[0] not in BESIDE]
    kept = [a for a in arguments if a not in others]
    return [f"resume_with={json.dumps(others)}", *kept] if others else kept


def plain_list(argument: str) -> str:
    """Returns, of evaluate and predict, `shift=noise,blur` as `shift=[noise,blur]`."""
    key, equals, value = argument.partition("=")
    return f"{key}=[{value}]" if equals and key in LISTS and value not in ("", "null") and value[0] != "[" else argument


def of_data(arguments: list[str]) -> list[str]:
    """Puts what was typed of the data into evaluate's `with`: it changes the run's config; split=test is its part."""
    parts = {f"split={part}": f"part={part}" for part in PARTS}
    arguments = [parts.get(argument, argument) for argument in arguments]
    keys = {a: a.lstrip("+").partition("=")[0].partition(".")[0] for a in arguments if "=" in a and a[0] != "-"}
    ours = [a for a, key in keys.items() if key in ("dataset", "split", "data")]
    kept = [a for a in arguments if a not in ours]
    return [f"with={json.dumps(ours)}", *kept] if ours else kept


def require_readable(arguments: Sequence[str], verb: str) -> None:
    """Raises UserError at an argument of a verb that is neither key=value nor a flag.

    Args:
        arguments: as typed, without the verb.
        verb: whose they are.
    """
    from hydra._internal.utils import get_args_parser

    flags = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    for at, (before, argument) in enumerate(zip(["", *arguments], arguments, strict=False)):
        flag, equals, value = argument.partition("=")
        if before in VALUED or (before in INFO and argument in OF_INFO):
            continue
        if flag in VALUED:
            _require_value(flag, value if equals else next(iter(arguments[at + 1 : at + 2]), ""))
        if argument.startswith(("~", "+")) or flag in flags:
            continue
        if argument.startswith("-"):
            if not any(known.startswith(flag) for known in flags if flag.startswith("--")):
                given = value if equals else next((one for one in arguments[at + 1 : at + 2] if one[:1] != "-"), "")
                near = did_you_mean(nearest_name(flag, flags, 0.8)).rstrip()
                told = near or _as_key(flag.lstrip("-"), given, verb)
                raise UserError(f"there is no option {flag}; {told}")
        elif not equals:
            raise UserError(
                f"'{argument}' is neither key=value nor a flag; {_as_key(argument, '', verb)}; a verb comes first"
            )


def require_flags(arguments: Sequence[str]) -> None:
    """Raises UserError at flags of Hydra that do not go together, that it cannot read, or that do nothing here.

    Args:
        arguments: overrides first, then flags with their values.
    """
    from hydra._internal.utils import get_args_parser

    def refused(message: str) -> NoReturn:
        raise UserError(f"the flags are not understood: {message}; Hydra's own flags are shown by --hydra-help")

    parser = get_args_parser()
    parser.error = refused  # type: ignore[method-assign]
    given = parser.parse_args(list(arguments))
    if given.shell_completion:
        refused("there is no completion for shells; leave --shell-completion out")
    if given.config_path is not None:
        refused(
            f"--config-path takes segtrain's own choices away; yours are found beside them by {CONFIG_DIR[0]} FOLDER"
        )
    actions = [
        f"--{name}"
        for name in ("run", "multirun", "cfg", "info", "hydra_help")
        if getattr(given, name) not in (None, False)
    ]
    if len(actions) > 1:
        refused(f"{' and '.join(actions).replace('_', '-')} are given; expected one of them")
    for name in ("resolve", "package"):
        if getattr(given, name) and given.cfg is None:
            refused(f"--{name} goes with --cfg job, which shows the config; give that too, or leave --{name} out")


@contextlib.contextmanager
def package_told(arguments: Sequence[str]) -> Iterator[None]:
    """Raises UserError where Hydra leaves in the block, as the part of the config that --package names is not there."""
    from hydra._internal.utils import get_args_parser

    package, said = get_args_parser().parse_args(list(arguments)).package, io.StringIO()
    if package is None:
        yield
        return
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stop:
        if stop.code == 1 and "not found in config" in said.getvalue():
            raise UserError(
                f"--package shows the part of the config that is named {package!r}, and there is none; expected a key "
                "with keys below it, such as model or data; leave --package out to see them all"
            ) from None
        raise
    finally:
        if "not found in config" not in said.getvalue():
            sys.stderr.write(said.getvalue())


def _require_value(flag: str, value: str) -> None:
    """Raises UserError where a flag has no value behind it, or names a folder of configs that is not there."""
    is_folder = flag in CONFIG_DIR
    if value and not (is_folder and not Path(value).is_dir()):
        return
    expected = "a folder of your own configs, with dataset/ or aug/ below" if is_folder else "a value behind it"
    lying = sorted({str(path.parent) for group in ("dataset", "aug") for path in Path().glob(f"*/{group}")})
    own = [folder for folder in lying if any(Path(folder).glob("*/*.yaml"))] if is_folder else []
    way = f"{', '.join(own)} {'lies' if len(own) == 1 else 'lie'} here" if own else ""
    way = way or ("`new NAME ROOT` writes one, my_conf" if is_folder else f"give {flag} VALUE, or leave {flag} out")
    got = f"there is no folder '{value}'" if value else "got nothing"
    raise UserError(f"{flag} names {expected}; {got}; {way}" if is_folder else f"{flag} wants {expected}; {got}; {way}")


def _as_key(word: str, value: str, verb: str) -> str:
    meant = meant_key(word, verb) or nearest_key(word, keys_of(verb))
    hint = did_you_mean(meant and f"{meant}={value or '…'}")
    return f"{hint}expected key=value, such as trainer.max_epochs=20 or data.batch_size=8"


def command(verb: str, *arguments: str, conf: str | Path | None = None) -> str:
    """Returns a command as one types it.

    Args:
        verb: of segtrain; of a training "".
        arguments: overrides and names, unquoted.
        conf: the folder for --config-dir; None: the one that this command was given, where the verb needs it.
    """
    used = str(conf) if conf is not None else own_folder() if verb not in OF_RUN else ""
    folder = ["--config-dir", used] if used else []
    return " ".join(["python -m segtrain", *([verb] if verb else []), *map(in_shell, [*folder, *arguments])])


def own_folder() -> str:
    """Returns the user's own folder for configs that this command was given (--config-dir); "" for none.

    Below the current directory it is a relative path, as one types it.
    """
    own = typed_folder()
    path, here = Path(own), Path.cwd()
    return str(path.relative_to(here)) if own and path.is_relative_to(here) else own


def searched_too(conf: str | Path) -> Sequence[str]:
    """Returns the override by which the user's own folder is searched beside `conf`; nothing where there is none."""
    own = own_folder()
    return [f"hydra.searchpath=['file://{Path(own).resolve()}']"] if own and own != str(conf) else []


def in_shell(argument: str) -> str:
    """Returns an argument quoted for the shell where it must be; with Hydra's single quotes in it, in double ones.

    One with a line feed, or another character that a terminal would obey, is written with escapes ($'…', which bash
    and zsh read), so that a command stays one line, and does what it shows.
    """
    if PLAIN.fullmatch(argument):
        return argument
    if one_line(argument) != argument:
        return "$'" + "".join(_escaped(character) for character in argument) + "'"
    plain = "'" in argument and not set('"$`!\\') & set(argument)
    return f'"{argument}"' if plain else shlex.quote(argument)


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if one_line(character) == character:
        return character
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "replace"
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors=errors))
