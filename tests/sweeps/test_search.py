"""The search: Hydra's syntax as Optuna's, trials as runs, and a study that outlives its process."""

import json
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError
from tests.conftest import SMALL, CommandLine

optuna = pytest.importorskip("optuna")
search = pytest.importorskip("segtrain.sweeps.search")
searched = pytest.importorskip("segtrain.sweeps.searched")
SETTINGS = search.Settings(n_trials=4, sampler="random", pruner="none", seed=0, storage=None)
SPACE = ["hydra/sweeper=optuna", "aug=none,flips", "aug.strength=interval(0.1,2.0)", "name=s"]
FEW = [o for o in SMALL if not o.startswith("trainer.max_epochs")]


def space(*overrides: str) -> "search.Space":
    return search.space_of(OverridesParser.create().parse_overrides(list(overrides)))


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


@pytest.mark.parametrize("setting", [{"sampler": "best"}, {"pruner": "early"}])
def test_a_setting_that_is_none(setting: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one of (tpe|none), "):
        search.open_study(SETTINGS._replace(**setting), space("aug=none,flips"), tmp_path)


def test_a_storage_that_does_not_answer(tmp_path: Path) -> None:
    settings = SETTINGS._replace(storage="sqlite:////no/such/folder/study.db")
    with pytest.raises(UserError, match="cannot be used"):
        search.open_study(settings, space("aug=none,flips"), tmp_path)


@pytest.mark.parametrize("sampler", search.SAMPLERS)
def test_every_sampler_asks_and_is_told(sampler: str, tmp_path: Path) -> None:
    where = space("data.crop=range(32,97,32)", "aug.strength=range(0.5,2.1,0.5)")
    study = search.open_study(SETTINGS._replace(sampler=sampler), where, tmp_path)
    for number in range(6):
        for trial in search.asked(study, where, 1):
            assert sorted(o.partition("=")[0] for o in trial.overrides) == ["aug.strength", "data.crop"]
            search.tell(study, trial.trial, "finished", 0.1 * number)
    assert search.done(study) == 6
    searched.write_figures(study, tmp_path / "figures")
    assert {p.name for p in (tmp_path / "figures").glob("*.png")} == {"history.png", "importance.png"}


def test_a_grid_that_is_used_up_ends(tmp_path: Path) -> None:
    where = space("aug=none,flips")
    study = search.open_study(SETTINGS._replace(sampler="grid"), where, tmp_path)
    seen = []
    while trials := search.asked(study, where, 1):
        seen.append(trials[0].overrides[0])
        search.tell(study, trials[0].trial, "finished", 0.5)
    assert sorted(seen) == ["aug=flips", "aug=none"]


def test_a_trial_whose_process_died_is_queued_again(tmp_path: Path) -> None:
    where = space("aug.strength=interval(0.0,2.0)")
    (lost,) = search.asked(search.open_study(SETTINGS, where, tmp_path), where, 1)
    (again,) = search.asked(search.open_study(SETTINGS, where, tmp_path), where, 1)
    assert again.overrides == lost.overrides and again.trial.number != lost.trial.number


def test_runs_that_fall_behind_are_pruned(tmp_path: Path) -> None:
    where = space("aug.strength=interval(0.0,2.0)")
    study = search.open_study(SETTINGS._replace(pruner="median"), where, tmp_path)
    stopped = []
    for number in range(7):
        (asked,) = search.asked(study, where, 1)
        folder = tmp_path / str(number)
        folder.mkdir()
        scores = [0.1, 0.1, 0.1] if number == 6 else [0.5, 0.6, 0.7]
        table = "".join(f"{epoch},{epoch},{score}\n" for epoch, score in enumerate(scores))
        (folder / "metrics.csv").write_text("epoch,step,val/dice\n" + table)
        job = type("Job", (), {"name": str(folder), "stop": lambda self, why: stopped.append((self.name, why))})()
        search.Pruning({str(folder): asked.trial})([job], [])
        search.tell(study, asked.trial, "finished", scores[-1])
    assert stopped == [(str(tmp_path / "6"), "pruned")]


@pytest.mark.slow
def test_the_command_searches_goes_on_and_leaves_the_best(segtrain: CommandLine) -> None:
    command = ["-m", *SPACE, *FEW, "trainer.max_epochs=1", "hydra.sweeper.sampler=random"]
    assert segtrain(*command, "hydra.sweeper.n_trials=1") == 0, segtrain.err
    assert "best of 1 trials: val/dice" in segtrain.out
    assert segtrain(*command, "hydra.sweeper.n_trials=2") == 0, segtrain.err
    assert "1 jobs" in segtrain.out and "best of 2 trials" in segtrain.out
    folder = segtrain.folder / "outputs/s"
    best = yaml.safe_load((folder / "conf/experiment/best.yaml").read_text())
    assert best["aug"]["strength"] > 0 and {"override /dataset": "shapes"} in best["defaults"]
    assert (folder / "figures/history.png").exists()
    scores = [json.loads(p.read_text())["val/dice"] for p in folder.glob("*/results.json")]
    assert f"{max(scores):.4f}" in (folder / "conf/experiment/best.yaml").read_text()
    assert segtrain("--config-dir", str(folder / "conf"), "experiment=best", "trainer=smoke", "name=again") == 0, (
        segtrain.err
    )
