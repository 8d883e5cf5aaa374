"""The worlds in which find is raced are what they say, recorded ones too, and what is missed there is told."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.app.report.made import IMAGES, sweep

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("optuna")
    monkeypatch.syspath_prepend(SCRIPTS)
    import validate_find

    return validate_find


@pytest.fixture
def worlds(script: Any) -> Any:
    return sys.modules["racing.worlds"]


@pytest.fixture
def recorded(
    script: Any, worlds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Returns the world of a made-up sweep of five arms and six seeds, of which one arm lacks the last."""
    import record_worlds

    runs = sweep(tmp_path / "runs", seeds=6)
    (runs / "aug=flips,aug.strength=1,seed=5" / "status.json").write_text('{"state": "running"}')
    monkeypatch.setattr(record_worlds, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["record_worlds.py", str(runs), "made"])
    assert record_worlds.main() == 0
    said = capsys.readouterr().out
    assert "left out, as an arm lacks them: seed 5" in said and "made.csv.gz: 25 runs" in said
    return worlds.Recorded(tmp_path / "made.csv.gz")


def test_what_is_recorded_is_read_again(recorded: Any, tmp_path: Path) -> None:
    from segtrain.app.report.arms import arms_of
    from segtrain.app.report.read_runs import read_runs

    arms = arms_of(read_runs([tmp_path / "runs"]))
    assert recorded.name == "made" and list(recorded.arms) == [arm.name for arm in arms]
    assert recorded.tests.shape == (5, 5, len(IMAGES)) and recorded.curves.shape == (5, 5, 3)
    for place, arm in enumerate(arms):
        for row, run in enumerate(list(arm.runs.values())[:5]):
            assert recorded.scores[place, row] == pytest.approx(run.results["val/dice"], abs=6e-6)
            assert recorded.curves[place, row] == pytest.approx([e["val/dice"] for e in run.epochs], abs=6e-6)
            of_images = [run.images[name]["dice"] for name in sorted(IMAGES)]
            assert recorded.tests[place, row] == pytest.approx(of_images, abs=6e-6)


def test_a_race_in_a_recorded_world_draws_whole_seeds(recorded: Any) -> None:
    rng = np.random.default_rng(0)
    drawn = recorded.draw(200, 7, rng)
    seeds = {tuple(column) for column in recorded.scores.T}
    assert {tuple(column) for race in drawn.scores for column in race.T} == seeds
    assert (drawn.curves.max(3) == drawn.scores).all()  # made-up runs are best at their end
    assert drawn.truth == pytest.approx(np.tile(recorded.scores.mean(1), (200, 1)))
    ours, theirs = drawn.best, np.zeros(200, int)
    differences, truth = recorded.test(drawn, ours, theirs, 8, rng)
    assert differences.shape == (200, 8, len(IMAGES))
    assert truth == pytest.approx((recorded.tests[drawn.best[0]] - recorded.tests[0]).mean())
    assert differences.mean() == pytest.approx(truth[0], abs=0.004)


def test_the_tables_in_the_repository_have_the_arms_of_the_simulated_worlds(worlds: Any) -> None:
    tables = [world for world in worlds.all_worlds() if isinstance(world, worlds.Recorded)]
    assert "brain" in [world.name for world in tables]
    for world in tables:
        assert sorted(world.arms) == sorted(worlds.ARMS)
        assert world.curves.max(2) == pytest.approx(world.scores, abs=1e-5)
        assert (world.tests >= 0).all() and (world.tests <= 1).all()


RESTS = ["equal", "unequal", "noisiest best", "skewed", "correlated"]


@pytest.mark.parametrize(
    ("gaps", "rest"), [*(("close", rest) for rest in RESTS), *((gaps, "equal") for gaps in ("null", "clear", "flat"))]
)
def test_a_simulated_world_has_the_spreads_that_it_says(worlds: Any, gaps: str, rest: str) -> None:
    rng = np.random.default_rng(0)
    drawn = worlds.Simulated(gaps, rest).draw(800, 10, rng)
    beside = 100 * (drawn.scores - drawn.truth[..., None])
    common = beside.mean(1, keepdims=True)
    assert common.std() == pytest.approx(3.0, rel=0.1)
    of_runs = beside - common
    shared = 0.5 * (1 / 6 if rest == "correlated" else 0)  # of what arms of one policy share, a little is common to all
    assert of_runs.std() == pytest.approx(np.sqrt(11 / 12 - shared + shared / 12), rel=0.06)
    assert drawn.leads == pytest.approx({"null": 0, "clear": 2, "close": 0.3, "flat": 0.2}[gaps])
    assert (drawn.truth.max(1) == drawn.truth[np.arange(800), drawn.best]).all()
    assert drawn.curves[..., -1] == pytest.approx(drawn.scores)
    spread = of_runs.std((0, 2))
    best = of_runs[np.arange(800), drawn.best].std()
    assert best > 1.35 if rest == "noisiest best" else best < 1.1
    assert spread == pytest.approx(np.full(12, spread.mean()), rel=0.1)  # whatever is dealt, is dealt to all
    differences, truth = worlds.Simulated(gaps, rest).test(drawn, drawn.best, (drawn.best + 1) % 12, 8, rng)
    assert (differences - truth[:, None, None]).mean() == pytest.approx(0, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("gaps", ["clear", "close", "flat"])
def test_without_noise_every_way_that_looks_to_the_end_names_the_best(script: Any, worlds: Any, gaps: str) -> None:
    world = worlds.Simulated(gaps, "equal", scale=0.0)
    drawn = world.draw(5, 32, np.random.default_rng(0))
    ways = {name: way for name, way in {**script.WAYS, **script.TUNERS}.items() if "untuned" not in name}
    for name in ways.keys() - {"one epoch, then the top 3", "Optuna's TPE + Hyperband"}:  # the strong pay late
        assert (ways[name](drawn).named == drawn.best).all(), name
    assert script.finding.find(drawn, 96).outcome.left[np.arange(5), drawn.best].all()


@pytest.mark.slow
def test_no_way_takes_more_runs_than_the_grid(script: Any, worlds: Any) -> None:
    drawn = worlds.Simulated("flat", "equal").draw(4, 128, np.random.default_rng(0))
    runs = {name: way(drawn).runs for name, way in {**script.WAYS, **script.TUNERS}.items()}
    assert all((of <= 97).all() for of in runs.values()), runs  # Hyperband ends its last training
    assert (runs["Optuna's TPE + Hyperband"] >= 96).all() and (runs["sequential halving"] > 90).all()
    assert (script.finding.find(drawn, 96).outcome.runs <= 96).all()


@pytest.mark.slow
def test_a_missed_target_is_told(script: Any, worlds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "TUNERS", {})
    found = script.raced(worlds.Simulated("clear", "equal"), 60)
    assert 0.85 <= found.confirmed.coverage <= 1 and found.ours.dropped < 0.1
    right = found._replace(confirmed=found.confirmed._replace(coverage=0.95))
    assert right.failures() == []
    ours = found.ours
    wrong = {
        "best dropped": right._replace(ours=ours._replace(dropped=0.061)),
        "runs": right._replace(ours=ours._replace(most=97.0)),
        "runs where the lead is clear": right._replace(ours=ours._replace(runs=58.0)),
        "regret": right._replace(ours=ours._replace(regret=0.06 + found.others["sequential halving"].regret)),
        "wrong sole winner": right._replace(ours=ours._replace(wrong=0.021)),
        "coverage": found._replace(confirmed=found.confirmed._replace(coverage=0.92)),
    }
    assert {name: one.failures() for name, one in wrong.items()} == {name: [name] for name in wrong}


def test_tables_are_written_between_their_markers(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "find.md"
    text = (SCRIPTS.parent / "docs" / "find.md").read_text(encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr(script, "PAGE", page)
    script.write({name: [(name, "1")] for name in ("find", *script.MEASURES)}, "Made so.")
    script.write({name: [(name, "2")] for name in ("find", *script.MEASURES)}, "Made so.")
    written = page.read_text(encoding="utf-8")
    for name in ("find", *script.MEASURES):
        assert written.count(f"<!-- {name} -->\n| {name} | 2 |\n\nMade so.\n<!-- /{name} -->\n") == 1
    assert "| 1 |" not in written and written.startswith(text.partition("<!--")[0])
