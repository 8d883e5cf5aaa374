"""What is read is a regular file; a path holds the old content or the new, and the user is told why not."""

import errno
import os
import re
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.files import (
    BEYOND_UTF8,
    append_whole,
    appended,
    changed,
    clear_parts,
    created,
    explained,
    followed,
    in_utf8,
    make_own,
    opened,
    part,
    require_regular,
    text_of,
    write_whole,
)

KINDS = ("pipe", "device", "folder", "socket", "linked pipe", "broken link", "circle")


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_failed_write_keeps_the_old_file_and_says_why(tmp_path, monkeypatch, call, number):
    path = tmp_path / "status.json"
    write_whole(path, "old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UserError, match=r"status\.json.*" + os.strerror(number) + ".*outputs="):
        write_whole(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["status.json"]
    assert path.read_text() == "old"


def test_disk_that_refuses_bytes_keeps_the_old_file(tmp_path):
    """A real refusal by the kernel: a file size limit, in a process of its own."""
    path = tmp_path / "big.bin"
    write_whole(path, b"old")
    code = (
        "import resource, sys; from pathlib import Path; from segtrain.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_whole(Path(sys.argv[1]), b'x' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "UserError: could not write" in done.stderr and "ulimit" in done.stderr
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="permissions"):
        write_whole(tmp_path / "a.json", "new")
    tmp_path.chmod(0o700)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="the folder is gone"):
        write_whole(tmp_path / "gone" / "a.json", "new")


def test_leftovers_of_a_killed_process_go_and_nothing_else(tmp_path):
    for name in (".a.json.17.part", "a.json", ".hidden", "b.part"):
        (tmp_path / name).write_text("x")
    clear_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "a.json", "b.part"]


@pytest.mark.parametrize("read", [text_of, require_regular, lambda path: opened(path).close()])
@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read_and_none_is_waited_for(tmp_path, kind, read):
    path = special(tmp_path / "x.png", kind)
    with pytest.raises(UserError, match=rf"x\.png' is .*{'link' if kind in ('broken link', 'circle') else ''}"):
        read(path)


def special(path, kind):
    """Puts at the path what is no regular file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "broken link":
        path.symlink_to("nowhere.png")
    elif kind == "circle":
        path.symlink_to(path.name)
    else:
        os.mkfifo(path.with_name("pipe"))
        path.symlink_to(path.with_name("pipe"))
    return path


def test_what_is_read_may_be_a_link_and_has_a_size(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_bytes("ä".encode())
    link.symlink_to(path)
    assert text_of(link) == "ä"
    require_regular(link, 2)
    for read in (text_of, opened, require_regular):
        with pytest.raises(UserError, match=r"link\.txt"):
            read(link, 1)
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match="0xff"):
        text_of(path)


def test_nothing_is_appended_through_a_link(tmp_path):
    aim, folder = tmp_path / "aim.txt", tmp_path / "folder"
    aim.write_text("mine")
    (tmp_path / "link.txt").symlink_to(aim)
    (tmp_path / "new.txt").symlink_to(tmp_path / "made.txt")
    folder.symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "link.txt", tmp_path / "new.txt", folder / "a.txt", tmp_path / "pipe.txt"):
        with pytest.raises(UserError), explained(path):
            appended(path)
    assert aim.read_text() == "mine" and not (tmp_path / "made.txt").exists() and not (tmp_path / "a.txt").exists()
    for content in (b"a\n", b"b\n"):
        with appended(tmp_path / "log.txt") as file:
            file.write(content)
            file.seek(0)
            assert file.read().endswith(content)
    assert (tmp_path / "log.txt").read_bytes() == b"a\nb\n"


@pytest.fixture
def linked(tmp_path):
    """A file and a folder of the user's, and links to both and to nothing in a folder of a stranger's."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    (mine / "folder").mkdir(parents=True)
    theirs.mkdir()
    (mine / "file").write_text("mine")
    for name in ("file", "folder", "nothing"):
        (theirs / name).symlink_to(mine / name)
    return mine, theirs


def test_no_way_of_writing_goes_through_a_link(linked):
    mine, theirs = linked
    (theirs / f".new.{os.getpid()}.part").symlink_to(mine / "file")  # where a temporary file will be
    write_whole(theirs / "new", "ours")
    write_whole(theirs / "file", "ours")
    write_whole(theirs / "nothing", "ours")
    assert (mine / "file").read_text() == "mine" and not (mine / "nothing").exists()
    assert {(theirs / name).read_text() for name in ("new", "file", "nothing")} == {"ours"}
    for write in (write_whole, lambda path, _: append_whole(path, b"x"), lambda path, _: make_own(path.parent)):
        with pytest.raises(UserError, match=f"'{theirs / 'folder'}' is a link, to '{mine / 'folder'}'"):
            write(theirs / "folder" / "new", "ours")
    (theirs / "file").unlink()
    (theirs / "file").symlink_to(mine / "file")
    for write in (created, changed):
        with pytest.raises(OSError, match="file"):
            write(theirs / "file")
    assert (mine / "file").read_text() == "mine" and not [*(mine / "folder").iterdir()]


def test_folders_are_made_below_one_and_through_no_link(linked):
    mine, theirs = linked
    make_own(theirs / "a" / "b", theirs)
    with pytest.raises(UserError, match="is a link"):
        make_own(theirs / "folder" / "c" / "d", theirs)
    with pytest.raises(UserError, match="is a link"):
        make_own(theirs / "nothing" / "c", theirs)
    assert (theirs / "a" / "b").is_dir() and not [*(mine / "folder").iterdir()] and not (mine / "nothing").exists()
    write_whole(followed(theirs / "folder") / "asked", "for")  # by the user, who named the folder
    assert (mine / "folder" / "asked").read_text() == "for"


def test_a_leftover_that_is_a_folder_or_a_link_harms_nobody(linked):
    mine, theirs = linked
    (theirs / ".a.1.part").mkdir()
    (theirs / ".b.1.part").symlink_to(mine / "folder")
    (theirs / ".c.1.part").symlink_to(mine / "file")
    clear_parts(theirs)
    assert (mine / "folder").is_dir() and (mine / "file").is_file() and (theirs / ".a.1.part").is_dir()
    (theirs / f".new.{os.getpid()}.part").mkdir()
    with pytest.raises(UserError, match="could not write"), part(theirs / "new"):
        raise AssertionError("entered")


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_name_is_written_as_text_and_what_is_text_as_it_is(name):
    assert in_utf8(name).encode().decode() == in_utf8(name)
    assert in_utf8(name) == name or re.search("[\ud800-\udfff]", name)
    assert name.encode(errors=BEYOND_UTF8) == in_utf8(name).encode()
    assert name.encode("ascii", errors=BEYOND_UTF8).decode().isascii()


def test_a_byte_of_a_name_is_its_escape(tmp_path):
    name = os.fsdecode(b"\xff.png")
    assert in_utf8(f"ä{name}") == "ä\\xff.png"
    (tmp_path / name).write_bytes(b"1")
    write_whole(tmp_path / "list.txt", name)
    with opened(tmp_path / name) as file:
        assert file.read() == b"1"
    assert (tmp_path / "list.txt").read_text() == "\\xff.png"
