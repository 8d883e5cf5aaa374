"""Searches as a user types them: goes on, is joined, prunes, fails; a database as the place of the study."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import SMALL, CommandLine
from tests.postgres import PASSWORD, server

optuna = pytest.importorskip("optuna")
from segtrain.app.sweep.study import JOURNAL  # noqa: E402  # after the skip

FEW = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
SEARCH = ["-m", "hydra/sweeper=optuna", *FEW, "name=s", "hydra.sweeper.sampler=random"]
SHORT = [*SEARCH, "trainer.max_epochs=1", "aug=none,flips", "aug.strength=interval(0.1,2.0)"]


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
