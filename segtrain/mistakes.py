"""Tells which exceptions are mistakes of the user's, and puts each into one message."""

import errno
import glob
import re
import shlex
import sys
from pathlib import Path

from segtrain.config.composition import given_folders, keys_of, meant_key
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_key, nearest_name

# Choices that a plug-in of Hydra's brings -> the extra of segtrain that installs it.
PLUGINS = {
    ("hydra/launcher", "submitit_slurm"): "slurm",
    ("hydra/launcher", "submitit_local"): "slurm",
    ("hydra/launcher", "ray"): "ray",
}


# Of an OSError: what is typed as a path is none, or leads where nobody may go. Others may be a fault of ours.
OF_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.EMFILE)


def explain(error: BaseException, verb: str = "train") -> str | None:
    """Returns the message of a user's mistake in a command of the verb; None when it is a fault of ours."""
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
    """Returns what is said of an override that Hydra cannot parse: how its text is quoted."""
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
    """Returns the message proper of an error that a DataLoader worker wrapped in its traceback."""
    return re.split(r"segtrain\.errors\.UserError: ", text)[-1].strip()


def _no_such_choice(error: BaseException) -> str:
    wanted = str(getattr(error, "missing_cfg_file", "") or "")
    options = list(getattr(error, "options", None) or [])
    group, _, choice = wanted.rpartition("/")
    if not options:
        return f"{_one_line(str(error))}; expected a choice of `python -m segtrain --help`"
    if (group, choice) in PLUGINS:
        return f'{group}={choice} is not installed; pip install "segtrain[{PLUGINS[group, choice]}]"'
    own = next((shlex.quote(str(folder)) for folder in given_folders(sys.argv[1:])), "")
    near = nearest_name(choice, options)
    hint = did_you_mean(near and f"{group}={near}")
    if lying := sorted(Path().glob(f"*/{glob.escape(wanted)}.yaml")):
        folder = lying[0].parents[len(Path(wanted).parts) - 1]
        flag = f"--config-dir {shlex.quote(str(folder))}{f' in the place of {own}' if own else ''}"
        hint = f"'{lying[0]}' is there, and its folder is not searched: {'give' if own else 'add'} {flag}; "
    place = f"{own}, " if own else "a folder named with --config-dir, "
    return (
        f"there is no choice '{choice}' in the group {group}; {hint}it has {', '.join(options)}; "
        f"your own go into {place}as {group}/{choice}.yaml"
    )


def _unknown_key(error: BaseException) -> str | None:
    """Returns the key of an override that names nothing, from Hydra's two wordings."""
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
