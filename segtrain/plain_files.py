"""Reads YAML and JSON that may come from a stranger, once it is known how large, deep and often repeated it is.

A few lines of anchors (`&a`) that each name the one before several times (`*a`) stand for more values than memory
holds. What a text stands for is counted from its events, of which it has no more than it has characters.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import yaml

from segtrain.errors import UserError, damaged

MOST_BYTES = 1 << 22  # of a text: the config of a run has some 2,000
MOST_DEEP = 50  # mappings and lists in each other
MOST_VALUES = 200_000  # mappings, lists and values that a text stands for, each repetition counted
LARGEST = 2**63  # of a whole number: Python itself refuses to write some that YAML can spell
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads a config in a tenth of the time
TIMESTAMP, FLOAT = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:float"
EXPONENT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*[eE][-+]?[0-9]+")  # 1e-3, which YAML 1.1 itself takes for a text
SURROGATE = re.compile("[\ud800-\udfff]")
HALF = re.compile(r"\\u[dD][89a-fA-F]")  # the spelling of half a character, alone or one of a pair


class Loader(PARSER):  # type: ignore[misc]  # libyaml's, where it is there
    """Reads YAML into the values that OmegaConf takes: 1e-3 is a number, a date a text, a key stands once."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in PARSER.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Returns the mapping.

        Raises:
            yaml.constructor.ConstructorError: a key stands twice.
        """
        texts = yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG
        for key, times in Counter(key.value for key, _ in node.value if key.tag == texts).items():
            if times > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


Loader.add_implicit_resolver(FLOAT, EXPONENT, list("-+0123456789"))


def read_yaml(text: str, where: object) -> Any:
    """Returns what a YAML text says: null, truth values, numbers, texts, and lists and mappings of them.

    Args:
        text: of the file; it may come from a stranger.
        where: its name, for messages.

    Raises:
        UserError: it is no YAML, holds other values or stands for too many.
    """
    require_plain(text, where)
    try:
        value = yaml.load(text, Loader)
    except Exception as error:  # of the parser, or of what makes a value of a tag
        raise damaged(where, " ".join(str(error).split()), "plain YAML") from error
    if problem := _problem(value):
        raise damaged(where, problem, "plain YAML")
    return value


def _problem(value: Any) -> str:
    """Returns which value no config can hold; "" for none."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, dict):
            if strange := [key for key in one if not isinstance(key, str | int | float)]:
                return f"a key of the kind {type(strange[0]).__name__}"
            ahead += [*one, *one.values()]
        elif isinstance(one, list):
            ahead += one
        elif isinstance(one, str) and not one.isascii() and SURROGATE.search(one):
            return "half a character (a surrogate)"
        elif isinstance(one, int) and abs(one) >= LARGEST:
            return "a whole number of more than 63 bits"
        elif one is not None and not isinstance(one, bool | int | float | str):
            return f"a value of the kind {type(one).__name__}"
    return ""


def require_plain(text: str, where: object) -> None:
    """Raises UserError unless a YAML text stands for as much as can be read; other mistakes are its reader's to tell.

    Args:
        text: of the file.
        where: its name, for the message.
    """
    if len(text) > MOST_BYTES:
        raise _refusal(where, f"{MOST_BYTES:,} characters at most", f"{len(text):,}")
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []  # anchor and values before it, of each mapping and list that is open
    total = 0
    for event in _events(text):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in opened]:
                raise _refusal(where, "no mapping or list that holds itself", f"*{event.anchor} inside &{event.anchor}")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
        if len(opened) > MOST_DEEP:
            raise _refusal(where, f"mappings and lists at most {MOST_DEEP} deep in each other", "more")
        if total > MOST_VALUES:
            raise _refusal(where, f"{MOST_VALUES:,} values at most, repetitions by & and * counted", "more")


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=PARSER)
    except yaml.YAMLError:  # told by who reads it, in its own words
        return


def _refusal(where: object, expected: str, got: str) -> UserError:
    return UserError(f"'{where}' is too large to be read; expected {expected}; got {got}; shorten it, or restore it")


def read_json(text: str, where: object) -> Any:
    """Returns what a JSON text says.

    Args:
        text: of the file or entry.
        where: its name, for the message.

    Raises:
        UserError: it is no JSON, is nested too deep, or holds a number that is none (NaN, 1e999), a key twice, or half
            a character.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_mapping, parse_constant=_number, parse_float=_number, parse_int=_whole
        )
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise damaged(where, str(error), "JSON") from error
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {Counter(key for key, _ in pairs).most_common(1)[0][0]!r} stands twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > 19:
        raise ValueError(f"the whole number {text[:20]}… has more than 63 bits")
    return int(text)
