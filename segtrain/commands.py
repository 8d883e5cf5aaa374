"""Commands that are printed for a user to copy: one line, quoted for the shell, with their own configs in force."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from segtrain.config.composition import typed_folder
from segtrain.printable import one_line

# Verbs that take all they need from a run's folder, a file or the arguments: no config is composed from choices.
OF_RUN = ("evaluate", "predict", "export", "serve", "report", "compare", "diff")
PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./…-]+")  # needs no quotes in a shell; … stands for what the user fills in


def command(verb: str, *arguments: str, conf: str | Path | None = None) -> str:
    """Returns a command as one types it.

    Args:
        verb: of segtrain; of a training "".
        arguments: overrides and names, unquoted.
        conf: the folder for --config-dir; None: the one that this command was given, where the verb needs it.
    """
    used = str(conf) if conf is not None else own_folder() if verb not in OF_RUN else ""
    folder = ["--config-dir", used] if used else []
    return " ".join(["python -m segtrain", *([verb] if verb else []), *map(in_shell, [*folder, *arguments])])


def own_folder() -> str:
    """Returns the user's own folder for configs that this command was given (--config-dir); "" for none.

    Below the current directory it is a relative path, as one types it.
    """
    own = typed_folder()
    path, here = Path(own), Path.cwd()
    return str(path.relative_to(here)) if own and path.is_relative_to(here) else own


def searched_too(conf: str | Path) -> Sequence[str]:
    """Returns the override by which the user's own folder is searched beside `conf`; nothing where there is none."""
    own = own_folder()
    return [f"hydra.searchpath=['file://{Path(own).resolve()}']"] if own and own != str(conf) else []


def in_shell(argument: str) -> str:
    """Returns an argument quoted for the shell where it must be; with Hydra's single quotes in it, in double ones.

    One with a line feed, or another character that a terminal would obey, is written with escapes ($'…', which bash
    and zsh read), so that a command stays one line, and does what it shows.
    """
    if PLAIN.fullmatch(argument):
        return argument
    if one_line(argument) != argument:
        return "$'" + "".join(_escaped(character) for character in argument) + "'"
    plain = "'" in argument and not set('"$`!\\') & set(argument)
    return f'"{argument}"' if plain else shlex.quote(argument)


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if one_line(character) == character:
        return character
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "replace"
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors=errors))
