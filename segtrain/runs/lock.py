"""Keeps a second process out of a run folder while the first one lives, and lets it in when that has died.

On one machine the system's own lock tells: it ends with its process, however that ends. Where a file system shares
no locks between hosts, the holder's sign of life does: the time at which it last touched the file.
"""

import json
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from segtrain.errors import UserError
from segtrain.files import explained
from segtrain.printable import one_line

try:
    import fcntl
except ImportError:  # Windows: the sign of life alone
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
LONGEST = 1000  # letters of a lock that are read
TIMEOUT = 60.0  # seconds without a sign of life after which a holder on another host counts as dead
BEAT = TIMEOUT / 6


class InUse(UserError):
    """Another process lives in the folder."""


class Lock:
    """The lock of a run folder, or of that name in any folder, held while entered."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        """Not held yet; the folder need not exist."""
        self.path = folder / name
        self._file: IO[str] | None = None
        self._released = threading.Event()

    def __enter__(self) -> "Lock":
        """Take it.

        Raises:
            InUse: another process lives in the folder.
            UserError: the disk does not take the lock file.
        """
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._opened()
        holder = self._holder()
        if holder and holder["host"] != socket.gethostname() and (age := self._age()) < TIMEOUT:
            self._file.close()
            raise self._refusal(f"process {holder['pid']} on {holder['host']}, alive {age:.0f} s ago")
        self._file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, self._file)
        self._file.flush()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._released.set()
        self.path.unlink(missing_ok=True)  # before the lock ends: who opened the file meanwhile opens it anew
        self._file.close()

    def _opened(self) -> IO[str]:
        while True:
            file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115  # stays open as long as the lock
            try:
                if fcntl is not None:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process alone: not of its children
            except BlockingIOError:
                self._file = file
                holder = self._holder()
                file.close()
                raise self._refusal(f"process {holder['pid']} on {holder['host']}" if holder else "another") from None
            except OSError:
                pass  # a file system without locks
            if self.path.exists() and os.path.samestat(os.stat(self.path), os.fstat(file.fileno())):
                return file
            file.close()

    def _holder(self) -> dict[str, str] | None:
        assert self._file is not None
        self._file.seek(0)
        try:
            holder: Any = json.loads(self._file.read(LONGEST))
        except (ValueError, RecursionError):  # UnicodeDecodeError too
            return None
        known = isinstance(holder, dict) and {"pid", "host"} <= holder.keys()
        return {key: one_line(str(holder[key]))[:100] for key in ("pid", "host")} if known else None

    def _age(self) -> float:
        """Seconds since the last sign of life, by the clock of the file system, which both hosts share."""
        clock = self.path.with_name(f".clock.{os.getpid()}.part")
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink()
        return now - self.path.stat().st_mtime

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            try:
                os.utime(self.path)
            except OSError:
                return

    def _refusal(self, who: str) -> InUse:
        return InUse(
            f"'{self.path.parent}' is in use: {who} is running in it; expected a folder that no process is in; wait "
            f"for it, or stop it; if its host is gone, the folder is free {TIMEOUT:.0f} s after its last sign of life"
        )
