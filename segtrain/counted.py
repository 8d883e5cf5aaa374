"""Says numbers and lists as messages do: 1 run, 2 runs, a.png, b.png, … (9 in all)."""

from collections.abc import Sequence


def counted(number: int, one: str, many: str | None = None) -> str:
    """Returns the number and the noun that agrees with it.

    Args:
        number: of things.
        one: what one of them is called.
        many: what several are called; None: the same with an s, as 2 runs, 0 runs.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def some_of(names: Sequence[str]) -> str:
    """Returns up to five names, and how many there are in all when there are more."""
    shown = ", ".join(names[:5])
    return f"{shown}, … ({len(names)} in all)" if len(names) > 5 else shown
