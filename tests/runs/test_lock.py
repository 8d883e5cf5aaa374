"""Who may enter a run folder while another process is, or was, in it."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.runs import lock
from segtrain.runs.lock import Lock

HOLD = "import sys,time; from pathlib import Path; from segtrain.runs.lock import Lock\nwith Lock(Path(sys.argv[1])):\n"


def holder(folder: Path, then: str = "print('held', flush=True); time.sleep(60)") -> subprocess.Popen[str]:
    """A process that holds the lock, and has said so."""
    command = [sys.executable, "-c", HOLD + f"    {then}", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_the_second_is_kept_out_until_the_first_is_dead(tmp_path: Path) -> None:
    child = holder(tmp_path)
    try:
        with pytest.raises(UserError, match=f"in use: process {child.pid} on {socket.gethostname()}"), Lock(tmp_path):
            raise AssertionError("entered")
    finally:
        child.kill()
        child.communicate()
    with Lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_children_of_the_first_do_not_keep_it(tmp_path: Path) -> None:
    """A loader process may outlive its killed parent by seconds."""
    child = holder(
        tmp_path, "import os; os.fork() or (time.sleep(3), os._exit(0)); print('held', flush=True); time.sleep(60)"
    )
    child.kill()
    child.wait()
    with Lock(tmp_path):
        pass
    child.communicate()


@pytest.mark.parametrize(("age", "enters"), [(0.0, False), (lock.TIMEOUT / 2, False), (lock.TIMEOUT + 1, True)])
def test_a_holder_on_another_host_counts_while_it_shows_life(age: float, enters: bool, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text(json.dumps({"pid": 3, "host": "another"}))
    os.utime(path, (time.time() - age,) * 2)
    if enters:
        with Lock(tmp_path):
            assert json.loads(path.read_text())["host"] == socket.gethostname()
    else:
        with pytest.raises(UserError, match="process 3 on another, alive"), Lock(tmp_path):
            raise AssertionError("entered")


def test_it_shows_life_while_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with Lock(tmp_path):
        os.utime(tmp_path / ".lock", (1.0, 1.0))
        end = time.monotonic() + 5
        while (tmp_path / ".lock").stat().st_mtime < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert (tmp_path / ".lock").stat().st_mtime > 2


def test_a_torn_lock_file_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text('{"pid": 1')
    with Lock(tmp_path):
        pass


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"null",
        b'"a"',
        b"{}",
        b'{"pid": "x", "host": 3}',
        b'{"pid": 3}',
        b"\xff",
        b"[" * 4000,
        b"a" * 10**6,
    ],
)
def test_what_is_no_holder_keeps_nobody_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with Lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "link of the folder"])
def test_a_lock_file_that_is_none_is_named_and_harms_nothing(tmp_path: Path, kind: str) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "file").write_text("mine")
    if kind == "link of the folder":
        run.symlink_to(mine)
    else:
        run.mkdir()
        make = {"link": lambda p: p.symlink_to(mine / "file"), "pipe": os.mkfifo, "folder": os.mkdir}
        make[kind](run / ".lock")
    with pytest.raises(UserError, match=str(run)), Lock(run):
        raise AssertionError("entered")
    assert [path.name for path in mine.iterdir()] == ["file"] and (mine / "file").read_text() == "mine"


@pytest.mark.parametrize("lives", [True, False])
def test_a_holder_whose_clock_is_ahead_counts_while_it_shows_life(
    lives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "TIMEOUT", 0.5)
    path, ahead = tmp_path / ".lock", time.time() + 3 * 86400
    path.write_text(json.dumps({"pid": 3, "host": "another"}))
    os.utime(path, (ahead, ahead))
    beats = threading.Timer(0.1, os.utime, (path, (ahead + 10, ahead + 10)))
    if lives:
        beats.start()
        with pytest.raises(UserError, match="process 3 on another"), Lock(tmp_path):
            raise AssertionError("entered")
        beats.join()
        assert json.loads(path.read_text()) == {"pid": 3, "host": "another"}
    else:
        with Lock(tmp_path):
            assert json.loads(path.read_text())["host"] == socket.gethostname()
            assert abs(path.stat().st_mtime - time.time()) < 60


def test_a_sign_of_life_touches_no_file_that_a_link_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    (mine := tmp_path / "mine").write_text("mine")
    os.utime(mine, (1, 1))
    with Lock(tmp_path / "run"):
        (tmp_path / "run/.lock").unlink()
        (tmp_path / "run/.lock").symlink_to(mine)
        time.sleep(0.2)
    assert mine.stat().st_mtime == 1 and mine.read_text() == "mine"
