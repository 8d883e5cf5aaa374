"""The one exception that stands for a user's mistake, and how an audit collects them instead of ending at the first."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class UserError(Exception):
    """A mistake the user can mend: bad path, corrupt image, unknown key, missing extra, full disk.

    Its message is one sentence group: what it means; what was expected; what came; the way out.
    `segtrain.__main__` prints it without a traceback and ends with exit status 2. `codes` are what a mask holds that is
    no class, value or "#rrggbb" -> pixels: an audit sums them up over all masks.
    """

    def __init__(self, message: str = "", codes: Mapping[str, int] | None = None) -> None:
        """Keep both; a loader process hands on the message alone."""
        super().__init__(message)
        self.codes = dict(codes or {})


class Refusal(NamedTuple):
    """What `refuse` was told; `names` are all the files or samples it is about, the message may show a few."""

    message: str
    names: tuple[str, ...]


_noted: ContextVar[list[Refusal] | None] = ContextVar("noted", default=None)


def refuse(message: str, names: Sequence[object] = ()) -> None:
    """Nothing inside `noting`: the refusal is noted, and the caller goes on without what it is about.

    Raises:
        UserError: everywhere else.
    """
    noted = _noted.get()
    if noted is None:
        raise UserError(message)
    noted.append(Refusal(message, tuple(str(name) for name in names)))


def is_noting() -> bool:
    """Whether an audit looks on: then what reading each sample finds too need not be looked for beforehand."""
    return _noted.get() is not None


@contextmanager
def noting() -> Iterator[list[Refusal]]:
    """A block in which `refuse` does not end things; the list fills with what it was told."""
    noted: list[Refusal] = []
    before = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(before)
