"""Files written whole: at every moment a path holds the old content or the new, never half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from segtrain.errors import UserError

WAYS_OUT = {
    errno.ENOSPC: "free some space there, or write elsewhere with outputs=FOLDER",
    errno.EDQUOT: "free some of your quota, or write elsewhere with outputs=FOLDER",
    errno.EFBIG: "raise the file size limit (ulimit -f), or write elsewhere with outputs=FOLDER",
    errno.EROFS: "write elsewhere with outputs=FOLDER",
    errno.EACCES: "change the folder's permissions, or write elsewhere with outputs=FOLDER",
    errno.EPERM: "change the folder's permissions, or write elsewhere with outputs=FOLDER",
    errno.ENOENT: "the folder is gone or was never made; start the run again",
    errno.ENAMETOOLONG: "choose a shorter name=… or outputs=FOLDER",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an error of the disk in the block into one that says what could not be written.

    Raises:
        UserError: for any OSError raised in the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        way_out = WAYS_OUT.get(error.errno or 0, "check the disk, or write elsewhere with outputs=FOLDER")
        raise UserError(f"could not write '{path}': {reason}; {way_out}") from error


@contextmanager
def part(path: Path) -> Iterator[Path]:
    """Name of a temporary file beside `path`, for the block to fill; it is removed when the block fails.

    Raises:
        UserError: for any OSError raised in the block; `path` then still holds what it held.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with explained(path):
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # of a killed process with this id: may be a second name of a good file
            yield temporary
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def to_disk(file: IO[bytes]) -> None:
    """Returns when the file's content is on the disk and not only in memory."""
    file.flush()
    os.fsync(file.fileno())


def put(temporary: Path, path: Path) -> None:
    """Renames over `path` and returns when the new name is on the disk, so that renames keep their order."""
    os.replace(temporary, path)
    if os.name == "nt":  # a folder cannot be opened there
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(folder)


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes the content (text as UTF-8) to a temporary file beside `path`, then renames it to `path`.

    Raises:
        UserError: full disk, read-only file system, missing folder or permission; `path` is unchanged.
    """
    with part(path) as temporary:
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            to_disk(file)
        put(temporary, path)


def clear_parts(folder: Path) -> None:
    """Removes the temporary files that a killed process left; only the folder's one owner may call it."""
    for leftover in folder.glob(".*.part"):
        leftover.unlink(missing_ok=True)
