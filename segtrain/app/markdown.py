"""Markdown from values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Sequence[object]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table; a bar in a cell stays a bar."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def block(language: str, text: str) -> str:
    """Code of a language."""
    return f"```{language}\n{text}\n```"


def listed(arguments: Mapping[str, Any]) -> str:
    """`key value` of each argument that says something."""
    said = {key: value for key, value in arguments.items() if value is not None}
    return ", ".join(f"{key} {value}" for key, value in said.items()) or "without arguments"
