"""Turns nodes of a config into objects: asks what they may name and what it takes, then calls it."""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from segtrain.config.kinds import is_plain, kinds_of, words
from segtrain.config.run_config import Node, RunConfig
from segtrain.config.trust import ROLES, below, find_allowed, require_allowed
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_name


def build(node: Node, leave_out: Sequence[str] = (), **handed_in: Any) -> Any:
    """Returns the object that a node describes: every `_target_` below it called, plain lists and dicts in.

    Args:
        node: the node; `handed_in` are further keyword arguments of the outermost call.
        leave_out: keys of the node that are no arguments of its call.

    Raises:
        UserError: a target that is not allowed in its role (`segtrain.config.trust`) or cannot be imported, an argument
            that its signature lacks, a refused value.
    """
    where = node.where
    container = copy.deepcopy({key: value for key, value in node.items() if key not in leave_out})
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


def require_buildable(config: RunConfig) -> None:
    """Raises UserError unless all that the config of a run describes may be built; nothing is imported or opened.

    To be asked where all of it will be, before the first part is: `build` asks of each part once more.
    """
    for node in filter(None, (*map(config.get, ROLES), config.split)):
        require_allowed({key: value for key, value in node.items() if key != "split"}, node.where)


def _made(node: Any, where: str, handed_in: Mapping[str, Any], key: str = "") -> Any:
    """Returns what plain containers describe: each node with a `_target_` called, or, with `_partial_`, still to be.

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
    """Returns the message where a target fails on its values, which its annotations have let through."""
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
        hint = did_you_mean(nearest_name(str(name), parameters))
        full = below(key, name)
        yield (
            full,
            f"{where}: unknown key '{full}' for {node['_target_']}; {hint}its arguments are {', '.join(parameters)}",
        )


def parameters_of(target: str, where: str, key: str = "") -> Mapping[str, inspect.Parameter]:
    """Returns the arguments of a target by name, which is imported when it may be.

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
        return find_allowed(target, where, key)
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
