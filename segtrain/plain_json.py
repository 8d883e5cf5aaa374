"""Reads JSON that may come from a stranger: no numbers that are none, keys that stand twice, endless nesting."""

import json
import math
import re
from collections import Counter
from typing import Any

from segtrain.errors import damaged

HALF = re.compile(r"\\u[dD][89a-fA-F]")  # the spelling of half a character, alone or one of a pair


def read(text: str, where: object) -> Any:
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
