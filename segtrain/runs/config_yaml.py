"""Reads a run's config as data: values, amounts that scale with aug.strength, and other keys of the same config.

Training writes values, and leaves only what scales with the strength of an augmentation to be worked out. A config that
came from a stranger could else be anything when it is worked out, or grow without end.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from segtrain import plain_files
from segtrain.errors import damaged
from segtrain.runs.contents import is_whole
from segtrain.runs.epochs import FROM_1, read_index

PARTS = ("choices", "dataset", "aug", "data", "model", "loss", "optimizer", "scheduler", "trainer")  # of a config
KEY = r"\.*[A-Za-z_][\w@/-]*(?:\.[\w@/-]+|\[\w+\])*"
REFERENCE = re.compile(rf"\$\{{\s*({KEY})\s*\}}")
SCALED = re.compile(r"\$\{\s*(?:amount|span|chance)\s*:[^${}]*\}")  # an amount; keys in it are taken out first
LOOKED_UP = re.compile(rf"\$\{{\s*(?:oc\.select|oc\.dict\.keys|oc\.dict\.values)\s*:\s*({KEY})\s*(?:,[^${{}}]*)?\}}")
OF_SHELL = re.compile(r"\$\{\s*oc\.env\s*:\s*\w+\s*(?:,[^${}]*)?\}")  # of aug, where earlier versions kept it
READ = re.compile(r"\$\{\s*oc\.decode\s*:[^${}\\]*\}")  # likewise: what the shell says as a number
PIECES = re.compile(r"[^.\[\]]+")
DEEPEST = 10  # keys that name keys that name keys
MOST = 20_000  # values that the keys named in a config stand for, each repetition counted
EXPECTED = "plain values, ${amount:…}, ${span:…}, ${chance:…}, or ${…} of another key of the config"


def read_plain_config(text: str, path: Path) -> dict[str, Any]:
    """Returns the config that a run's config.yaml holds as plain values, what scales with the strength as it stands.

    Raises:
        UserError: it is no YAML, not a config, or one that reads more than itself.
    """
    config = plain_files.read_yaml(text, path)
    if not isinstance(config, dict):
        raise damaged(path, kind_of(config), "plain YAML, a mapping of the run's keys")
    for part in PARTS:
        if not isinstance(config.get(part, {}), dict):
            raise damaged(path, f"{kind_of(config.get(part))} under '{part}'", "a mapping there")
    require_self_contained(config, path)
    return config


def whole_config(plain: dict[str, Any], path: Path) -> DictConfig:
    """Returns a plain config as OmegaConf holds it.

    Raises:
        UserError: a part of a run's config is missing, or OmegaConf cannot read a value.
    """
    if missing := [part for part in PARTS if part not in plain]:
        raise damaged(path, f"nothing under '{missing[0]}'", "the whole config of a run")
    try:
        return DictConfig(plain)
    except Exception as error:  # of OmegaConf's own grammar
        raise damaged(path, " ".join(str(error).split()), "plain YAML") from error


def read_changes(text: str, path: Path) -> list[dict[str, Any]]:
    """Returns the entries of a run's changes.yaml: what it went on with, and with what it had been before.

    Raises:
        UserError: it is no YAML, or no list of changes.
    """
    entries = plain_files.read_yaml(text, path)
    if not isinstance(entries, list) or not all(map(_is_change, entries)):
        raise damaged(path, kind_of(entries), "a list of what was changed, and when")
    for entry in entries:
        require_self_contained(entry, path)
        known = {name: read_index(entry, name) for name in ("epoch", "batch")}
        entry |= {name: index for name, index in known.items() if index is not None}
    return entries


def _is_change(entry: Any) -> bool:
    """Returns whether an entry of changes.yaml is one: keys, each with what was there and what is now."""
    changed = entry.get("changed") if isinstance(entry, dict) else None
    if not isinstance(changed, dict) or not all(isinstance(key, str) for key in changed):
        return False
    numbers = [entry.get(f"{name}{end}", 0) for name in ("epoch", "batch") for end in ("", FROM_1)]
    pairs = changed.values()
    return all(map(is_whole, numbers)) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)


def kind_of(value: Any) -> str:
    """Returns in words what stands where something else was expected."""
    return "nothing" if value is None else type(value).__name__


def require_self_contained(config: Any, where: object) -> None:
    """Raises UserError at a `${…}` that leads out of a config, leads back to itself, or stands for too much.

    Args:
        config: plain mappings, lists and values, as they stand in the file.
        where: its name, for the message.
    """
    found = list(_interpolated(config, ()))
    for at, text in found:
        known = REFERENCE.sub("0", READ.sub("0", OF_SHELL.sub("0", text)) if at[0] == "aug" else text)
        if "${" in LOOKED_UP.sub("0", SCALED.sub("0", known)):
            raise damaged(where, f"{text[:100]!r} under '{'.'.join(map(str, at))}'", EXPECTED)
    total = 0
    for at, text in found:
        for weight in _reached(config, text, at, DEEPEST):
            total += weight
            if total > MOST:
                raise damaged(
                    where, f"'{'.'.join(map(str, at))}', which leads to itself or to too many values", EXPECTED
                )


def _interpolated(node: Any, at: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yields where each text with an interpolation stands, and the text."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from _interpolated(value, (*at, key))
    if isinstance(node, str) and "${" in node:
        yield at, node


def _reached(config: Any, node: Any, at: tuple[Any, ...], deep: int) -> Iterator[int]:
    """Yields what each value weighs that a node stands for, in values of some hundred letters; endless in a circle."""
    yield MOST + 1 if deep == 0 else 1
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from _reached(config, value, (*at, key), deep)
    if isinstance(node, str):
        yield len(node) // 100
        for named in [*REFERENCE.findall(node), *LOOKED_UP.findall(node)]:
            found, place = _looked_up(config, named, at)
            yield from _reached(config, found, place, deep - 1)


def _looked_up(config: Any, key: str, at: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Returns what a key names, or the text on the way to it that stands for something else, and where that is."""
    dots = len(key) - len(key.lstrip("."))
    way = [*(at[:-dots] if dots else ()), *PIECES.findall(key)]
    place: tuple[Any, ...] = ()
    node = config
    for part in way:
        if isinstance(node, dict):
            node = node.get(part)
        elif isinstance(node, list):
            node = node[int(part)] if str(part).isdecimal() and int(part) < len(node) else None
        else:
            break
        place = (*place, part)
    return node, place
