"""Which exceptions are the user's mistakes, and how they read as one message."""

import contextlib
import errno
import glob
import io
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from segtrain.config.composition import keys_of, meant_key
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_key, nearest_name

# Choices that a plug-in of Hydra's brings -> the extra of segtrain that installs it.
PLUGINS = {
    ("hydra/launcher", "submitit_slurm"): "slurm",
    ("hydra/launcher", "submitit_local"): "slurm",
    ("hydra/launcher", "ray"): "ray",
}

INFO, OF_INFO = ("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
CONFIG_DIR = ("--config-dir", "-cd")


def require_readable(arguments: Sequence[str], verb: str, valued: Collection[str]) -> None:
    """Raises UserError at an argument of a verb that is neither key=value nor a flag.

    Args:
        arguments: as typed, without the verb.
        verb: whose they are.
        valued: flags whose value is the next argument.
    """
    from hydra._internal.utils import get_args_parser

    flags = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    for at, (before, argument) in enumerate(zip(["", *arguments], arguments, strict=False)):
        flag, equals, value = argument.partition("=")
        if before in valued or (before in INFO and argument in OF_INFO):
            continue
        if flag in valued:
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


# Of an OSError: what is typed as a path is none, or leads where nobody may go. Others may be a fault of ours.
OF_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.EMFILE)


def explain(error: BaseException, verb: str = "train") -> str | None:
    """The message of a user's mistake in a command of the verb; None when it is no such thing but a fault of ours."""
    from hydra.errors import (
        ConfigCompositionException,
        HydraException,
        MissingConfigException,
        OverrideParseException,
    )
    from omegaconf.errors import OmegaConfBaseException

    for link in _chain(error):
        if isinstance(link, UserError):
            return _from_worker(str(link))
    if isinstance(error, MissingConfigException):
        return _no_such_choice(error)
    if isinstance(error, ConfigCompositionException) and (key := _unknown_key(error)):
        return _no_such_key(key, verb)
    if typed := _several_values(error):
        return (
            f"{typed} has several values, and one run takes one; expected a single value, or a sweep, which is typed "
            f"with -m: python -m segtrain {'' if verb == 'train' else f'{verb} '}-m {typed}; a list is typed in "
            f"brackets, {_bracketed(typed)}"
        )
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        return f"the command line or a config file is refused: {_one_line(str(error) + cause)}"
    if isinstance(error, OSError) and error.errno in OF_PATH:
        return (
            f"{_one_line(str(error.filename))[:200]!r} cannot be used: {error.strerror}; expected a path that can be "
            "read; correct what was typed, or change what is in the way"
        )
    return None


def _several_values(error: BaseException) -> str:
    """Returns the override that Hydra takes for a sweep's, from its two wordings; "" of other errors."""
    match = re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.+?)'(?:\n| requires)", str(error))
    return match[1] if match else ""


def _bracketed(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}=[{value}]" if "(" not in value else f"{key}=[0,1]"


def _unreadable(override: str, error: BaseException) -> str:
    """What is said of an override that Hydra cannot parse: how its text is quoted."""
    key, _, value = override.partition("=")
    way = "close its quotes and brackets"
    if value and not set(value) & set("'\""):
        way = f"close its brackets, or, where the text itself is meant, quote it: '{key}=\"{value}\"'"
    reason = _one_line(str(error).partition("See https:")[0]).rstrip("; ")
    return f"the command line '{override}' cannot be read: {reason}; expected key=value; {way}"


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and error not in links:  # `raise … from` inside a handler can close a circle
        links.append(error)
        error = error.__cause__ or error.__context__
    return links


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _from_worker(text: str) -> str:
    """The message proper of an error that a DataLoader worker wrapped in its traceback."""
    return re.split(r"segtrain\.errors\.UserError: ", text)[-1].strip()


def _no_such_choice(error: BaseException) -> str:
    wanted = str(getattr(error, "missing_cfg_file", "") or "")
    options = list(getattr(error, "options", None) or [])
    group, _, choice = wanted.rpartition("/")
    if not options:
        return f"{_one_line(str(error))}; expected a choice of `python -m segtrain --help`"
    if (group, choice) in PLUGINS:
        return f'{group}={choice} is not installed; pip install "segtrain[{PLUGINS[group, choice]}]"'
    near = nearest_name(choice, options)
    hint = did_you_mean(near and f"{group}={near}")
    if lying := sorted(Path().glob(f"*/{glob.escape(wanted)}.yaml")):
        folder = lying[0].parents[len(Path(wanted).parts) - 1]
        hint = f"'{lying[0]}' is there, and its folder is not searched: add --config-dir {shlex.quote(str(folder))}; "
    return (
        f"there is no choice '{choice}' in the group {group}; {hint}it has {', '.join(options)}; "
        f"your own go into a folder named with --config-dir, as {group}/{choice}.yaml"
    )


def _unknown_key(error: BaseException) -> str | None:
    """The key of an override that names nothing, from Hydra's two wordings."""
    match = re.search(r"Could not override '([^']+)'", str(error))
    return match.group(1) if match else None


def _no_such_key(key: str, verb: str) -> str:
    parent = key.partition(".")[0]
    if key in keys_of(verb):
        return (
            f"the key '{key}' is gone, as another override takes {parent} or what is below it away; expected them to "
            f"stay; leave out {parent}=… or ~{parent}, or give {parent}.KEY=VALUE alone"
        )
    hint = did_you_mean(meant_key(key, verb) or nearest_key(key, keys_of(verb)))
    shown = f"python -m segtrain {'' if verb == 'train' else f'{verb} '}--cfg job"
    return (
        f"there is no key '{key}' in the config; {hint}expected one that `{shown}` shows; "
        f"a key that its target takes but no file sets is added with +{key}=…"
    )
