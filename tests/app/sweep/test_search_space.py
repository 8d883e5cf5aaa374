"""Hydra's syntax as Optuna's."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from segtrain.errors import UserError

optuna = pytest.importorskip("optuna")
search = pytest.importorskip("segtrain.app.sweep.search_space")


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
