"""Trials: every sampler asks them, a grid ends, those that fall behind are stopped, lost ones come again."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError

optuna = pytest.importorskip("optuna")
from segtrain.app.sweep import search, search_space  # noqa: E402  # after the skip
from segtrain.app.sweep.study import (  # noqa: E402
    SAMPLERS,
    Member,
    open_study,
)

State = optuna.trial.TrialState
SETTINGS = search_space.Settings(n_trials=100, sampler="random", pruner="none", seed=0, storage=None)


class Searching:
    """One process of a search, in the test's folder."""

    def __init__(self, folder: Path, *overrides: str, **settings: object) -> None:
        self.space = search_space.space_of(OverridesParser.create().parse_overrides(list(overrides)))
        self.settings = SETTINGS._replace(**settings)
        self.study = open_study(self.settings, self.space, folder)
        self.member = Member(self.study, folder)

    def ask(self, places: int = 1) -> list[search.Trial]:
        return search.asked(self.member, self.settings, self.space, places)

    def tell(self, trial: search.Trial, state: str, score: float | None = None) -> None:
        search.tell(self.study, trial.trial, state, score)

    def states(self) -> list[object]:
        return [trial.state for trial in self.study.get_trials()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_asks_and_is_told(sampler: str, tmp_path: Path) -> None:
    here = Searching(tmp_path, "data.crop=range(32,97,32)", "aug.strength=range(0.5,2.1,0.5)", sampler=sampler)
    with here.member:
        for number in range(6):
            (trial,) = here.ask()
            assert sorted(o.partition("=")[0] for o in trial.overrides) == ["aug.strength", "data.crop"]
            here.tell(trial, "finished", 0.1 * number)
    assert search.done(here.study) == 6
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
