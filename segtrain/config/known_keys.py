"""Refuses a config with keys that nothing reads, or with values that cannot be, before anything is built.

All its mistakes are told at once.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from segtrain.config.composition import conf_dir, meant_key
from segtrain.config.known_arguments import NODES, mistakes_of, paths, wrong_kind
from segtrain.config.trust import ROLES
from segtrain.config.values import expected_of, is_like, require_none, shown, wrong_values
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_key

LISTED = 12  # keys that a message lists; of more it says where they are shown
# Keys of an object's node that are hydra's own; of others that begin with _ it makes nothing.
HYDRAS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")


def require_known(
    composed: Mapping[str, Any], verb: str, choices: Mapping[str, str], typed: Sequence[str] | None = None
) -> None:
    """Raises UserError with all that a config says wrongly: keys that nothing reads or another overrules, and values.

    Args:
        composed: as composed for the verb, or that of a run with what was typed of it.
        verb: whose config it is.
        choices: group to the name of its file.
        typed: the keys that are looked at, with those below them; None: all. An older run's other keys stay, but that
            their values are what they may be.
    """
    config = composed if isinstance(composed, DictConfig) else DictConfig(composed)
    asked = _Asked(config, verb, choices, typed)
    require_none([message for key, message in asked.misshapen() if asked.of(key)])
    found: dict[str, str] = {}
    try:
        for key, message in asked.mistakes():
            found.setdefault(key, message)
    except OmegaConfBaseException:
        if not found:  # else a value that is told already may be what cannot be worked out
            raise
    require_none(list(found.values()))


@dataclass(frozen=True)
class _Asked:
    """Looks for mistakes in the config of a verb: each is yielded as its key and a message."""

    config: DictConfig
    verb: str
    choices: Mapping[str, str]
    typed: Sequence[str] | None

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """Returns the verb's own keys, each with those below it."""
        return _own_keys(self.verb)

    @property
    def groups(self) -> tuple[str, ...]:
        """Returns the groups that put an object into the config."""
        return _groups(self.verb)

    def of(self, key: str) -> bool:
        """Returns whether a key is looked at."""
        return self.typed is None or any(_is_below(key, one) or _is_below(one, key) for one in self.typed)

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Yields those of keys and values, of which one key may have several."""
        for key, others in self._strangers():
            if self.of(key) and not _is_named(self.config, key):
                yield key, self._unread(key, others, self.verb)
        if self.typed is None:
            yield from self._absent()
        yield from wrong_values(self.config, self.verb)
        if self.typed is None:
            yield from self._other_kinds()
        for path, (group, ours) in NODES.items():
            if path.partition(".")[0] in self.groups and self.of(path):
                yield from self._of_object(path, group, ours)

    def _of_object(self, path: str, group: str, ours: Sequence[str]) -> Iterator[tuple[str, str]]:
        nodes: Any = OmegaConf.to_container(self.config, resolve=False)
        for key in _hidden(nodes.get(path), path) if path in self.groups else ():
            if self.of(key) and not _is_named(self.config, key):
                yield key, self._unread(key, HYDRAS, "hydra")
        node = OmegaConf.select(self.config, path)
        if not isinstance(node, DictConfig) or not node:
            return
        try:
            yield from ((key, told) for key, told in mistakes_of(node, path, group, ours, self.choices) if self.of(key))
        except UserError as error:  # of a name that may not be called, or cannot be imported
            yield path, str(error)

    def misshapen(self) -> Iterator[tuple[str, str]]:
        """Yields keys that have keys below them, and that something else was put in the place of."""
        known, groups = self.known, self.groups
        for key in [*(key for key, below in known.items() if below), *groups, "dataset.split"]:
            node = OmegaConf.select(self.config, key, default=DictConfig({}), throw_on_missing=False)
            if isinstance(node, DictConfig) or (node is None and key not in known):
                continue
            group = key.rpartition(".")[2]
            if group in (*groups, "split"):
                way = f"choose a file of conf/{group} by {group}=…, as {group}={self.choices.get(group)}"
            else:
                below = [f"{key}.{name}" for name in known[key]]
                others = [other for other in (*known, *groups) if other != key]
                way = f"{did_you_mean(nearest_key(key, others))}give one of {', '.join(below)}"
            yield key, f"{key} is {shown(node)}, and it has keys below it; expected them to stay; {way}"

    def _absent(self) -> Iterator[tuple[str, str]]:
        """Yields keys that the verb reads and that are not there: `~key` takes one away."""
        wanted = [*self.known, *(f"{key}.{name}" for key, below in self.known.items() for name in below)]
        for key in (*wanted, *(group for group in self.groups if group != "logger")):
            parent, _, name = key.rpartition(".")
            node = self.config._get_node(parent) if parent else self.config
            if isinstance(node, DictConfig) and name not in node._content:  # type: ignore[operator]
                yield key, f"{key} is left out; expected a value, as the verb reads it; leave ~{key} out"

    def _other_kinds(self) -> Iterator[tuple[str, str]]:
        """Yields what no rule knows and is of another kind than the value in the verb's own file."""
        for key, default in _defaults(self.verb).items():
            value = OmegaConf.select(self.config, key, default=default, throw_on_missing=False)
            if value != default and not is_like(key, value, default):
                plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
                yield key, wrong_kind(key, plain, expected_of(default), f"{self.verb}.yaml")

    def _strangers(self) -> Iterator[tuple[str, list[str]]]:
        """Yields keys outside the groups that the verb's own file lacks, and those that it has in their place."""
        for key in map(str, self.config):
            if key not in self.known and key not in self.groups:
                yield key, [*self.known, *self.groups]
            node = self.config._get_node(key)
            for name in map(str, node) if self.known.get(key) and isinstance(node, DictConfig) else ():
                if name not in self.known[key]:
                    yield f"{key}.{name}", [f"{key}.{other}" for other in self.known[key]]

    def _unread(self, key: str, others: Sequence[str], verb: str) -> str:
        all_keys = paths(OmegaConf.to_container(self.config, resolve=False))
        known = [path for path in all_keys if not _is_below(path, key) and not _is_below(key, path)]
        command = f"python -m segtrain {'' if verb == 'train' else f'{verb} '}--cfg job"
        told = ", ".join(others) if len(others) <= LISTED else f"the keys that `{command}` shows"
        meant = ("" if verb == "hydra" else meant_key(key, verb)) or nearest_key(key, [*others, *known])
        return (
            f"nothing reads the key '{key}'; {did_you_mean(meant)}{verb} reads {told}, and what another key "
            f"names by ${{{key}}}; correct it, or leave it out"
        )


def require_keys(verb: str, typed: Sequence[str]) -> None:
    """Raises UserError unless the verb has keys of these beginnings: before its config can be composed.

    Args:
        verb: whose they are to be.
        typed: keys as typed, such as data.crop, +aug.x, ~parts.
    """
    known, groups = _own_keys(verb), (*_groups(verb), "split", "hydra")
    for key in (one.lstrip("+~").partition("@")[0].partition("/")[0] for one in typed):
        first, _, rest = key.partition(".")
        if first in groups or (first in known and (not rest or rest.partition(".")[0] in known[first])):
            continue
        others = [f"{first}.{name}" for name in known.get(first, ())] or [*known, *groups]
        hint = did_you_mean(nearest_key(key, others))
        raise UserError(
            f"nothing reads the key '{key}'; {hint}{verb} reads {', '.join(others)}; correct it, or leave it out"
        )


@functools.cache
def _defaults(verb: str) -> dict[str, Any]:
    """Returns what conf/VERB.yaml says of its own keys, dotted, where it is no reference to another; ??? is None."""
    found: dict[str, Any] = {}
    plain: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"), resolve=False)
    for key, value in plain.items():
        if key not in ("defaults", "hydra"):
            found |= (
                {f"{key}.{name}": item for name, item in value.items()} if isinstance(value, dict) else {key: value}
            )
    found = {key: None if value == "???" else value for key, value in found.items()}
    return {key: value for key, value in found.items() if not (isinstance(value, str) and "${" in value)}


def _is_below(key: str, parent: str) -> bool:
    return key == parent or key.startswith((f"{parent}.", f"{parent}["))


@functools.cache
def _own_keys(verb: str) -> dict[str, tuple[str, ...]]:
    """Returns the keys of conf/VERB.yaml, each with the keys below it."""
    node = DictConfig(OmegaConf.load(conf_dir() / f"{verb}.yaml"))
    plain: Any = OmegaConf.to_container(node, resolve=False)
    return {k: tuple(v) if isinstance(v, dict) else () for k, v in plain.items() if k not in ("defaults", "hydra")}


@functools.cache
def _groups(verb: str) -> tuple[str, ...]:
    """Returns the groups that put an object into the config of the verb."""
    defaults: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{verb}.yaml"))["defaults"]  # type: ignore[call-overload,index]
    return tuple(group for entry in defaults if isinstance(entry, dict) for group in entry if group in ROLES)


def _is_named(config: DictConfig, key: str) -> bool:
    """Returns whether another key is what it is by this one: by ${key}, also within ${…:…}, or from hydra's own part.

    It is where the rest is another, or cannot be resolved, without the key, or with other values in its place: a
    default, ${oc.select:key,1}, may be the value that the key has.
    """
    if HydraConfig.initialized():
        hydra = OmegaConf.to_yaml(HydraConfig.get(), resolve=False)
        if re.search(rf"\$\{{(?:[^{{}}]*[:,]\s*)?{re.escape(key)}\s*[.\[,}}]", hydra):
            return True
    whole = OmegaConf.to_container(config, resolve=True)
    parent, name = _place(whole, key)
    del parent[name]
    for change in (_drop, _mark):
        other = config.copy()
        with read_write(other), open_dict(other):
            change(*_place(other, key))
        try:
            left = OmegaConf.to_container(other, resolve=True)
        except OmegaConfBaseException:
            return True
        parent, name = _place(left, key)
        parent.pop(name, None)
        if left != whole:
            return True
    return False


def _place(node: Any, key: str) -> tuple[Any, str]:
    """Returns what holds the key, and its name there."""
    *parents, name = key.split(".")
    for parent in parents:
        node = node[int(parent) if isinstance(node, list | ListConfig) else parent]
    return node, name


def _drop(parent: Any, name: str) -> None:
    del parent[name]


def _mark(parent: Any, name: str) -> None:
    """Puts a value that nothing has in the place of each that the key holds."""
    plain: Any = OmegaConf.to_container(parent, resolve=False)
    parent[name] = _marked(plain[name])


def _marked(value: Any) -> Any:
    if isinstance(value, dict) and value:
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) and value else "\0"


def _hidden(node: object, prefix: str) -> Iterator[str]:
    """Yields keys beside a _target_ that begin with _ and are not hydra's, which drops them: they may serve others."""
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, item in items:
        if isinstance(node, dict) and "_target_" in node and str(name).startswith("_") and name not in HYDRAS:
            yield f"{prefix}.{name}"
        yield from _hidden(item, f"{prefix}.{name}")
