"""Where conf/ lies, what `${…}` means in it, and how a node of it becomes an object."""

import difflib
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.resolvers import oc

from segtrain.config.interpolations import settled
from segtrain.config.kinds import is_plain, kinds_of, words
from segtrain.config.trust import ROLES, below, find, require_allowed
from segtrain.errors import UserError


def conf_dir() -> Path:
    """The folder of shipped choices: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"


def composed(verb: str, overrides: Sequence[str]) -> DictConfig:
    """The config of a verb as the command line composes it, with the choice of each group below `choices`."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from segtrain.config.files import use

    register_resolvers()
    use(conf_dir())
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(verb, list(overrides), return_hydra_config=True)
    with open_dict(config):
        config.choices = choices_of(config.pop("hydra"))
        if "${" in str(config._get_node("name")):
            config.name = config.choices.dataset
    return config


def searched() -> list[str]:
    """Returns the user's own folder for configs (--config-dir) as an override, so that `composed` finds its choices."""
    from hydra.core.hydra_config import HydraConfig

    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    own = [source.path for source in sources if source.provider == "command-line"]
    return [f"hydra.searchpath=[{','.join(f'file://{Path(path).resolve()}' for path in own)}]"] if own else []


def choices_of(hydra: Any) -> dict[str, str]:
    """Group to the name of its file, Hydra's own groups left out."""
    return {group: choice for group, choice in hydra.runtime.choices.items() if not group.startswith("hydra")}


def register_resolvers() -> None:
    """Register `${amount:}`, `${span:}`, `${chance:}`, which scale with aug.strength, `${threads:}`, `${run_name:}`."""
    OmegaConf.register_new_resolver("oc.env", _env, replace=True)
    OmegaConf.register_new_resolver("amount", _amount, replace=True)
    OmegaConf.register_new_resolver("span", _span, replace=True)
    OmegaConf.register_new_resolver("chance", _chance, replace=True)
    OmegaConf.register_new_resolver("threads", _threads, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


# Names of what its owner alone should read: a config may come from anyone; the run's folder and its loggers hold it.
SECRET = r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(^|_)KEY|KEY($|_)|AUTH|COOKIE|WEBHOOK|DSN|DATABASE_URL"


def _env(name: str, *default: Any) -> Any:
    """An environment variable, as OmegaConf's own resolver has it, unless its name says that it is secret.

    Raises:
        UserError: it does.
    """
    if re.search(SECRET, str(name).upper()):
        raise UserError(
            f"a config asks for the environment variable {name} by ${{oc.env:…}}; expected one that anyone may read: "
            "what a config says is written to the run's folder, and a config may come from anyone; loggers and stores "
            "read their own keys from the environment; leave it out"
        )
    return oc.env(name, *default)


def _strength(root: DictConfig) -> float:
    strength = root.aug.strength
    if not isinstance(strength, int | float) or isinstance(strength, bool) or not 0 <= strength < float("inf"):
        raise UserError(f"aug.strength is one number ≥ 0 (0 none, 1 as published); got {strength!r}")
    return float(strength)


def _amount(value: float, *, _root_: DictConfig) -> float:
    """A magnitude: value x strength, in the unit of the value."""
    return value * _strength(_root_)


def _span(centre: float, half: float, *, _root_: DictConfig) -> list[float]:
    """A range [centre - half x strength, centre + half x strength], for factors about a neutral centre."""
    reach = half * _strength(_root_)
    return [centre - reach, centre + reach]


def _chance(p: float, *, _root_: DictConfig) -> float:
    """A probability of an op without a magnitude: p x min(strength, 1)."""
    return p * min(_strength(_root_), 1.0)


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """All cores for a single run; one thread for a job of a sweep, whose jobs share them: on every machine alike."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    return 1 if in_sweep else cores()


def _run_name() -> str:
    """The dataset's, and with a sweep file that one's too."""
    from hydra.core.hydra_config import HydraConfig

    choices = HydraConfig.get().runtime.choices
    return choices["dataset"] if choices.get("sweep") is None else f"{choices['dataset']}-{choices['sweep']}"


def plain(config: DictConfig, file_names: Mapping[str, str]) -> dict[str, Any]:
    """The config as plain containers, all resolved but `aug`, whose amounts stay functions of aug.strength.

    Raises:
        UserError: a value that must be given (`???`) is missing.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        key = missing[0]
        group = key.split(".")[0]
        raise UserError(
            f"{key} has no value; {group}={file_names.get(group, '…')} needs one; give it as {key}=… "
            f"or in a file of your own (--config-dir my_conf, my_conf/{group}/NAME.yaml)"
        )
    container: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if "aug" in config:
        container["aug"] = settled(OmegaConf.to_container(config.aug, resolve=False), container["aug"])
    return container


def where(config: DictConfig, group: str) -> str:
    """Returns the file of a group's choice, for messages: "aug/flips.yaml"."""
    return f"{group}/{config.choices[group]}.yaml"


def build(node: DictConfig | ListConfig, where: str, leave_out: Sequence[str] = (), **handed_in: Any) -> Any:
    """The object that a config node describes: every `_target_` below it called, plain lists and dicts in.

    Args:
        node: the node; `handed_in` are further keyword arguments of the outermost call.
        where: what the node is called in messages, e.g. "aug/flips.yaml"; its first part is the role of every target.
        leave_out: keys of the node that are no arguments of its call.

    Raises:
        UserError: a target that is not allowed in its role (`segtrain.config.trust`) or cannot be imported, an argument
            that its signature lacks, a refused value.
    """
    container: Any = OmegaConf.to_container(node, resolve=True)
    if isinstance(container, dict):
        container = {key: value for key, value in container.items() if key not in leave_out}
    require_allowed(container, where)  # all of it, before the first is imported
    for _, message in unknown_keys(container, where, handed_in):
        raise UserError(message)
    try:
        return _made(container, where, handed_in)
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and (extra := _missing_extra(where, error)):
            raise UserError(extra) from error
        if isinstance(error, TypeError | AttributeError | IndexError):  # Python's own words say nothing to a user
            raise UserError(_other_kinds(container, where)) from error
        raise UserError(f"{where} is refused: {' '.join(str(error).split())}") from error


def require_buildable(config: DictConfig) -> None:
    """Raises UserError unless all that the config of a run describes may be built; nothing is imported or opened.

    To be asked where all of it will be, before the first part is: `build` asks of each part once more.
    """
    for role in (*ROLES, "dataset.split"):
        choices, node = config.get("choices") or {}, OmegaConf.select(config, role)
        if not isinstance(node, DictConfig | ListConfig):
            continue
        group = role.partition(".")[0]
        where = f"{group}/{choices.get(group)}.yaml"
        container: Any = OmegaConf.to_container(node, resolve=True)
        if role == "dataset" and isinstance(container, dict):
            container.pop("split", None)
        require_allowed(container, where if role == group else f"{where} with split={choices.get('split')}")


def _made(node: Any, where: str, handed_in: Mapping[str, Any], key: str = "") -> Any:
    """What plain containers describe: each node below with a `_target_` called, or, with `_partial_`, still to be.

    Not by Hydra, which would resolve `${…}` once more, and call what was not looked at.
    """
    if isinstance(node, list):
        return [_made(item, where, {}, f"{key}[{i}]") for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "_target_" not in node:
        return {name: _made(item, where, {}, below(key, name)) for name, item in node.items()}
    found = target_of(node["_target_"], where, key)
    places = [_made(item, where, {}, f"{below(key, '_args_')}[{i}]") for i, item in enumerate(node.get("_args_", ()))]
    said = {name: item for name, item in node.items() if name not in handed_in and not str(name).startswith("_")}
    arguments = {str(name): _made(item, where, {}, below(key, name)) for name, item in said.items()}
    call = functools.partial(found, *places, **arguments, **handed_in)
    return call if node.get("_partial_") else call()


def _other_kinds(container: Any, where: str) -> str:
    """The message where a target fails on its values, which its annotations have let through."""
    node = container if isinstance(container, dict) else {}
    target = str(node.get("_target_", "its target"))
    kinds = kinds_of(target_of(target, where)) if "_target_" in node else {}
    given = {str(name): value for name, value in node.items() if not str(name).startswith("_")}
    expected = "; ".join(f"{name}: {words(kinds[name])}" for name in given if name in kinds and is_plain(kinds[name]))
    got = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return (
        f"{where} is refused: {target} cannot work with its values, one of which is of another kind or length than it "
        f"takes; expected {expected or 'such as its documentation names'}; got {got[:500]}; correct it "
        "(debug=true shows where it fails)"
    )


def unknown_keys(node: Any, where: str, handed_in: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, str]]:
    """Binds every `_target_` below node to its signature.

    Args:
        node: plain containers.
        where: what the node is called in messages, as in `build`.
        handed_in: further arguments of the outermost call.
        key: the node's own, below `where`.

    Yields:
        A key that a target does not take, and a message that names it, file and all.

    Raises:
        UserError: a target that is not allowed in its role, or cannot be imported.
    """
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from unknown_keys(item, where, {}, f"{key}[{i}]")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        yield from _wrong_call(node, where, key)
        yield from _unknown_arguments(node, where, key, handed_in)
    for name, item in node.items():
        yield from unknown_keys(item, where, {}, below(key, name))


# Keys beside a _target_ that are Hydra's, what they may be, and in which words.
CALLS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "_partial_": (lambda value: type(value) is bool, "true or false"),
    "_args_": (lambda value: isinstance(value, list), "a list of values"),
    "_recursive_": (lambda value: value is True, "true: what stands below is built first"),
    "_convert_": (lambda value: value == "all", "all: plain lists and mappings"),
}


def _wrong_call(node: dict[str, Any], where: str, key: str) -> Iterator[tuple[str, str]]:
    for name, (holds, expected) in CALLS.items():
        if name in node and not holds(node[name]):
            full = below(key, name)
            yield full, f"{where}: {full} is {node[name]!r}; expected {expected}; correct it, or leave it out"


def _unknown_arguments(
    node: dict[str, Any], where: str, key: str, handed_in: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    parameters = parameters_of(node["_target_"], where, key)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return  # the target takes any keyword and checks it itself
    for name in [*node, *handed_in]:
        if name in parameters or str(name).startswith("_"):
            continue
        near = difflib.get_close_matches(str(name), parameters, 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        full = below(key, name)
        yield (
            full,
            f"{where}: unknown key '{full}' for {node['_target_']}; {hint}its arguments are {', '.join(parameters)}",
        )


def parameters_of(target: str, where: str, key: str = "") -> Mapping[str, inspect.Parameter]:
    """The arguments of a target by name, which is imported when it may be.

    Raises:
        UserError: it is not allowed in its role, or cannot be imported.
    """
    return inspect.signature(target_of(target, where, key)).parameters


def target_of(target: str, where: str, key: str = "") -> Any:
    """Returns the class or function of that name, which is imported when it may be.

    Raises:
        UserError: it is not allowed in its role, or cannot be imported.
    """
    try:
        return find(target, where, key)
    except UserError:
        raise
    except Exception as error:  # of a module that is imported
        raise UserError(
            _missing_extra(where, error)
            or f"{where}: {below(key, '_target_')} is '{target}', which cannot be imported; expected the "
            f"dotted name of a class or function on the Python path; got: {' '.join(str(error).split())}"
        ) from error


# Distribution or module that is missing -> the extra of segtrain that installs it.
EXTRAS = {"nilearn": "demo", "nibabel": "demo", "tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


def _missing_extra(where: str, error: Exception) -> str | None:
    for package, extra in EXTRAS.items():
        if package in str(error).lower():
            return f'{where} needs the package {package}, which is not installed; pip install "segtrain[{extra}]"'
    return None
