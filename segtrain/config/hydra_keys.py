"""Refuses what a config may not say of Hydra, which makes objects and opens files by it before segtrain begins.

What is listed is let through, everything else is refused. A file may come from a stranger: it chooses axes of a sweep,
how many jobs run, and what a cluster is asked for. What is typed is the user's own word, and may say more; objects of
other packages are made for neither, unless trust=[package] is typed.
"""

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from segtrain.config.values import LENGTHS, TIME, Rule, number, one_of, whole
from segtrain.errors import UserError

# Launchers and sweepers that a file may name: segtrain's own, Hydra's, and those of the extras.
LAUNCHERS = (
    "hydra_plugins.segtrain_plugins.ProcessLauncher",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    *(f"hydra_plugins.hydra_submitit_launcher.submitit_launcher.{kind}Launcher" for kind in ("Slurm", "Local")),
    "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
)
SWEEPERS = (
    *(f"hydra_plugins.segtrain_plugins.{kind}Sweeper" for kind in ("Grid", "Optuna", "Find")),
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
# What a file may ask a cluster for in words; how jobs are set up, and where they write, runs programs and is typed.
OF_CLUSTER = (
    *("partition", "qos", "comment", "constraint", "exclude", "gres", "account", "name", "mem_per_gpu", "mem_per_cpu"),
)
OF_SWEEPER = ("sampler", "pruner", "budget", "lengths")  # words of ours
OF_ENGINE = ("ray", "init", "remote")  # mappings of Ray's launcher that hold numbers
WORD = r"(?a)[\w .,:;=@%+&|()\[\]*/-]{1,200}"
KEY = r"(?a)[a-zA-Z0-9][\w-]{0,63}"  # not one of Hydra's own, which begin with _
TYPED_ALONE = ("hydra", "trust", "outputs", "resume", "resume_with", "resume_allow", "")
# What segtrain's own files say, which a copy of them may repeat: another value would do nothing, or write elsewhere.
AS_SHIPPED: dict[str, tuple[Any, ...]] = {
    "run.dir": (".",),
    "sweep.subdir": (".",),
    "output_subdir": (None,),
    "job.chdir": (None, False),
    "callbacks": (None,),
}
BELOW_OUTPUTS = r"\$\{outputs\}(/([\w-]+|\$\{name\}))*"  # of sweep.dir
SIMPLE = r"(?a)\w[\w.-]{0,99}"
TYPED_OR_FILE = "the command line or a config file"
GROUPS = ("hydra/launcher", "hydra/sweeper", "hydra/job_logging", "hydra/hydra_logging", "hydra/env")
MAKING = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")  # of which Hydra makes objects
TYPED = ("launcher", "sweeper", "searchpath", "mode", "verbose")
SILENT = {"version": 1, "root": None, "disable_existing_loggers": False}
RULES: dict[str, Mapping[str, Rule]] = {
    "hydra_plugins.segtrain_plugins.ProcessLauncher": {
        "n_jobs": whole(1, 4096, None),
        "timeout": number("minutes above 0", 0, 1e7, None, above=True),
        "retries": whole(0, 1000),
    },
    "hydra_plugins.segtrain_plugins.OptunaSweeper": {
        "n_trials": whole(1, 10**6),
        "sampler": one_of("tpe", "random", "grid", "cmaes"),
        "pruner": one_of("none", "median", "halving"),
        "seed": whole(0, 2**32 - 1, None),
    },
    "hydra_plugins.segtrain_plugins.FindSweeper": {
        "budget": TIME,
        "tolerance": number("a difference of val/dice between 0 and 1, such as 0.005", 0, 1),
        "seeds": whole(3, 1024),
        "confirm": whole(5, 1024),
        "lengths": LENGTHS,
        "arms": whole(2, 1024, None),
        "n_jobs": whole(1, 4096, None),
        "spread": number("a standard deviation of val/dice above 0, such as 0.01", 0, 1, above=True),
    },
}
WAYS = {
    "run": "outputs=FOLDER and name=NAME say where runs go",
    "sweep": "outputs=FOLDER and name=NAME say where runs go",
    "output_subdir": "the run folder holds the config, and what was typed",
    "job.env_set": "set variables in the shell, before the command",
    "searchpath": "name a folder with --config-dir, or type hydra.searchpath",
    "launcher": "type it, as hydra.launcher.KEY=VALUE",
    "sweeper": "type it, as hydra.sweeper.KEY=VALUE",
    "callbacks": "say trust=[PACKAGE] on the command line if it is yours",
}


def trusted_of(typed: Sequence[Override]) -> tuple[str, ...]:
    """Returns the packages of trust=[…] among what was typed."""
    given = [one.value() for one in typed if one.key_or_group == "trust" and not one.is_sweep_override()]
    return tuple(str(name) for value in given if isinstance(value, list) for name in value)


def require_in_file(node: Any, where: str, trusted: Sequence[str]) -> None:
    """Raises UserError where a file says of Hydra what it may not.

    Args:
        node: what the file puts at `hydra`, plain and unresolved.
        where: the file.
        trusted: packages whose objects may be made.
    """
    if not isinstance(node, dict):
        raise _refusal(where, "", node, "keys below it")
    for key, value in node.items():
        if key in ("launcher", "sweeper"):
            _require_engine(value, f"{key}", where, trusted)
        elif key == "mode":
            _require(value in (None, "RUN", "MULTIRUN"), where, key, value, "RUN or MULTIRUN")
        elif key == "verbose":
            _require(type(value) is bool, where, key, value, "true or false")
        elif key != "callbacks" or not _are_callbacks(value, trusted):
            for path, leaf in _leaves(value, str(key)):
                _require_as_shipped(path, leaf, where)


def _require_as_shipped(path: str, value: Any, where: str) -> None:
    known = AS_SHIPPED.get(path, ())
    if path == "sweep.dir":
        _require(
            re.fullmatch(BELOW_OUTPUTS, str(value)) is not None, where, path, value, "${outputs} or a folder below it"
        )
    elif path == "job.name":
        _require(re.fullmatch(SIMPLE, str(value)) is not None, where, path, value, "a plain word")
    elif path.startswith(("job_logging", "hydra_logging")):
        kind, _, name = path.partition(".")
        _require(value == SILENT.get(name, ...), where, path, value, f"what conf/ says: {kind} none")
    else:
        expected = " or ".join("null" if one is None else str(one).lower() for one in known) or "nothing"
        _require(any(value is one or (value == one and type(value) is type(one)) for one in known),
                 where, path, value, expected)  # fmt: skip


def _require_engine(node: Any, key: str, where: str, trusted: Sequence[str]) -> None:
    """Raises UserError unless a launcher or sweeper is a known one, with numbers and the words that are listed."""
    _require(isinstance(node, dict), where, key, node, "its keys")
    for name, value in node.items():
        path, known = f"{key}.{name}", LAUNCHERS if key == "launcher" else SWEEPERS
        is_plain = isinstance(name, str) and (name == "_target_" or re.fullmatch(KEY, name) is not None)
        _require(is_plain, where, path, value, "a plain key")
        if name == "_target_":
            fits = isinstance(value, str) and (value in known or _is_within(value, trusted))
            _require(fits, where, path, value, f"one of {', '.join(known)}, or trust=[…] on the command line")
        elif (key, name) == ("sweeper", "params"):
            _require_axes(value, where)
        elif (key, name) == ("sweeper", "storage"):
            _require(value is None, where, path, value, "null: a study goes where the user says")
        elif name in OF_ENGINE or name == "additional_parameters":
            _require_numbers(value, path, where)
        elif name == "lengths" and isinstance(value, list):
            _require(LENGTHS.holds(value), where, path, value, LENGTHS.expected)
        elif isinstance(value, str) and not _is_number(value):
            fits = name in (*OF_CLUSTER, *OF_SWEEPER) and re.fullmatch(WORD, value) is not None
            _require(fits, where, path, value, "a number, true, false or null")
        else:
            _require(value is None or isinstance(value, bool | int | float | str), where, path, value, "a single value")


def _require_numbers(value: Any, path: str, where: str) -> None:
    _require(isinstance(value, dict), where, path, value, "keys with numbers")
    for name, item in value.items():
        _require(isinstance(name, str) and re.fullmatch(KEY, name) is not None, where, path, name, "plain keys")
        if name in OF_ENGINE:
            _require_numbers(item, f"{path}.{name}", where)
        else:
            _require(item is None or isinstance(item, bool | int | float), where, f"{path}.{name}", item, "a number")


def _require_axes(params: Any, where: str) -> None:
    """Raises UserError unless the axes of a sweep are keys of a run with plain values: they become what was typed."""
    _require(isinstance(params, dict), where, "sweeper.params", params, "keys with their values")
    arms = params.get("arms", [])
    fits = isinstance(arms, list) and all(isinstance(arm, dict) for arm in arms)
    _require(fits, where, "sweeper.params.arms", arms, "a list of mappings, key: value")
    for key, value in [item for arm in (*arms, params) for item in arm.items() if item[0] != "arms"]:
        first = re.split(r"[./@=]", str(key).lstrip("+~ "))[0]
        path = f"sweeper.params.{key}"
        _require(first not in TYPED_ALONE, where, path, value, "a key of a run; this one is typed")
        items = value if isinstance(value, list) else [value]
        plain = all(one is None or isinstance(one, bool | int | float | str) for one in items)
        _require(plain, where, path, value, "values such as 0,1,2 or [0, 1, 2]")


def require_typed(typed: Sequence[Override]) -> None:
    """Raises UserError where a key of Hydra is typed that does nothing here, or that segtrain says itself."""
    for override in typed:
        key, value = str(override.key_or_group), override.value()
        if not override.is_hydra_override() or override.is_sweep_override():
            continue
        if key in GROUPS:
            continue
        name = key.removeprefix("hydra").lstrip("./")
        first = name.partition(".")[0]
        if first in TYPED or (first == "callbacks" and "." in name):  # what callbacks are is asked of the whole
            if first == "verbose":
                items = value if isinstance(value, list) else [value]
                fits = isinstance(value, bool) or all(isinstance(one, str) for one in items)
                _require(fits, "the command line", "verbose", value, "true, false, or names of loggers")
            continue
        plain = str(value) if value is not None else None
        if name == "job.name" and re.fullmatch(SIMPLE, str(plain)):
            continue
        known = AS_SHIPPED.get(name, ())
        if value in known and known and not override.is_delete():
            continue
        told = WAYS["job.env_set"] if name.startswith("job.env_set") else "leave it out"
        way = WAYS[first] if first in ("run", "sweep", "output_subdir") else told
        raise _refusal("the command line", name, value, f"{', '.join(TYPED)} of hydra's keys", way)


def require_search_path(typed: Sequence[Override]) -> None:
    """Raises UserError unless each folder of a typed hydra.searchpath is there; pkg://NAME is a package to import."""
    for override in typed:
        if override.get_key_element().lstrip("+") != "hydra.searchpath":
            continue
        folders = override.value()
        for one in folders if isinstance(folders, list) else [folders]:
            if isinstance(one, str) and one.startswith("pkg://"):
                name = one.removeprefix("pkg://").replace("/", ".")
                _require(_is_package(name), "the command line", "searchpath", one, "a package that can be imported")
                continue
            path = str(one).removeprefix("file://")
            fits = isinstance(one, str) and "://" not in path and os.path.isdir(path)
            _require(fits, "the command line", "searchpath", one, "a list of folders that are there, or pkg://PACKAGE")


def require_composed(plain: Mapping[str, Any], typed: Sequence[Override], trusted: Sequence[str]) -> None:
    """Raises UserError unless Hydra would make none but its launcher and sweeper, and log as segtrain's files say.

    Args:
        plain: of the composed `hydra`, what was typed in it, the keys of `MAKING`, unresolved.
        typed: what was typed.
        trusted: packages whose objects may be made.
    """
    where = TYPED_OR_FILE
    groups = {one.key_or_group for one in typed}
    for name in ("job_logging", "hydra_logging"):
        if f"hydra/{name}" not in groups:
            _require(plain[name] == SILENT, where, name, plain[name], f"- override hydra/{name}: none")
    callbacks = plain["callbacks"] or {}
    _require(_are_callbacks(callbacks, trusted), where, "callbacks", callbacks, "none")
    for name in ("launcher", "sweeper"):
        _require_own_engine(plain[name], name, where, trusted)


def _require_own_engine(node: Any, name: str, where: str, trusted: Sequence[str]) -> None:
    fits = isinstance(node, dict) and isinstance(node.get("_target_"), str)
    _require(fits, where, name, node, "a choice of hydra/launcher or hydra/sweeper")
    target = node["_target_"]
    at_home = target.startswith(("hydra_plugins.", "hydra._internal.core_plugins."))
    _require(at_home, where, f"{name}._target_", target, "a class below hydra_plugins")
    below = {key: value for key, value in node.items() if key != "_target_"}
    _require(_are_trusted(below, trusted), where, name, below, "no _target_ below it")
    for key, rule in RULES.get(target, {}).items():
        value = node.get(key)
        if target.endswith(".FindSweeper") and not rule.holds(value):  # whose keys are typed by themselves
            raise UserError(f"{key} is {value!r}; expected {rule.expected}; correct it, or leave it out")
        _require(rule.holds(value) or "${" in str(value), TYPED_OR_FILE, f"{name}.{key}", value,
                 rule.expected)  # fmt: skip


def _are_callbacks(node: Any, trusted: Sequence[str]) -> bool:
    """Returns whether each is an object of a package that the user trusts; true of none."""
    each = isinstance(node, dict) and all(isinstance(one, dict) and "_target_" in one for one in node.values())
    return each and _are_trusted(node, trusted)


def _are_trusted(node: Any, trusted: Sequence[str]) -> bool:
    """Returns whether all that a node would make is of packages that the user trusts."""
    return all(isinstance(one, str) and _is_within(one, trusted) for one in _targets(node))


def _targets(node: Any) -> Iterator[Any]:
    for name, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == "_target_":
            yield item
        yield from _targets(item)


def _is_within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _is_package(name: str) -> bool:
    try:
        return bool(name) and importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, item in node.items():
            yield from _leaves(item, f"{path}.{name}")
    elif node != {}:
        yield path, node


def _require(fits: bool, where: str, key: str, value: Any, expected: str) -> None:
    if not fits:
        raise _refusal(where, key, value, expected)


def _refusal(where: str, key: str, value: Any, expected: str, way: str = "") -> UserError:
    first, _, rest = key.partition(".")
    way = way or WAYS.get(f"{first}.{rest.partition('.')[0]}") or WAYS.get(first, "leave it out")
    if where == TYPED_OR_FILE:
        way = "correct it, or leave it out"
    return UserError(
        f"{where} says {'.'.join(filter(None, ('hydra', key)))}: {str(value)[:200]!r}; of Hydra, which runs and writes "
        f"what it is told, a config says only what segtrain lists; expected {expected}; {way}"
    )
