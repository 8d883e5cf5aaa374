"""Reads the arguments of the verbs that take names: report, compare and diff."""

from collections.abc import Sequence

from segtrain.errors import UserError


def read_run_arguments(
    arguments: Sequence[str], usage: str, keys: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Returns the names, and the values of the keys; --config-dir is left out, since no config is composed.

    Args:
        arguments: as typed after the verb; a name may have = in it, as run folders have.
        usage: what the verb expects.
        keys: that the verb has, beside debug.

    Raises:
        UserError: another option, or a key that is added or taken away.
    """
    names, options, rest = list[str](), dict[str, str](), iter(arguments)
    for argument in rest:
        key, equals, value = argument.partition("=")
        if key in ("--config-dir", "-cd"):
            if not equals:
                next(rest, None)
        elif equals and key in (*keys, "debug"):
            options[key] = value
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
