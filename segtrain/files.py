"""The one home of opening files that may come from a stranger, and of writing files whole.

What is read is a regular file, no pipe, device or socket, which could keep a reader for ever; links are followed, as
data sets are often made of them. What is written is written whole, at every moment the old content or the new, or
grows at its end; neither goes through a link, which could lead to any file of the user's.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from segtrain.errors import UserError

MOST_TEXT = 1 << 28  # bytes of a text that is read whole: the table of a run of years has less
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag, and makes links only for administrators
AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # opening a pipe that nobody writes to does not wait
WAYS_OUT = {
    errno.ENOSPC: "free some space there, or write elsewhere with outputs=FOLDER",
    errno.EDQUOT: "free some of your quota, or write elsewhere with outputs=FOLDER",
    errno.EFBIG: "raise the file size limit (ulimit -f), or write elsewhere with outputs=FOLDER",
    errno.EROFS: "write elsewhere with outputs=FOLDER",
    errno.EACCES: "change the folder's permissions, or write elsewhere with outputs=FOLDER",
    errno.EPERM: "change the folder's permissions, or write elsewhere with outputs=FOLDER",
    errno.ENOENT: "the folder is gone or was never made; start the run again",
    errno.ELOOP: "a link stands there, and nothing is written through one; put the file or folder itself there",
    errno.ENAMETOOLONG: "choose a shorter name=… or outputs=FOLDER",
}


def opened(path: str | Path, most: int | None = None) -> BinaryIO:
    """Returns the regular file, open for reading; links to one are followed.

    Args:
        path: of the file.
        most: bytes that it may have; None as many as it likes.

    Raises:
        UserError: it is a pipe, a device, a socket or a folder, or has more bytes.
        OSError: it is missing, or cannot be read.
    """
    number = os.open(path, os.O_RDONLY | AT_ONCE | getattr(os, "O_BINARY", 0))
    try:
        _require(path, os.fstat(number), most)
    except BaseException:
        os.close(number)
        raise
    return open(number, "rb")


def require_regular(path: str | Path, most: int | None = None) -> None:
    """Raises UserError unless the path is a regular file, or a link to one: for libraries that open it by its name.

    Args:
        path: of the file.
        most: bytes that it may have; None as many as it likes.

    Raises:
        UserError: it is a pipe, a device, a socket or a folder, or has more bytes.
        OSError: it is missing.
    """
    _require(path, os.stat(path), most)


def text_of(path: str | Path, most: int = MOST_TEXT, encoding: str = "utf-8") -> str:
    """Returns the text of a regular file.

    Raises:
        UserError: it is no regular file, has more than `most` bytes, or is no such text.
        OSError: it is missing, or cannot be read.
    """
    with opened(path, most) as file:
        content = file.read()
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"'{path}' is damaged; expected text ({encoding}); got byte 0x{content[error.start]:02x} at {error.start}; "
            "save it as UTF-8, or restore it"
        ) from error


def _require(path: str | Path, found: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise UserError(f"'{path}' is {kind}; expected a regular file; put one there, or leave it out")
    if most is not None and found.st_size > most:
        raise UserError(
            f"'{path}' has {found.st_size:,} bytes; expected {most:,} at most; it is damaged, or no file of its kind"
        )


def appended(path: Path) -> BinaryIO:
    """Returns the regular file, made where it is missing, open for reading and for writing at its end, unbuffered.

    Raises:
        OSError: a link stands there (ELOOP), or its folder is one; or the disk does not take it.
        UserError: it is a pipe, a device or a socket.
    """
    require_own(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_LINK | AT_ONCE | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags, 0o644)
    try:
        _require(path, os.fstat(number), None)
    except BaseException:
        os.close(number)
        raise
    return open(number, "a+b", buffering=0)


def require_own(folder: Path) -> None:
    """Raises OSError (ELOOP) where the folder is a link: what is written in it would be written elsewhere."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))


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
