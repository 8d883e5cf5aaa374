"""YAML that may come from a stranger: how large, how deep and how often repeated it may be, before it is read.

A few lines of anchors (`&a`) that each name the one before several times (`*a`) stand for more values than memory
holds. What a text stands for is counted from its events, of which it has no more than it has characters.
"""

from collections.abc import Iterator

import yaml

from segtrain.errors import UserError

MOST_BYTES = 1 << 22  # of a text: the config of a run has some 2,000
MOST_DEEP = 50  # mappings and lists in each other
MOST_VALUES = 200_000  # mappings, lists and values that a text stands for, each repetition counted
PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
