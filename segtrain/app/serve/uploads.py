"""Keeps what was dropped on serve's page: whose each file is, how much there may be, and when it is deleted."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from segtrain.errors import UserError

SUFFIXES = (".nii.gz", ".nii", ".tiff", ".tif", ".png", ".jpeg", ".jpg", ".bmp", ".gif")  # of which the reader asks
MEGA = 2**20  # bytes
MOST_FILES = 4  # of a session: the page shows one, and a user has some tabs; the oldest makes room for the next
MOST_SESSIONS = 256  # the one that was not heard of for longest is forgotten, with its files
KEPT = 3600  # seconds after which a file that nobody asked for is deleted


class Dropped(NamedTuple):
    """Holds a file of a session's; its path is ours, its name the user's, and only for words."""

    path: Path
    name: str
    size: int  # bytes that it has or will have, reserved from the first on
    used: float  # by the clock


class Uploads:
    """Holds the files of all sessions. A path is known by a random key, to the session alone that brought the file."""

    def __init__(
        self,
        folder: Path,
        most: int,
        in_all: int,
        gone: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with none.

        Args:
            folder: where they lie, ours alone.
            most: bytes of a file.
            in_all: bytes of all files of all sessions.
            gone: called once a file was deleted.
            clock: seconds.
        """
        self._folder, self._most, self._in_all = folder, most, in_all
        self._gone, self._clock = gone, clock
        self._held: OrderedDict[str, OrderedDict[str, Dropped]] = OrderedDict()  # session -> key -> file, oldest first

    def begin(self) -> str:
        """Returns a new session."""
        session = secrets.token_urlsafe(32)
        while len(self._held) >= MOST_SESSIONS:
            self.end(next(iter(self._held)))
        self._held[session] = OrderedDict()
        return session

    def knows(self, session: str) -> bool:
        """Returns whether it is a session that began here and was not forgotten; it is heard of now."""
        if session in self._held:
            self._held.move_to_end(session)
        return session in self._held

    def take(self, session: str, name: str, size: int) -> tuple[str, Path]:
        """Returns the key of a file of so many bytes, which count from now on, and the path to write it to.

        Raises:
            UserError: it is too large, or there are too many.
        """
        if size > self._most:
            raise UserError(
                f"'{name}' has {size / MEGA:,.1f} MB; expected {self._most / MEGA:.3g} MB at most; cut it into tiles, "
                "or start with max_mb=…; `python -m segtrain predict` takes any size"
            )
        self.drop_old()
        files = self._held[session]
        while len(files) >= MOST_FILES:
            self.drop(session, next(iter(files)))
        held = sum(file.size for others in self._held.values() for file in others.values())
        if held + size > self._in_all:
            raise UserError(
                f"no room for '{name}': all uploads together have {(held + size) / MEGA:,.1f} MB; expected "
                f"{self._in_all / MEGA:.3g} MB at most; wait until others have ended, or start with max_uploads_mb=…"
            )
        key = secrets.token_urlsafe(32)
        ending = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
        files[key] = Dropped(self._folder / f"{secrets.token_hex(16)}{ending}", name, size, self._clock())
        return key, files[key].path

    def find(self, session: str, key: str) -> Dropped | None:
        """Returns the file, if this session brought it and it is still there; it is used now."""
        files = self._held.get(session, OrderedDict())
        if key not in files:
            return None
        files[key] = files[key]._replace(used=self._clock())
        return files[key]

    def drop(self, session: str, key: str) -> None:
        """Deletes a file of the session's, if it is one."""
        file = self._held.get(session, OrderedDict()).pop(key, None)
        if file is not None:
            file.path.unlink(missing_ok=True)
            self._gone()

    def end(self, session: str) -> None:
        """Forgets the session and deletes its files."""
        for key in list(self._held.get(session, ())):
            self.drop(session, key)
        self._held.pop(session, None)

    def drop_old(self) -> None:
        """Deletes what nobody asked for in the last `KEPT` seconds."""
        before = self._clock() - KEPT
        for session, files in self._held.items():
            for key in [key for key, file in files.items() if file.used < before]:
                self.drop(session, key)
