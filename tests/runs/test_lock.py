"""Who may enter a run folder while another process is, or was, in it."""

import json
import os
import socket
import subprocess
import sys
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
