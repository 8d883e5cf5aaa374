"""Counts how much the `${…}` of a config stand for before they are put in: a few lines can stand for too much.

A value that names another twice, which names a third twice, and so on for forty lines, is more than memory holds.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from segtrain.errors import UserError

MOST = 2_000_000  # characters, keys and values that a config stands for, each repetition counted
NAMED = r"(?=(?:\$\{|[:,\s])\s*['\"]?(\.*)([\w@/-]+(?:[.\[][\w\]@/-]+)*)\s*['\"]?[,}])"  # ${key}, ${..key}, ${f:a,key}
OF_SHELL = r"\$\{oc\.env:[^{}$]*\}"  # what the user's shell says
OF_ONCE = r"\$\{\s*(oc\.(?!select|dict)|hydra:|threads:|run_name:)"  # what another moment may answer otherwise
# A reference whose name is put together: ${a.${b}}, or handed to what reads text as a reference again.
READ_AGAIN = r"oc\.(?:decode|select|create|deprecated|dict\.\w+):[^{}]*"
COMPOSED = r"\$\{[^{}:]*\$\{|\$\{[^{}:]*\\|\$\{" + READ_AGAIN + r"[$\\]"
INNER = r"(\$\{(?:[^{}:]*|" + READ_AGAIN + r"))\$\{(\.*)([^{}$:.][^{}$:]*)\}"


def require_bounded(root: Any) -> None:
    """Raises UserError where the references of a config, each replaced by what it names, are more than can be held.

    Circles are told by OmegaConf, where they are resolved.

    Args:
        root: the config, plain and unresolved.
    """
    sizes: dict[tuple[str, ...], int] = {}
    for key in ("overrides", "job"):  # what was typed, as text
        root.get("hydra", {}).pop(key, None)
    if (size := _size(root, (), root, sizes)) > MOST:
        raise UserError(
            f"the references ${{…}} of the config stand for {size:.2g} characters and values together; expected "
            f"{MOST:,} at most; name each value where it is used"
        )


def _size(node: Any, path: tuple[str, ...], root: Any, sizes: dict[tuple[str, ...], int]) -> int:
    """Returns how many characters, keys and values a node has, those that it names counted each time."""
    if path in sizes:
        return sizes[path]
    sizes[path] = 0  # a circle adds nothing
    if isinstance(node, dict | list):
        places = node.items() if isinstance(node, dict) else enumerate(node)
        found = sum(1 + _size(item, (*path, str(name)), root, sizes) for name, item in places)
    else:
        found = 1 + (len(node) if isinstance(node, str) else 0)
        found += sum(_size(*_at(root, name), root, sizes) for name in _named(node, path, root))
    sizes[path] = found
    return found


def _named(value: Any, path: tuple[str, ...], root: Any) -> Iterator[tuple[str, ...]]:
    """Yields the places that a text names, which stands at `path`.

    Raises:
        UserError: a name that is put together of others than plain words, so that what it names cannot be told.
    """
    if not isinstance(value, str) or "${" not in value:
        return
    text = re.sub(OF_SHELL, "", value).replace("${hydra:", "${hydra.")
    for _ in range(text.count("${")):  # each time one that is within another
        text = re.sub(INNER, lambda match: match[1] + _word(root, _place(match[2], match[3], path)), text)
    if re.search(COMPOSED, text):
        raise UserError(
            f"{'.'.join(path)} is {value[:200]!r}, a reference whose name is put together of others; expected its "
            "name, such as ${data.crop}; write it out"
        )
    for dots, key in re.findall(NAMED, text):
        yield _place(dots, key, path)


def _place(dots: str, key: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the place that a reference names: from the root, or relative to the place where it stands."""
    start = path[: max(0, len(path) - len(dots))] if dots else ()
    return (*start, *filter(None, re.split(r"[.\[\]]+", key.strip())))


def _word(root: Any, place: tuple[str, ...]) -> str:
    """Returns what stands there, where it is a plain value; else what no name can hold."""
    value, _ = _at(root, place)
    if value is None:  # nothing: OmegaConf tells it, where it is resolved
        return "null"
    plain = isinstance(value, str | int | float) and re.fullmatch(r"[\w.@/-]{0,100}", str(value))
    return str(value) if plain else "\\"


def _at(root: Any, path: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Returns what stands there and its place: the nearest above it where that is a reference itself."""
    node = root
    for at, name in enumerate(path):
        if isinstance(node, str):
            return node, tuple(path[:at])
        if isinstance(node, list):
            node = node[int(name)] if name.isdigit() and int(name) < len(node) else None
        else:
            node = node.get(name) if isinstance(node, dict) else None
    return node, tuple(path)


def settled(raw: Any, resolved: Any) -> Any:
    """Returns a node as a run keeps it: what is asked of the shell, or put together otherwise, as it was found.

    Keys of the config, and amounts that scale with aug.strength, stay as they stand.

    Args:
        raw: plain containers with their references.
        resolved: the same, each reference replaced by what it names.
    """
    if isinstance(raw, dict):
        return {key: settled(value, resolved[key]) for key, value in raw.items()}
    if isinstance(raw, list):
        return [settled(one, other) for one, other in zip(raw, resolved, strict=True)]
    return resolved if isinstance(raw, str) and re.search(OF_ONCE, raw) else raw
