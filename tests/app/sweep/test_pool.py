"""Jobs in processes of their own: what ends them, and that nothing else does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtrain.app.sweep.pool import EX_BUSY, Answer, Pool


def work(payload: Any, answer: Any) -> None:
    """By payload: an answer, a death, an endless job that notes its end."""
    kind, folder = payload
    if kind == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "busy" and not (folder / "free").exists():
        (folder / "free").touch()
        answer.send(Answer("failed", "in use"))
        sys.exit(EX_BUSY)
    if kind == "second time" and not (folder / "tried").exists():
        (folder / "tried").touch()
        sys.exit(3)
    if kind == "endless":
        signal.signal(signal.SIGTERM, lambda *_: ended(folder, answer))
        (folder / f"pid{os.getpid()}").touch()
        while True:
            time.sleep(0.05)
    answer.send(Answer("finished", results={"device": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}))


def ended(folder: Path, answer: Any) -> None:
    (folder / "ended").touch()
    answer.send(Answer("interrupted"))
    sys.exit(143)


def outcomes(jobs: list[tuple[str, Any]], slots: int = 2, **options: Any) -> dict[str, Answer]:
    return {outcome.name: outcome.answer for outcome in Pool(work, [None] * slots, **options).run(jobs)}


def test_a_jobs_death_harms_no_other(tmp_path: Path) -> None:
    found = outcomes([(f"{i} {kind}", (kind, tmp_path)) for i, kind in enumerate(["ok", "dies", "ok", "ok"])])
    assert [found[name].state for name in sorted(found)] == ["finished", "failed", "finished", "finished"]
    assert "killed by SIGKILL" in found["1 dies"].message
    pids = {answer.results["pid"] for answer in found.values() if answer.results}
    assert len(pids) == 3 and os.getpid() not in pids


def test_a_job_that_failed_is_tried_again_as_often_as_said(tmp_path: Path) -> None:
    assert outcomes([("a", ("second time", tmp_path))]) == {
        "a": Answer("failed", "ended with exit status 3 and no word")
    }
    (tmp_path / "tried").unlink()
    assert outcomes([("a", ("second time", tmp_path))], retries=1)["a"].state == "finished"


def test_a_folder_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segtrain.app.sweep.pool.BUSY_WAIT", 0.1)
    assert outcomes([("a", ("busy", tmp_path))])["a"].state == "finished"


def test_time_is_up(tmp_path: Path) -> None:
    found = outcomes([("a", ("endless", tmp_path)), ("b", ("ok", tmp_path))], timeout=2.0)
    assert (found["a"].state, found["b"].state) == ("timed out", "finished")
    assert (tmp_path / "ended").exists()


def test_each_place_has_its_device(tmp_path: Path) -> None:
    seen = {
        o.answer.results["device"]
        for o in Pool(work, ["0", "1"]).run([(str(i), ("ok", tmp_path)) for i in range(4)])
        if o.answer.results
    }
    assert seen == {"0", "1"}


SWEEP = """
import sys
from pathlib import Path
from segtrain.app.sweep.pool import Pool
from tests.app.sweep.test_pool import work
folder = Path(sys.argv[1])
if __name__ == "__main__":
    Pool(work, [None]).run([("a", ("endless", folder)), ("b", ("endless", folder))])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_job_outlives_its_sweep(tmp_path: Path, number: int) -> None:
    (tmp_path / "sweep.py").write_text(SWEEP)
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, tmp_path / "sweep.py", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # where the tests run in the background
    )
    wait_for(lambda: any(tmp_path.glob("pid*")))
    process.send_signal(number)
    process.wait(30)
    wait_for((tmp_path / "ended").exists)
    (job,) = tmp_path.glob("pid*")
    wait_for(lambda: not Path(f"/proc/{job.name[3:]}").exists())


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


HANGS_UP = """
import os, signal, sys
from multiprocessing import forkserver
from pathlib import Path
from segtrain.interrupts import Stopped, Stops
from segtrain.app.sweep.pool import Pool
from tests.app.sweep.test_pool import work

seen = []

def look(running, ended):
    stops.check()
    if list(Path(sys.argv[1]).glob("pid*")) and not seen:
        seen.append(1)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

try:
    with Stops() as stops:
        Pool(work, [None], look=look).run([("a", ("endless", Path(sys.argv[1])))])
except Stopped as stop:
    print(stop, stop.status)
"""


def test_a_closed_terminal_stops_every_job_whose_end_is_waited_for(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", HANGS_UP, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "SIGHUP 143\n" and not done.stderr, done
    assert (tmp_path / "ended").exists()
