"""Writes the lines of a YAML file, each with its comment."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from segtrain.errors import UserError

COLUMN = 38  # where comments begin, unless the line is longer
BARE = re.compile(r"[A-Za-z_][\w./-]*(?: [\w./-]+)*")
NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}  # YAML takes these for something else


class ConfigLine(NamedTuple):
    """Holds a line, and the comment behind it."""

    text: str
    comment: str = ""


class Guess(NamedTuple):
    """Holds a config's lines, what was found and what is left to the user, each a sentence for the terminal.

    `fitting` are overrides that a training on these data is better typed with: a dataset's file cannot hold them.
    `units` is how many images there are, or, where several are of one patient, stack or scan, of those.
    """

    lines: tuple[ConfigLine, ...]
    found: tuple[str, ...]
    asked: tuple[str, ...]
    fitting: tuple[str, ...] = ()
    units: int = 0


def key_line(key: str, value: Any, comment: str = "", indent: int = 0) -> ConfigLine:
    """Returns the line `key: value`."""
    return ConfigLine(f"{' ' * indent}{yaml_value(key)}: {yaml_value(value)}", comment)


def yaml_value(value: Any) -> str:
    """Returns the value as YAML and Hydra read it back.

    Raises:
        UserError: a text that Hydra would read otherwise.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{yaml_value(key)}: {yaml_value(item)}' for key, item in value.items())}}}"
    if not isinstance(value, str):
        return str(value)
    if BARE.fullmatch(value) and value.lower() not in NO_TEXT:
        return value
    if "${" in value:
        raise UserError(f"'{value}' has ${{ in it, which a config takes for a reference; rename the file or folder")
    return "'" + value.replace("'", "''") + "'"


def yaml_text(lines: Iterable[ConfigLine], head: Sequence[str]) -> str:
    """Returns the file's text: `head` as comments, then the lines with their comments in a column."""
    body = [
        f"{text:<{COLUMN - 1}} # {comment}" if text and comment else text or f"# {comment}" for text, comment in lines
    ]
    return "\n".join([*(f"# {line}" for line in head), *body]) + "\n"
