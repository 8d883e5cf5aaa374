"""Lines of a YAML file, each with its comment."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from segtrain.errors import UserError

COLUMN = 38  # where comments begin, unless the line is longer
BARE = re.compile(r"[A-Za-z_][\w./-]*(?: [\w./-]+)*")
NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}  # YAML takes these for something else


class Line(NamedTuple):
    """A line, and the comment behind it."""

    text: str
    comment: str = ""


class Guess(NamedTuple):
    """A config's lines; what was found and what is left to the user, each a sentence for the terminal.

    `fitting` are overrides that a training on these data is better typed with: a dataset's file cannot hold them.
    """

    lines: tuple[Line, ...]
    found: tuple[str, ...]
    asked: tuple[str, ...]
    fitting: tuple[str, ...] = ()


def entry(key: str, value: Any, comment: str = "", indent: int = 0) -> Line:
    """`key: value`."""
    return Line(f"{' ' * indent}{scalar(key)}: {scalar(value)}", comment)


def scalar(value: Any) -> str:
    """The value as YAML and Hydra read it back.

    Raises:
        UserError: a text that Hydra would read otherwise.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar(key)}: {scalar(item)}' for key, item in value.items())}}}"
    if not isinstance(value, str):
        return str(value)
    if BARE.fullmatch(value) and value.lower() not in NO_TEXT:
        return value
    if "${" in value:
        raise UserError(f"'{value}' has ${{ in it, which a config takes for a reference; rename the file or folder")
    return "'" + value.replace("'", "''") + "'"


def written(lines: Iterable[Line], head: Sequence[str]) -> str:
    """The file: `head` as comments, then the lines with their comments in a column."""
    body = [
        f"{text:<{COLUMN - 1}} # {comment}" if text and comment else text or f"# {comment}" for text, comment in lines
    ]
    return "\n".join([*(f"# {line}" for line in head), *body]) + "\n"
