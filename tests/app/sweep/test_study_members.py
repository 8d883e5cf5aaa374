"""Real processes on one study: no trial is run twice, none is lost, and none that lives is taken for dead."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import segtrain
from tests.app.sweep.test_trials import Searching, State
from tests.postgres import server

SPACE = ["aug=none,flips", "aug.strength=interval(0,2)"]
CODE = """
import sys, time
from pathlib import Path
from tests.postgres import server
from tests.app.sweep.test_trials import Searching

folder, does, space, settings = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(), eval(sys.argv[4])
here = Searching(folder, *space, **settings)
print("ready", flush=True)
input()  # begin when told
with here.member:
    while asked := here.ask(places=2):
        print(*(f"{trial.trial.number}:{','.join(trial.overrides)}" for trial in asked), flush=True)
        time.sleep(600 if does == "hangs" else 0.2)
        for trial in asked:
            here.tell(trial, "finished", 0.5)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start("works" or "hangs", …) -> a process that searches, from the moment it is told."""
    started: list[subprocess.Popen[str]] = []

    def begin(does: str, *space: str, **settings: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", CODE, str(tmp_path), does, " ".join(space), repr(settings)]
        root, pipe = Path(segtrain.__file__).parents[1], subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def tell_to_begin(*processes: "subprocess.Popen[str]") -> None:
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * len(processes)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def said(process: "subprocess.Popen[str]") -> dict[int, str]:
    """The next trials that it asked: number to overrides."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    return {int(number): overrides for number, _, overrides in (word.partition(":") for word in words)}


def shared(start: Start, folder: Path, space: list[str], **settings: object) -> None:
    """Two processes search nine trials at the same time: each trial is one's alone."""
    both = [start("works", *space, n_trials=9, **settings) for _ in range(2)]
    tell_to_begin(*both)
    asked = [process.communicate(timeout=60)[0].split() for process in both]
    assert all(asked) and [process.returncode for process in both] == [0, 0]
    study = Searching(folder, *space, **settings).study
    assert [trial.state for trial in study.get_trials()] == [State.COMPLETE] * 9
    assert set(Counter(word.partition(":")[2] for words in asked for word in words).values()) == {1}
    assert sorted(int(word.partition(":")[0]) for words in asked for word in words) == list(range(9))


@pytest.mark.parametrize(("sampler", "space"), [("tpe", SPACE), ("grid", ["data.crop=range(32,320,32)"])])
def test_two_at_the_same_time_share_the_trials(sampler: str, space: list[str], start: Start, tmp_path: Path) -> None:
    shared(start, tmp_path, space, sampler=sampler)


@pytest.mark.slow
def test_two_at_the_same_time_make_one_study_in_postgresql(start: Start, tmp_path: Path) -> None:
    with server() as url:
        shared(start, tmp_path, SPACE, storage=url)


def test_trials_of_a_living_process_are_its_own_and_come_again_when_it_has_died(start: Start, tmp_path: Path) -> None:
    other, here = start("hangs", *SPACE), Searching(tmp_path, *SPACE)
    tell_to_begin(other)
    theirs = said(other)
    with here.member:
        (mine,) = here.ask()
        assert here.states() == [State.RUNNING] * 3
        assert mine.trial.number not in theirs and ",".join(mine.overrides) not in theirs.values()
        other.send_signal(signal.SIGKILL)
        other.wait()
        again = here.ask(places=2)
    assert [",".join(trial.overrides) for trial in again] == list(theirs.values())


def test_what_others_are_at_counts_until_they_fail(start: Start, tmp_path: Path) -> None:
    other, here = start("hangs", *SPACE), Searching(tmp_path, *SPACE, n_trials=3)
    tell_to_begin(other)
    assert len(said(other)) == 2
    with here.member:
        (mine,) = here.ask(places=4)
        here.tell(mine, "finished", 0.5)
        assert here.ask(places=4) == []
        other.kill()
        other.wait()
        assert len(here.ask(places=4)) == 2


def test_a_run_that_is_at_work_elsewhere_is_not_begun(start: Start, tmp_path: Path) -> None:
    other, here = start("hangs", "aug=none,flips,photometric"), Searching(tmp_path, "aug=none,flips,photometric")
    tell_to_begin(other)
    theirs = set(said(other).values())
    with here.member:
        mine = {trial.overrides[0] for trial in here.ask(places=3)}
    assert mine and not mine & theirs
