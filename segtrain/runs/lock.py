"""Keeps a second process out of a run folder while the first one lives, and lets it in when that has died.

On one machine the system's own lock tells: it ends with its process, however that ends. Where a file system shares
no locks between hosts, the holder's sign of life does: the time at which it last touched the file.
"""

import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from segtrain.errors import UserError
from segtrain.files import appended, created, explained, make_own
from segtrain.printable import one_line, print_text

try:
    import fcntl
except ImportError:  # Windows: the sign of life alone
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
TIMEOUT = 60.0  # seconds without a sign of life after which a holder on another host counts as dead
BEAT = TIMEOUT / 6
LOOK = 0.05  # seconds between looks for a sign of life
LONGEST = 4096  # bytes of a lock file that are read: ours has some fifty
THROUGH_LINKS = os.utime not in os.supports_follow_symlinks  # a system may not know how to touch a link itself


class InUse(UserError):
    """Says that another process lives in the folder."""


class Holder(NamedTuple):
    """Says who holds a lock, by the file."""

    pid: int
    host: str


class Lock:
    """Holds the lock of a run folder, or of that name in any folder, while entered."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        """Takes a folder that need not exist yet; it is not held yet."""
        self.path = folder / name
        self._file: BinaryIO | None = None
        self._released = threading.Event()

    def __enter__(self) -> "Lock":
        """Takes it.

        Raises:
            InUse: another process lives in the folder.
            UserError: the folder or the lock file is a link, or the disk does not take the file.
        """
        make_own(self.path.parent)
        with explained(self.path):
            file = self._file = self._opened()
            try:
                self._require_dead()
                file.truncate(0)
                file.write(json.dumps(Holder(os.getpid(), socket.gethostname())._asdict()).encode())
            except BaseException:
                file.close()
                raise
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._released.set()
        self.path.unlink(missing_ok=True)  # before the lock ends: who opened the file meanwhile opens it anew
        self._file.close()

    def _opened(self) -> BinaryIO:
        while True:
            file = appended(self.path)  # stays open as long as the lock
            try:
                if fcntl is not None:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process alone: not of its children
            except BlockingIOError:
                self._file = file
                holder = self._holder()
                file.close()
                raise self._refusal(f"process {holder.pid} on {holder.host}" if holder else "another") from None
            except OSError:
                pass  # a file system without locks
            if self._is_there(file):
                return file
            file.close()

    def _is_there(self, file: BinaryIO) -> bool:
        """Returns whether the file still bears the name, so that others meet it."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _holder(self) -> Holder | None:
        """Returns who the file says holds it; None where it says nothing that can be."""
        assert self._file is not None
        self._file.seek(0)
        try:
            said = json.loads(self._file.read(LONGEST))
        except (ValueError, RecursionError):
            return None
        if not isinstance(said, dict) or type(said.get("pid")) is not int or type(said.get("host")) is not str:
            return None
        return Holder(said["pid"], one_line(said["host"])[:100])

    def _require_dead(self) -> None:
        """Raises InUse where the holder is on another host, and shows life."""
        holder = self._holder()
        if holder is None or holder.host == socket.gethostname():
            return
        age = self._age()
        if age >= TIMEOUT or (age < -TIMEOUT and not self._shows_life()):
            return
        raise self._refusal(f"process {holder.pid} on {holder.host}, alive {max(0.0, age):.0f} s ago")

    def _age(self) -> float:
        """Returns the seconds since the last sign of life, by the file system's clock, which both hosts share."""
        clock = self.path.with_name(f".clock.{os.getpid()}.part")
        clock.unlink(missing_ok=True)  # of a killed process with this id
        with created(clock) as file:
            now = os.fstat(file.fileno()).st_mtime
        clock.unlink()
        return now - self._touched()

    def _shows_life(self) -> bool:
        """Returns whether the file is touched within TIMEOUT of our clock: its times are of another, which is ahead.

        The same is done with a time that no clock has given, as of a copy.
        """
        before, end = self._touched(), time.monotonic() + TIMEOUT
        print_text(f"'{self.path}' was touched in the future; looking {TIMEOUT:.0f} s for a sign of life", flush=True)
        while time.monotonic() < end:
            time.sleep(LOOK)
            if self._touched() != before:
                return True
        return False

    def _touched(self) -> float:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_mtime

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            try:
                os.utime(self.path, follow_symlinks=THROUGH_LINKS)
            except OSError:
                return

    def _refusal(self, who: str) -> InUse:
        return InUse(
            f"'{self.path.parent}' is in use: {who} is running in it; expected a folder that no process is in; wait "
            f"for it, or stop it; if its host is gone, the folder is free {TIMEOUT:.0f} s after its last sign of life"
        )
