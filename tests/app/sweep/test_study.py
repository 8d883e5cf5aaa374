"""The study: its settings and storage, draws that no process repeats, and trials that real processes share.

No trial is run twice, none is lost, and none that lives is taken for dead.
"""

import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import segtrain
from segtrain.errors import UserError
from tests.postgres import server

optuna = pytest.importorskip("optuna")
from segtrain.app.sweep import cmaes_state, study  # noqa: E402  # after the skip
from tests.app.sweep.test_search import Searching, State  # noqa: E402

SETTINGS = study.Settings(n_trials=4, sampler="random", pruner="none", seed=0, storage=None)
SPACE = ["aug=none,flips", "aug.strength=interval(0,2)"]
CODE = """
import sys, time
from pathlib import Path
from tests.postgres import server
from tests.app.sweep.test_search import Searching

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


def space(*overrides: str) -> study.Space:
    return study.read_space(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize("setting", [{"sampler": "best"}, {"pruner": "early"}])
def test_a_setting_that_is_none(setting: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one of (tpe|none), "):
        study.open_study(SETTINGS._replace(**setting), space("aug=none,flips"), tmp_path)


@pytest.mark.parametrize(
    ("storage", "shown"),
    [
        ("sqlite:////no/such/folder/study.db", "sqlite:////no/such/folder/study.db"),
        ("nothing://ann:secret@host/name", "nothing://ann:***@host/name"),
    ],
)
def test_a_storage_that_does_not_answer(storage: str, shown: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used") as caught:
        study.open_study(SETTINGS._replace(storage=storage), space("aug=none,flips"), tmp_path)
    assert f"storage {shown} cannot" in str(caught.value) and "secret" not in str(caught.value)


def test_other_choices_are_another_study(tmp_path: Path) -> None:
    study.open_study(SETTINGS, space("aug=none,flips"), tmp_path).ask(space("aug=none,flips").distributions)
    study.open_study(SETTINGS, space("aug=none,flips"), tmp_path)
    with pytest.raises(UserError, match=r"searches aug in .*none.*flips.*another name="):
        study.open_study(SETTINGS, space("aug=none,photometric"), tmp_path)


class Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_that_lies_in_a_study_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    with pytest.raises(UserError, match="no part of it"):
        cmaes_state.loads(pickle.dumps(Evil(canary)))
    with pytest.raises(UserError, match="cannot be read"):
        cmaes_state.loads(b"no pickle")
    assert not canary.exists()
    assert (
        cmaes_state.guard_sampler(optuna) is optuna.samplers.CmaEsSampler
        and optuna.samplers._cmaes.pickle is cmaes_state
    )


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes"])
def test_a_process_draws_none_of_what_another_has_drawn(name: str) -> None:
    where = space("aug.strength=interval(0.0,2.0)", "optimizer.lr=interval(0.0,1.0)")
    draws = []
    for number in [0, 1, 2, 0]:
        sampler = study.build_sampler(SETTINGS._replace(sampler=name), where, number)
        draws.append(optuna.create_study(sampler=sampler).ask(where.distributions).params)
    assert draws[0] == draws[3] and draws[0] != draws[1] != draws[2] != draws[0]


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


def test_hydras_syntax_becomes_optunas() -> None:
    d = optuna.distributions
    found, fixed = space(
        *("aug=none,flips", "data.crop=range(32,97,32)", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "seed=3"),
        *("aug.strength=interval(0.0,2.0)", "data.batch_size=int(interval(2,8))", "loss=choice(ce,dice)"),
    )
    assert found == {
        "aug": d.CategoricalDistribution(["none", "flips"]),
        "data.crop": d.IntDistribution(32, 96, step=32),
        "optimizer.lr": d.FloatDistribution(1e-4, 1e-2, log=True),
        "aug.strength": d.FloatDistribution(0.0, 2.0),
        "data.batch_size": d.IntDistribution(2, 8),
        "loss": d.CategoricalDistribution(["ce", "dice"]),
    }
    assert fixed == ["seed=3"]


def test_nothing_to_search_says_so() -> None:
    with pytest.raises(UserError, match="nothing to search"):
        space("aug=flips")


@pytest.mark.parametrize(
    "typed",
    [
        *("interval(2,1)", "interval(0,nan)", "interval(nan,1)", "interval(0,inf)", "interval(-inf,0)"),
        *("interval(-1e308,1e308)", "tag(log,interval(0,1))", "tag(log,interval(-1,1))", "int(interval(3,2))"),
        *("range(0)", "range(3,1)", "range(0,3,0)", "range(0,3,-1)", "range(0,nan)", "range(0,inf)", "range(0,3,nan)"),
        *("tag(log,range(0,3))", f"range(0,{10**30})"),
    ],
)
def test_what_has_nothing_to_draw_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        space(f"aug.strength={typed}")


@pytest.mark.parametrize("typed", ["interval(1,1)", "interval(-1,2)", "range(0,1)", "range(0.1,0.5,0.1)"])
def test_what_has_one_value_or_more_is_drawn(typed: str) -> None:
    assert "aug.strength" in space(f"aug.strength={typed}").distributions
