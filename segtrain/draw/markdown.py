"""Sets values in Markdown: those in tables and lists are text, whatever stands in them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segtrain.printable import in_markdown

Row = Sequence[object]


def table(head: Row, rows: Iterable[Row]) -> str:
    """Returns a table; a bar in a cell stays a bar."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(in_markdown(str(cell)) for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """Returns a list."""
    return "\n".join(f"- {line}" for line in lines)


def block(language: str, text: str) -> str:
    """Returns code of a language."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def listed(arguments: Mapping[str, Any]) -> str:
    """Returns `key value` of each argument that says something."""
    said = {key: value for key, value in arguments.items() if value is not None}
    return in_markdown(", ".join(f"{key} {value}" for key, value in said.items()) or "without arguments")
