"""Hydra's syntax as Optuna's."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError

optuna = pytest.importorskip("optuna")
search = pytest.importorskip("segtrain.sweeps.search")


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
