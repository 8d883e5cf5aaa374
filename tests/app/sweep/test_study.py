"""The study: its settings, its storage, and draws that no process repeats."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError

optuna = pytest.importorskip("optuna")
from segtrain.app.sweep import cmaes_state, study  # noqa: E402  # after the skip
from segtrain.app.sweep import search_space as search  # noqa: E402  # after the skip

SETTINGS = search.Settings(n_trials=4, sampler="random", pruner="none", seed=0, storage=None)


def space(*overrides: str) -> search.Space:
    return search.read_space(OverridesParser.create().parse_overrides(list(overrides)))


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
    assert cmaes_state.guard_sampler() is optuna.samplers.CmaEsSampler and optuna.samplers._cmaes.pickle is cmaes_state


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes"])
def test_a_process_draws_none_of_what_another_has_drawn(name: str) -> None:
    where = space("aug.strength=interval(0.0,2.0)", "optimizer.lr=interval(0.0,1.0)")
    draws = []
    for number in [0, 1, 2, 0]:
        sampler = study.build_sampler(SETTINGS._replace(sampler=name), where, number)
        draws.append(optuna.create_study(sampler=sampler).ask(where.distributions).params)
    assert draws[0] == draws[3] and draws[0] != draws[1] != draws[2] != draws[0]
