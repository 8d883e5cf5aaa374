"""Holds the one exception that stands for a user's mistake, and lets an audit collect them.

Beside them remarks: what a reader does with the data that its user may not expect, and which is no mistake.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        """Keeps both; a loader process hands on the message alone."""
        super().__init__(message)
        self.codes = dict(codes or {})


def damaged(where: object, got: str, expected: str) -> UserError:
    """Returns the error of a file of a run or sweep that is not what it was when it was written.

    Args:
        where: its name.
        got: what it holds instead.
        expected: what a file of its kind holds.
    """
    return UserError(
        f"'{where}' is damaged; expected {expected}; got: {got}; restore the file, or delete the run folder and run "
        "again"
    )


class Refusal(NamedTuple):
    """Holds what `refuse` was told; `names` are all the files or samples it is about, the message may show a few."""

    message: str
    names: tuple[str, ...]


_noted: ContextVar[list[Refusal] | None] = ContextVar("noted", default=None)


def refuse(message: str, names: Sequence[object] = ()) -> None:
    """Notes the refusal inside `noting`, where the caller goes on without what it is about.

    Raises:
        UserError: everywhere else.
    """
    noted = _noted.get()
    if noted is None:
        raise UserError(message)
    noted.append(Refusal(message, tuple(str(name) for name in names)))


def is_noting() -> bool:
    """Returns whether an audit looks on: then what reading each sample finds too need not be looked for beforehand."""
    return _noted.get() is not None


@contextmanager
def noting() -> Iterator[list[Refusal]]:
    """Opens a block in which `refuse` does not end things; the list fills with what it was told."""
    noted: list[Refusal] = []
    before = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(before)


class Remark(NamedTuple):
    """Holds what `remark` was told; `names` are the files or samples it is about."""

    kind: str
    message: str
    names: tuple[str, ...]
    is_fine: bool


_heard: ContextVar[list[Remark] | None] = ContextVar("heard", default=None)


def remark(kind: str, message: str, names: Sequence[object] = (), is_fine: bool = False) -> None:
    """Tells whoever listens by `hearing` what is done with the data; without one nothing happens.

    Args:
        kind: in a few words; remarks of one kind are told as one.
        message: what is done, why, and what to do where that is not wanted.
        names: of the files or samples that it is about.
        is_fine: whether it is to be known only, not to be looked at.
    """
    heard = _heard.get()
    if heard is not None:
        heard.append(Remark(kind, message, tuple(str(name) for name in names), is_fine))


def is_hearing() -> bool:
    """Returns whether somebody listens: else what is only worth a remark need not be looked for."""
    return _heard.get() is not None


@contextmanager
def hearing() -> Iterator[list[Remark]]:
    """Opens a block whose remarks fill the list."""
    heard: list[Remark] = []
    before = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(before)


def summed(remarks: Iterable[Remark]) -> list[Remark]:
    """Returns one remark a kind: the first, with the names of all."""
    kinds: dict[str, Remark] = {}
    for one in remarks:
        known = kinds.setdefault(one.kind, one._replace(names=()))
        kinds[one.kind] = known._replace(names=(*known.names, *one.names))
    return list(kinds.values())
