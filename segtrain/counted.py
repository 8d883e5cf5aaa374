"""A number with its noun, as messages say it: 1 run, 2 runs."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Returns the number and the noun that agrees with it.

    Args:
        number: of things.
        one: what one of them is called.
        many: what several are called; None: the same with an s, as 2 runs, 0 runs.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
