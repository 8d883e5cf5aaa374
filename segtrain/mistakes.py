"""Which exceptions are the user's mistakes, and how they read as one message."""

import difflib
import re

# Choices that a plug-in of Hydra's brings -> the extra of segtrain that installs it.
PLUGINS = {
    ("hydra/launcher", "submitit_slurm"): "slurm",
    ("hydra/launcher", "submitit_local"): "slurm",
    ("hydra/launcher", "ray"): "ray",
}


def explain(error: BaseException, verb: str = "train") -> str | None:
    """The message of a user's mistake in a command of the verb; None when it is no such thing but a fault of ours."""
    from hydra.errors import (
        ConfigCompositionException,
        HydraException,
        MissingConfigException,
        OverrideParseException,
    )
    from omegaconf.errors import OmegaConfBaseException

    from segtrain.errors import UserError

    for link in _chain(error):
        if isinstance(link, UserError):
            return _from_worker(str(link))
    if isinstance(error, MissingConfigException):
        return _no_such_choice(error)
    if isinstance(error, ConfigCompositionException) and (key := _unknown_key(error)):
        return _no_such_key(key, verb)
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        override = f" '{error.override}'" if isinstance(error, OverrideParseException) else ""
        return f"the command line{override} or a config file is refused: {_one_line(str(error) + cause)}"
    return None


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
    near = difflib.get_close_matches(choice, options, 1)
    hint = f"did you mean {group}={near[0]}? " if near else ""
    return (
        f"there is no choice '{choice}' in the group {group}; {hint}it has {', '.join(options)}; "
        f"your own go into a folder named with --config-dir, as {group}/{choice}.yaml"
    )


def _unknown_key(error: BaseException) -> str | None:
    """The key of an override that names nothing, from Hydra's two wordings."""
    match = re.search(r"Could not override '([^']+)'", str(error))
    return match.group(1) if match else None


def _no_such_key(key: str, verb: str) -> str:
    near = difflib.get_close_matches(key, _keys(verb), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    shown = f"python -m segtrain {'' if verb == 'train' else f'{verb} '}--cfg job"
    return (
        f"there is no key '{key}' in the config; {hint}expected one that `{shown}` shows; "
        f"a key that its target takes but no file sets is added with +{key}=…"
    )


def _keys(verb: str) -> list[str]:
    """Every key of the verb's default config, and the groups."""
    from omegaconf import OmegaConf

    from segtrain.config import composed, conf_dir

    config = OmegaConf.to_container(composed(verb, []), resolve=False)
    groups = [p.name for p in conf_dir().iterdir() if p.is_dir()]
    return groups + _paths(config, "")


def _paths(node: object, prefix: str) -> list[str]:
    if not isinstance(node, dict):
        return []
    here = [f"{prefix}{key}" for key in node]
    return here + [path for key, item in node.items() for path in _paths(item, f"{prefix}{key}.")]
