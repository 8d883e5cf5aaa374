"""Signals that ask a command to stop: none is lost, and one that is sent twice at once is one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segtrain import interrupts as stopping
from segtrain.interrupts import Stopped, Stops
from tests.conftest import SMALL, CommandLine


class Deleted:
    """Asks the process to stop while it is deleted, where Python swallows what is raised."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_came_while_an_object_was_deleted_is_told_by_the_next_check() -> None:
    with pytest.raises(Stopped) as stop, Stops() as stops:
        lost = Deleted()
        del lost
        stops.check()
    assert stop.value.status == 143


def test_a_signal_that_is_sent_twice_at_once_is_one_and_a_later_one_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left, clock = list[int](), [100.0]
    monkeypatch.setattr(stopping.os, "_exit", left.append)
    monkeypatch.setattr(stopping.time, "monotonic", lambda: clock[0])
    with pytest.raises(Stopped), Stops() as stops, stops.deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert not left
        clock[0] += 2
        signal.raise_signal(signal.SIGTERM)
        assert left == [143]


AT_THE_END_OF_LOADERS = """
import os, signal, sys
from torch.utils.data import dataloader
from segtrain.app.train import recorder

testing = []
recorder.Recorder.on_test_start = lambda *_: testing.append(True)
iterator = dataloader._MultiProcessingDataLoaderIter
shut_down = iterator._shutdown_workers

def asked_to_stop(self):
    if testing:
        os.kill(os.getpid(), signal.SIGTERM)
    shut_down(self)

iterator._shutdown_workers = asked_to_stop
from segtrain.__main__ import main
main()
"""


@pytest.mark.slow
def test_a_signal_while_the_loaders_of_the_test_shut_down_ends_the_run_which_goes_on(
    segtrain: CommandLine, tmp_path: Path
) -> None:
    command = [*SMALL, "data.num_workers=1", "name=a"]
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END_OF_LOADERS, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 143 and "interrupted by SIGTERM" in done.stderr and "Traceback" not in done.stderr
    (run,) = (tmp_path / "outputs" / "a").iterdir()
    assert not (run / "results.json").exists()
    assert segtrain(*command) == 0 and (run / "results.json").exists(), segtrain.err


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_no_traceback_of_its_jobs(tmp_path: Path) -> None:
    """Its jobs end by themselves, and have nobody left to tell."""
    small = [o for o in SMALL if not o.startswith(("trainer.max_epochs", "data.steps_per_epoch"))]
    command = ["-m", "seed=0,1", *small, "trainer.max_epochs=50", "data.steps_per_epoch=100", "checkpoint.every=2"]
    with (tmp_path / "err").open("w") as err:
        sweep = subprocess.Popen([sys.executable, "-m", "segtrain", *command, "name=a"], cwd=tmp_path, stderr=err)
        while not list(tmp_path.glob("outputs/a/*/checkpoints/previous.ckpt")):
            assert sweep.poll() is None
        sweep.kill()
        sweep.wait()
    states = list((tmp_path / "outputs" / "a").glob("*/status.json"))
    end = time.monotonic() + 120
    while time.monotonic() < end and any('"running"' in state.read_text() for state in states):
        time.sleep(0.1)
    time.sleep(2)  # what a job says after that
    assert "Traceback" not in (tmp_path / "err").read_text()


HANGUPS = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no terminals that hang up")


@HANGUPS
def test_a_closed_terminal_stops_as_a_signal_does_and_under_nohup_it_does_not() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        with pytest.raises(Stopped, match="SIGHUP") as stop, Stops():
            signal.raise_signal(signal.SIGHUP)
        assert stop.value.status == 143
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Stops() as stops:
            signal.raise_signal(signal.SIGHUP)
        assert stops.asked is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


IN_A_TERMINAL = """
import sys, time
from segtrain.interrupts import Stopped, Stops
try:
    with Stops():
        print("begun", flush=True)
        time.sleep(60)
except Stopped as stop:
    print("what nobody sees", flush=True)
    with open(sys.argv[1], "w") as file:
        file.write(str(stop))
"""


@HANGUPS
def test_what_is_said_after_the_terminal_was_closed_is_no_failure(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    command = [sys.executable, "-c", IN_A_TERMINAL, str(tmp_path / "end")]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    assert b"begun" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "end").read_text() == "SIGHUP"
