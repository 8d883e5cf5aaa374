"""A path holds the old content or the new, and the user is told why nothing was written."""

import errno
import os
import subprocess
import sys

import pytest

from segtrain.errors import UserError
from segtrain.runs.files import clear_parts, write_whole


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
        "import resource, sys; from pathlib import Path; from segtrain.runs.files import write_whole\n"
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
