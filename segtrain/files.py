r"""Opens files that may come from a stranger, and writes files whole: the one home of both.

What is read is a regular file, no pipe, device or socket, which could keep a reader for ever; links are followed, as
data sets are often made of them. What is written is written whole, at every moment the old content or the new, or
grows at its end; neither goes through a link, which could lead to any file of the user's. A folder that the user names
may be a link (`followed`); one inside it may not (`make_own`).

A name that is no UTF-8 is kept as Python has it where its file is opened; wherever it is shown or written, in ids too,
its byte 0xff is the four letters \xff (`in_utf8`, and `BEYOND_UTF8` for streams).
"""

import codecs
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

from segtrain.errors import UserError

MOST_TEXT = 1 << 28  # bytes of a text that is read whole: the table of a run of years has less
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
BEYOND_UTF8 = "segtrain.bytes"  # the name by which streams know how what is no UTF-8 is written
HALVES, BYTES = "[\ud800-\udfff]", range(0xDC80, 0xDD00)  # no characters; what Python has bytes as
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
    errno.ENAMETOOLONG: "choose a shorter name=… or outputs=FOLDER",
}


def in_utf8(text: str) -> str:
    """Returns the text with what is no character, such as a byte of a name that is no UTF-8, as its escape."""
    return re.sub(HALVES, lambda found: escaped(found[0]), text)


def escaped(character: str) -> str:
    """Returns a character as an escape: x and two digits of a byte, or of half a character for one; else u and four."""
    number = ord(character)
    number -= 0xDC00 if number in BYTES else 0
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return in_utf8(failed).encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(BEYOND_UTF8, _escaped)


def opened(path: str | Path, most: int | None = None) -> io.BufferedReader:
    """Returns the regular file, open for reading; links to one are followed.

    Args:
        path: of the file.
        most: bytes that it may have; None as many as it likes.

    Raises:
        UserError: it is a pipe, a device, a socket, a folder or a link that leads nowhere, or has more bytes.
        OSError: it is missing, or cannot be read.
    """
    if not isinstance(path, str | os.PathLike):
        return cast(io.BufferedReader, path.open("rb"))  # a cell of a table, under the methods of a path
    try:
        number = os.open(path, os.O_RDONLY | AT_ONCE | getattr(os, "O_BINARY", 0))
    except OSError:  # of a socket too, or a link that leads nowhere
        require_regular(path)
        raise
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
        UserError: it is a pipe, a device, a socket, a folder or a link that leads nowhere, or has more bytes.
        OSError: it is missing.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        if not os.path.islink(path):
            raise
        raise UserError(
            f"'{path}' is a link to '{os.readlink(path)}', which leads to no file ({error.strerror}); expected a "
            "regular file; fetch or restore what it leads to, or remove the link"
        ) from error
    _require(path, found, most)


def text_opened(
    path: str | Path, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> TextIO:
    """Returns the regular file, open for reading as text; as `opened`, and as `open` takes the other arguments."""
    return io.TextIOWrapper(opened(path), encoding, errors, newline)


def bytes_of(path: str | Path, most: int | None = None) -> bytes:
    """Returns the content of a regular file; raises as `opened`."""
    with opened(path, most) as file:
        return file.read()


def text_of(path: str | Path, most: int = MOST_TEXT, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Returns the text of a regular file.

    Raises:
        UserError: it is no regular file, has more than `most` bytes, or is no such text.
        OSError: it is missing, or cannot be read.
    """
    content = bytes_of(path, most)
    try:
        return content.decode(encoding, errors)
    except UnicodeDecodeError as error:
        name, byte = encoding.upper().removesuffix("-SIG"), content[error.start]
        raise UserError(
            f"'{path}' is damaged; expected text in {name}; got byte 0x{byte:02x} at {error.start}; "
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
        UserError: it or its folder is a link, or it is a pipe, a device or a socket.
        OSError: the disk does not take it.
    """
    require_own(path.parent)
    require_own(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_LINK | AT_ONCE | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags, 0o666)
    try:
        _require(path, os.fstat(number), None)
    except BaseException:
        os.close(number)
        raise
    return open(number, "a+b", buffering=0)


def append_whole(path: Path, content: bytes) -> None:
    """Adds the content to the end of a file by one write; what a failed write left of it is cut off again.

    Raises:
        UserError: as `appended`, or the disk does not take it.
    """
    with explained(path), appended(path) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            to_disk(file)
        except OSError:
            file.truncate(end)
            raise


def created(path: Path) -> BinaryIO:
    """Returns a new file, open for writing; raises OSError where anything is there by that name, a link too."""
    return open(path, "xb")


def changed(path: Path) -> BinaryIO:
    """Returns the file that is there, open for reading and writing; raises OSError where it is a link."""
    return open(os.open(path, os.O_RDWR | NO_LINK | getattr(os, "O_BINARY", 0)), "r+b")


def require_own(path: Path) -> None:
    """Raises UserError where the file or folder is a link: what is written there would be written elsewhere."""
    if path.is_symlink():
        raise UserError(
            f"'{path}' is a link, to '{os.path.realpath(path)}'; expected the file or folder itself, for nothing is "
            "written through a link in a run's folder; give the place it leads to, or remove the link"
        )


def make_own(folder: Path, within: Path | None = None) -> None:
    """Makes the folder, where it is missing, with those above.

    Args:
        folder: to be made.
        within: a folder above it; none from it to the one that is made may be a link.

    Raises:
        UserError: one is; or the disk does not take it.
    """
    for above in (folder, *folder.parents):
        require_own(above)
        if above == (within or folder):
            break
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


def followed(folder: Path) -> Path:
    """Returns where a folder that the user has named lies: in it is written though the name is a link."""
    return folder.resolve() if folder.is_symlink() else folder


def print_any_name() -> None:
    """Lets `print` take names that are no text of the terminal's encoding, written by `BEYOND_UTF8`, from now on."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=BEYOND_UTF8)


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
    """Yields the name of a temporary file beside `path`, for the block to fill; it is removed when the block fails.

    Raises:
        UserError: the folder is a link; or for any OSError raised in the block; `path` then still holds what it held.
    """
    require_own(path.parent)
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
        UserError: full disk, read-only file system, missing folder or permission, a folder that is a link; `path` is
            unchanged. A link at `path` gives way to the file; what it led to stays as it is.
    """
    with part(path) as temporary:
        with created(temporary) as file:
            file.write(content.encode(errors=BEYOND_UTF8) if isinstance(content, str) else content)
            to_disk(file)
        put(temporary, path)


def clear_parts(folder: Path) -> None:
    """Removes the temporary files that a killed process left; only the folder's one owner may call it."""
    for leftover in folder.glob(".*.part"):
        if leftover.is_symlink() or not leftover.is_dir():
            leftover.unlink(missing_ok=True)
