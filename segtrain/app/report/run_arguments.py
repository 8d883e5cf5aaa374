"""Reads the arguments of the verbs that take names: report, compare and diff."""

from collections.abc import Sequence

from segtrain.errors import UserError

CONFIG_DIR = "--config-dir"


def read_run_arguments(
    arguments: Sequence[str], usage: str, keys: Sequence[str] = (), flags: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Returns the names, and what was given beside them: the values of keys, and flags, each with an empty value.

    The folder behind --config-dir is among the latter: no config is composed, but a command that is told may want it.

    Args:
        arguments: as typed after the verb; a name may have = in it, as run folders have.
        usage: what the verb expects.
        keys: that the verb has, beside debug.
        flags: that the verb has, such as "--json".

    Raises:
        UserError: another option, or a key that is added or taken away.
    """
    names, options, rest = list[str](), dict[str, str](), iter(arguments)
    for argument in rest:
        key, equals, value = argument.partition("=")
        if key in (CONFIG_DIR, "-cd"):
            options[CONFIG_DIR] = value if equals else next(rest, "")
        elif equals and key in (*keys, "debug"):
            options[key] = value
        elif argument in flags:
            options[argument] = ""
        elif argument.startswith("-"):
            raise UserError(f"there is no option {argument}; expected: {usage}; leave it out")
        elif argument.startswith(("+", "~")):
            raise unread_key(argument, usage)
        else:
            names.append(argument)
    return names, options


def unread_key(argument: str, usage: str) -> UserError:
    """Returns the refusal of a key that the verb does not have."""
    key = argument.lstrip("+~").partition("=")[0]
    return UserError(f"nothing reads the key '{key}'; expected: {usage}; leave it out")
