"""Searches: trials are asked and told, as a user types it they go on, are joined, prune, fail; a database as place."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError
from tests.conftest import SMALL, CommandLine
from tests.postgres import PASSWORD, server

optuna = pytest.importorskip("optuna")
from segtrain.app.sweep import search, study  # noqa: E402  # after the skip
from segtrain.app.sweep.study import JOURNAL, SAMPLERS, Member, open_study  # noqa: E402

FEW = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
SEARCH = ["-m", "hydra/sweeper=optuna", *FEW, "name=s", "hydra.sweeper.sampler=random"]
SHORT = [*SEARCH, "trainer.max_epochs=1", "aug=none,flips", "aug.strength=interval(0.1,2.0)"]


State = optuna.trial.TrialState
SETTINGS = study.Settings(n_trials=100, sampler="random", pruner="none", seed=0, storage=None)


class Searching:
    """One process of a search, in the test's folder."""

    def __init__(self, folder: Path, *overrides: str, **settings: object) -> None:
        self.space = study.read_space(OverridesParser.create().parse_overrides(list(overrides)))
        self.settings = SETTINGS._replace(**settings)
        self.study = open_study(self.settings, self.space, folder)
        self.member = Member(self.study, folder)

    def ask(self, places: int = 1) -> list[search.Trial]:
        return search.ask_trials(self.member, self.settings, self.space, places)

    def tell(self, trial: search.Trial, state: str, score: float | None = None) -> None:
        search.tell_trial(self.study, trial.trial, state, score)

    def states(self) -> list[object]:
        return [trial.state for trial in self.study.get_trials()]


def trials(folder: Path) -> list[Any]:
    """Of the study s in the folder's outputs."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "outputs/s" / JOURNAL))
    study = optuna.load_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    return list(study.get_trials())


def states(folder: Path) -> list[str]:
    return [trial.state.name for trial in trials(folder)]


@pytest.mark.slow
def test_the_command_searches_goes_on_and_leaves_the_best(segtrain: CommandLine) -> None:
    assert segtrain(*SHORT, "hydra.sweeper.n_trials=1") == 0, segtrain.err
    assert "best of 1 trials: val/dice" in segtrain.out
    assert segtrain(*SHORT, "hydra.sweeper.n_trials=2") == 0, segtrain.err
    assert "1 job: 1 finished" in segtrain.out and "best of 2 trials" in segtrain.out
    folder = segtrain.folder / "outputs/s"
    best = yaml.safe_load((folder / "conf/experiment/best.yaml").read_text())
    assert best["aug"]["strength"] > 0 and {"override /dataset": "shapes"} in best["defaults"]
    assert (folder / "figures/history.png").exists()
    scores = [json.loads(p.read_text())["val/dice"] for p in folder.glob("*/results.json")]
    assert len(scores) == 2
    assert f"{max(scores):.4f}" in (folder / "conf/experiment/best.yaml").read_text()
    assert segtrain("--config-dir", str(folder / "conf"), "experiment=best", "trainer=smoke", "name=again") == 0, (
        segtrain.err
    )


@pytest.mark.slow
def test_two_commands_at_one_time_are_one_search(tmp_path: Path) -> None:
    options = ["hydra.sweeper.n_trials=5", "hydra.launcher.n_jobs=1"]
    command, pipe = [sys.executable, "-W", "error", "-m", "segtrain", *SHORT, *options], subprocess.PIPE
    root = {"PYTHONPATH": str(Path(__file__).parents[3])}
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **root})
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert states(tmp_path) == ["COMPLETE"] * 5
    assert sum(out.count("1 job: 1 finished") for out, _ in said) == 5
    assert len({trial.user_attrs["process"] for trial in trials(tmp_path)}) == 2
    assert len(list((tmp_path / "outputs/s").glob("*/results.json"))) == 5


@pytest.mark.slow
@pytest.mark.longest
def test_a_run_that_falls_behind_is_pruned_and_counted_and_can_be_resumed(segtrain: CommandLine) -> None:
    command = [*SEARCH, "trainer.max_epochs=25", "hydra.sweeper.pruner=median"]
    good = [*command, "optimizer.lr=interval(0.01,0.01)", "hydra.launcher.n_jobs=5", "hydra.sweeper.n_trials=5"]
    assert segtrain(*good) == 0, segtrain.err
    assert "1 job: 1 finished" in segtrain.out and "best of 5 trials" in segtrain.out  # alike: one run
    behind = [*command, "optimizer.lr=interval(0,1e-9)", "hydra.sweeper.n_trials=6"]
    assert segtrain(*behind) == 0, segtrain.err
    assert "pruned" in segtrain.out and states(segtrain.folder) == ["COMPLETE"] * 5 + ["PRUNED"]
    pruned = trials(segtrain.folder)[5]
    run = segtrain.folder / "outputs/s" / pruned.user_attrs["folder"]
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert 0 < len(pruned.intermediate_values) < 25
    assert segtrain(*behind) == 0 and "jobs" not in segtrain.out and "best of 6 trials" in segtrain.out
    assert segtrain(f"resume={run}") == 0, segtrain.err
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


@pytest.mark.slow
def test_a_search_with_a_failed_trial_ends_with_1_and_leaves_the_best(segtrain: CommandLine) -> None:
    grid = [*SEARCH, "trainer.max_epochs=1", "optimizer.lr=-1,0.01", "hydra.sweeper.sampler=grid"]
    assert segtrain(*grid, "hydra.sweeper.n_trials=2") == 1, segtrain.out
    assert sorted(states(segtrain.folder)) == ["COMPLETE", "FAIL"]
    assert "best of 1 trials: val/dice" in segtrain.out and "optimizer.lr=0.01" in segtrain.out


@pytest.mark.slow
def test_where_nothing_works_it_ends(segtrain: CommandLine) -> None:
    command = [*SEARCH, "trainer.max_epochs=1", "optimizer.lr=interval(-2,-1)", "hydra.launcher.n_jobs=1"]
    assert segtrain(*command) == 1, segtrain.out
    assert states(segtrain.folder) == ["FAIL"] * 3 and "no trial of s has a score" in segtrain.out


@pytest.mark.slow
def test_a_study_in_postgresql_goes_on_by_the_same_command(segtrain: CommandLine) -> None:
    with server() as url:
        command = [*SHORT, f"hydra.sweeper.storage={url}"]
        assert segtrain(*command, "hydra.sweeper.n_trials=2") == 0, segtrain.err
        assert "2 finished" in segtrain.out and "best of 2 trials" in segtrain.out
        assert segtrain(*command, "hydra.sweeper.n_trials=3") == 0, segtrain.err
        assert "1 job: 1 finished" in segtrain.out and "best of 3 trials" in segtrain.out
        assert segtrain(*command, "hydra.sweeper.n_trials=3") == 0, segtrain.err
        assert "jobs" not in segtrain.out and "best of 3 trials" in segtrain.out
        with pytest.importorskip("psycopg").connect(url) as connection:
            assert connection.execute("select count(*) from trials where state = 'COMPLETE'").fetchone() == (3,)
    folder = segtrain.folder / "outputs/s"
    assert not (folder / JOURNAL).exists() and len(list(folder.glob("*/results.json"))) == 3
    written = [path for path in segtrain.folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in segtrain.out and written == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_asks_and_is_told(sampler: str, tmp_path: Path) -> None:
    here = Searching(tmp_path, "data.crop=range(32,97,32)", "aug.strength=range(0.5,2.1,0.5)", sampler=sampler)
    with here.member:
        for number in range(6):
            (trial,) = here.ask()
            assert sorted(o.partition("=")[0] for o in trial.overrides) == ["aug.strength", "data.crop"]
            here.tell(trial, "finished", 0.1 * number)
    assert search.count_done(here.study) == 6
    search.write_figures(here.study, tmp_path / "figures")
    assert {p.name for p in (tmp_path / "figures").glob("*.png")} == {"history.png", "importance.png"}


def test_no_more_than_n_trials_with_a_score(tmp_path: Path) -> None:
    here = Searching(tmp_path, "aug.strength=interval(0,2)", n_trials=3)
    with here.member:
        failed, good = here.ask(places=2)
        here.tell(failed, "failed")
        here.tell(good, "finished", 0.5)
        pruned, last = here.ask(places=5)
        here.tell(pruned, "pruned")
        here.tell(last, "finished", 0.5)
        assert here.ask(places=5) == []


@pytest.mark.parametrize("end", ["finished", "failed"])
def test_a_grid_that_is_used_up_ends(end: str, tmp_path: Path) -> None:
    here, seen = Searching(tmp_path, "aug=none,flips,photometric", sampler="grid"), []
    with here.member:
        while asked := here.ask():
            seen.append(asked[0].overrides[0])
            here.tell(asked[0], end, 0.5)
    assert sorted(seen) == ["aug=flips", "aug=none", "aug=photometric"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_an_interrupted_search_was_at_comes_again(sampler: str, tmp_path: Path) -> None:
    space = ["aug=none,flips", "data.crop=32,64"]
    before, after = (Searching(tmp_path, *space, sampler=sampler) for _ in range(2))
    with pytest.raises(KeyboardInterrupt), before.member:
        lost = before.ask(places=2)
        raise KeyboardInterrupt
    with after.member:
        again = after.ask(places=2)
        assert [trial.overrides for trial in again] == [trial.overrides for trial in lost]
        assert after.states() == [State.FAIL, State.FAIL, State.RUNNING, State.RUNNING]


def test_machines_that_share_a_database_alone_leave_each_others_trials_alone(tmp_path: Path) -> None:
    space, storage = "aug.strength=interval(0,2)", f"sqlite:///{tmp_path}/study.db"
    here, there = (Searching(tmp_path / machine / "s", space, storage=storage) for machine in ("here", "there"))
    with here.member, there.member:
        drawn = [trial.overrides[0] for machine in (here, there, here) for trial in machine.ask()]
        assert here.states() == [State.RUNNING] * 3 and len(set(drawn)) == 3


def test_a_users_mistake_does_not_come_again(tmp_path: Path) -> None:
    here = Searching(tmp_path, "aug.strength=interval(0,2)")
    with pytest.raises(UserError), here.member:
        here.ask()
        raise UserError("a value that cannot be")
    assert here.states() == [State.FAIL]


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_runs_that_fall_behind_are_pruned(pruner: str, tmp_path: Path) -> None:
    here, stopped = Searching(tmp_path, "aug.strength=interval(0.0,2.0)", pruner=pruner), []
    with here.member:
        for number in range(7):
            (asked,) = here.ask()
            folder = tmp_path / str(number)
            folder.mkdir()
            scores = [0.1, 0.1, 0.1] if number == 6 else [0.5, 0.6, 0.7]
            table = "".join(f"{epoch},{epoch},{score}\n" for epoch, score in enumerate(scores))
            (folder / "metrics.csv").write_text("epoch,step,val/dice\n" + table)
            job = type("Job", (), {"name": str(folder), "stop": lambda self, why: stopped.append((self.name, why))})()
            search.Pruning({str(folder): asked.trial})([job], [])
            here.tell(asked, "finished", scores[-1])
    assert stopped == [(str(tmp_path / "6"), "pruned")]
