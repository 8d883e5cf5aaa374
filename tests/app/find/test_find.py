"""A find as a user meets it: what it says, runs, survives and hands over. Most train nothing: see `trained`."""

import json
from pathlib import Path
from typing import Any

import pytest

from segtrain.app.find import trainings
from tests.app.find.trained import Engine
from tests.conftest import SMALL, CommandLine

FIND = ["find", *SMALL, "hydra.launcher.n_jobs=2"]
THREE = [*FIND, "aug=none,flips,geometric"]
FAR = "budget=9h"  # does not bind


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def found(segtrain: CommandLine, name: str = "shapes-find") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((segtrain.folder / "outputs" / name / "find.json").read_text())
    return content


def states(segtrain: CommandLine) -> dict[str, str]:
    return {arm["name"]: arm["state"] for arm in found(segtrain)["race"]["arms"]}


def test_the_best_is_found_confirmed_and_handed_over(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, FAR) == 0, segtrain.err
    folder, answer = segtrain.folder / "outputs/shapes-find", found(segtrain)
    assert answer["race"]["left"] == ["geometric"] and answer["race"]["end"] == "one left"
    assert states(segtrain) == {"none": "dropped", "flips": "dropped", "geometric": "left"}
    told = answer["confirmation"]
    assert (told["winner"], told["against"]) == ("geometric", "none") and len(told["seeds"]) == 8
    assert min(told["seeds"]) >= 10_000  # none of the race's
    assert told["low"] < 0.06 < told["high"] and told["verdict"] in ("better", "looks better")
    assert {path.name for path in folder.iterdir()} >= {"find.html", "cost.json", "figures", "best", "conf"}
    assert "geometric" in (folder / "conf/experiment/best.yaml").read_text()
    seeds = [(folder / "best" / name / "overrides.yaml").read_text()[-7:] for name in answer["members"]]
    assert [seed.strip() for seed in seeds] == [f"={10_000 + i}" for i in range(5)]  # those that confirmed it
    cost = json.loads((folder / "cost.json").read_text())
    assert cost["race_runs"] + cost["confirming_runs"] + cost["length_runs"] == len(engine.trained) - 2  # pieces


@pytest.mark.slow
def test_it_says_first_what_the_budget_can_see(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, "budget=5min", "lengths=1") == 0, segtrain.err
    first = segtrain.out.split("seed 1:")[0]
    assert "3 arms" in first and "to confirm" in first and "points behind the best" in first
    assert json.loads((segtrain.folder / "outputs/shapes-find/cost.json").read_text())["spent"] <= 300


@pytest.mark.slow
def test_stopped_five_times_it_ends_with_the_same_files(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, FAR, "name=whole") == 0, segtrain.err
    engine.trained.clear()
    for runs in (1, 4, 8, 14, 19):
        engine.stop_after = runs
        assert segtrain(*THREE, FAR, "name=cut") == 143
    engine.stop_after = None
    assert segtrain(*THREE, FAR, "name=cut") == 0, segtrain.err
    whole, cut = (segtrain.folder / "outputs" / name for name in ("whole", "cut"))
    for file in ("find.json", "conf/experiment/best.yaml"):
        text = (cut / file).read_text().replace("name=cut", "name=whole")
        assert (whole / file).read_text() == text.replace('"cut"', '"whole"').replace("cut;", "whole;")
    assert len(engine.trained) == len(set(engine.trained))  # nothing twice
    again = len(engine.trained)
    assert segtrain(*THREE, FAR, "name=cut") == 0 and len(engine.trained) == again


@pytest.mark.slow
def test_a_piece_that_is_a_whole_training_is_a_run_of_the_race(segtrain: CommandLine, engine: Engine) -> None:
    one = ["trainer.max_epochs=1", "lengths=1"]
    assert segtrain(*THREE, FAR, *one) == 0, segtrain.err
    assert not any("timing" in typed for typed in engine.trained)
    assert len(engine.trained) == len(set(engine.trained))
    cost = json.loads((segtrain.folder / "outputs/shapes-find/cost.json").read_text())
    assert cost["race_runs"] + cost["confirming_runs"] == len(engine.trained) and cost["spent"] == 5 * len(
        engine.trained
    )
    record = json.loads((segtrain.folder / "outputs/shapes-find/find_record.json").read_text())
    assert record["timing"] == 0


@pytest.mark.slow
def test_going_on_it_reckons_with_what_its_runs_took(
    segtrain: CommandLine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.stop_after = 10
    assert segtrain(*THREE, FAR, "lengths=1") == 143
    engine.stop_after = None
    monkeypatch.setattr(trainings.duration, "duration", lambda status: 9 * 3600.0)
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    assert len(engine.trained) == 10 and found(segtrain)["race"]["end"] == "budget"  # another would not fit


@pytest.mark.slow
def test_a_larger_budget_goes_on_from_what_is_there(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, lambda policy, strength: 0.0 if policy == "none" else 0.002 * strength)
    five = [*THREE, "aug.strength=0.5,1", "lengths=1", "tolerance=0.0001"]
    assert segtrain(*five, "budget=5min") == 0, segtrain.err
    first, few = found(segtrain), len(engine.trained)
    assert first["race"]["end"] == "budget" and first["budget_is_used_up"]
    seeds = {arm["name"]: len(arm["scores"]) for arm in first["race"]["arms"]}
    ahead = [name for name, many in seeds.items() if many > 6]  # the best four run on, and one waits
    assert sorted(seeds.values())[0] == 6 and len(ahead) == 4 and first["race"]["leader"] in ahead, seeds
    assert set(first["race"]["left"]) == set(seeds)
    assert segtrain(*five, "budget=20min") == 0, segtrain.err
    more = found(segtrain)
    assert more["race"]["end"] == "seeds" and more["race"]["seeds"] == 16 and more["race"]["stages"] == 1
    assert {len(arm["scores"]) for arm in more["race"]["arms"] if arm["state"] == "left"} == {16}
    assert len(set(engine.trained)) == len(engine.trained) > few
    assert more["confirmation"]["seeds"] == first["confirmation"]["seeds"]  # the test set is looked at once


@pytest.mark.slow
def test_more_seeds_are_a_stage_with_a_boundary_of_its_own(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Engine(monkeypatch, lambda policy, strength: 0.0)
    assert segtrain(*THREE, FAR, "lengths=1", "seeds=3", "tolerance=0") == 0, segtrain.err
    before = found(segtrain)["race"]
    assert before["end"] == "seeds" and (before["seeds"], before["last"], before["stages"]) == (3, 3, 1)
    assert segtrain(*THREE, FAR, "lengths=1", "seeds=5", "tolerance=0") == 0, segtrain.err
    after = found(segtrain)["race"]
    assert (after["seeds"], after["last"], after["stages"]) == (5, 5, 2)
    assert after["boundary"] > before["boundary"]
    assert segtrain(*THREE, FAR, "lengths=1", "seeds=4", "tolerance=0") == 0, segtrain.err
    assert found(segtrain)["race"] == after and "seeds=4 is not followed" in segtrain.out


@pytest.mark.slow
def test_no_arm_wins_by_failing(segtrain: CommandLine, engine: Engine) -> None:
    engine.failing = {"aug=geometric seed=1"}
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    arms = {arm["name"]: arm for arm in found(segtrain)["race"]["arms"]}
    assert arms["geometric"]["state"] == "failed" and arms["geometric"]["seed"] == 1
    assert "diverged" in arms["geometric"]["error"] and "geometric" not in found(segtrain)["race"]["left"]
    engine.failing = set()  # what was wrong is mended
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    assert found(segtrain)["race"]["left"] == ["geometric"]


@pytest.mark.slow
def test_an_arm_that_was_changed_is_refused_and_judges_nothing(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    before = found(segtrain)
    engine.refusing = "aug=geometric"
    assert segtrain(*THREE, FAR, "lengths=1", "seeds=20") == 2 and "another config" in segtrain.err
    assert found(segtrain) == before


@pytest.mark.slow
def test_where_all_others_fail_none_has_won_nothing(segtrain: CommandLine, engine: Engine) -> None:
    engine.failing = {"aug=flips seed", "aug=geometric seed"}
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    assert found(segtrain)["confirmation"] is None and "There is no answer" in segtrain.out


@pytest.mark.slow
def test_what_a_small_budget_is_offered_can_be_followed(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, "budget=80s", "lengths=1") == 2 and "-" not in segtrain.err.split("allows")[1][:4]
    assert segtrain(*THREE, FAR, "lengths=1", "arms=2") == 0, segtrain.err


@pytest.mark.slow
def test_where_every_arm_fails_it_is_no_arms_doing(segtrain: CommandLine, engine: Engine) -> None:
    engine.failing = {"seed=1"}
    assert segtrain(*THREE, FAR, "lengths=1") == 2 and "it diverged" in segtrain.err
    engine.failing = {"aug=geometric"}
    assert segtrain(*THREE, FAR, "lengths=1", "name=other") == 0  # its piece too; the others tell the time
    (failed,) = [arm for arm in found(segtrain, "other")["race"]["arms"] if arm["state"] == "failed"]
    assert failed["name"] == "geometric" and failed["seed"] == 0 and failed["scores"] == [None]
    engine.failing = {"aug="}
    assert segtrain(*THREE, FAR, "lengths=1", "name=all") == 2 and "diverged" in segtrain.err


def test_mistakes_are_told_before_anything_is_run(segtrain: CommandLine, engine: Engine) -> None:
    for arguments, word in (
        ([*THREE], "budget"),
        ([*THREE, "budget=soon"], "45min"),
        ([*THREE, FAR, "seed=1"], "seed"),
        ([*FIND, FAR, "aug=flips", "dataset=shapes,folder"], "dataset"),
        ([*FIND, FAR, "aug=none"], "nothing to compare"),
        ([*THREE, FAR, "confirm=2"], "confirm"),
        ([*THREE, FAR, "nobody_reads=1"], "nobody_reads"),
        ([*THREE, FAR, "aug=fl1ps,none"], "fl1ps"),
        ([*THREE, FAR, "lengths=0.5"], "lengths"),
    ):
        assert segtrain(*arguments) == 2, arguments
        assert word in segtrain.err and segtrain.err.count("\n") <= 2, segtrain.err
    assert not engine.trained


def test_a_budget_that_is_too_small_is_offered_what_it_allows(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, "budget=1min") == 2
    assert "budget=" in segtrain.err and len(engine.trained) <= 4  # the pieces alone
    assert not (segtrain.folder / "outputs/shapes-find/find.json").exists()


@pytest.mark.slow
def test_a_find_of_other_arms_is_refused(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    done = len(engine.trained)
    assert segtrain(*FIND, "aug=none,flips", FAR, "lengths=1") == 2 and "other arms" in segtrain.err
    assert len(engine.trained) == done


@pytest.mark.slow
def test_without_augmentation_is_among_the_arms(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*FIND, "aug=flips,geometric", "aug.strength=0.5,1", FAR, "lengths=1") == 0, segtrain.err
    names = [arm["name"] for arm in found(segtrain)["race"]["arms"]]
    assert names[0] == "none" and {"geometric × 0.5", "geometric × 1"} < set(names)


@pytest.mark.slow
def test_where_none_wins_it_is_tested_against_the_best_augmentation(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Engine(monkeypatch, lambda policy, strength: {"none": 0.0, "flips": -0.05}.get(policy, -0.08))
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    told = found(segtrain)["confirmation"]
    assert (told["winner"], told["against"]) == ("none", "flips") and told["gain"] > 0


@pytest.mark.slow
def test_other_lengths_are_run_and_compared(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*THREE, FAR, "lengths=1,2") == 0, segtrain.err
    longer = [typed for typed in engine.trained if "trainer.max_epochs=4" in typed]
    assert len(longer) == 4  # none and geometric, two seeds
    points = found(segtrain)["lengths"]
    assert [(point["arm"], point["factor"]) for point in points] == [("geometric", 1.0), ("geometric", 2.0)]
    for point in points:
        assert point["low"] < point["gain"] < point["high"]


@pytest.mark.slow
def test_the_default_arms_are_raced(segtrain: CommandLine, engine: Engine) -> None:
    assert segtrain(*FIND, FAR, "lengths=1", "arms=4") == 0, segtrain.err
    names = [arm["name"] for arm in found(segtrain)["race"]["arms"]]
    assert names == ["none", "flips × 1", "geometric × 0.5", "photometric × 0.5"]


@pytest.mark.slow
def test_test_scores_are_shown_of_the_confirmation_alone_and_weights_are_kept_once(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(monkeypatch)
    assert segtrain(*THREE, FAR, "lengths=1") == 0, segtrain.err
    assert {score for typed, score in engine.shown if "seed=10" in typed} == {"test/dice"}
    assert {score for typed, score in engine.shown if "seed=10" not in typed} == {"val/dice"}
    assert all("checkpoint.keep=best" in typed for typed in engine.trained)
    engine.trained.clear()
    assert segtrain(*THREE, FAR, "lengths=1", "scheduler=none", "name=endless") == 0, segtrain.err
    race = [typed for typed in engine.trained if "timing" not in typed]
    assert race and not any("checkpoint.keep" in typed for typed in race)


@pytest.mark.slow
def test_a_find_that_trains_hands_over_a_model_that_predicts(segtrain: CommandLine, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    typed = ["aug=flips", "seeds=3", "confirm=5", "budget=2h", "lengths=1,2", "scheduler=none"]
    assert segtrain(*FIND, *typed) == 0, segtrain.err
    answer = found(segtrain)
    assert answer["confirmation"]["seeds"] and {point["factor"] for point in answer["lengths"]} <= {1.0, 2.0}
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((64, 64), np.uint8))
    best = "run=outputs/shapes-find/best"
    assert segtrain("predict", best, "input=image.png", "output=labels") == 0, segtrain.err
    assert segtrain("evaluate", best, "surface=false") == 0, segtrain.err
    exported = "outputs/shapes-find/best/exported/model.onnx"
    assert segtrain("export", best, "format=onnx") == 0, segtrain.err
    assert "average" in (tmp_path / f"{exported}.card.md").read_text()
    assert segtrain("predict", f"model={exported}", "input=image.png", "output=again", "probabilities=npz") == 0
    assert segtrain("predict", best, "input=image.png", "output=first", "probabilities=npz") == 0, segtrain.err
    with (
        np.load(tmp_path / "first/image_probabilities.npz") as first,
        np.load(tmp_path / "again/image_probabilities.npz") as again,
    ):
        one, other = dict(first), dict(again)
    np.testing.assert_allclose(
        *(next(iter(each.values())) for each in (one, other)), atol=5e-3
    )  # trained in bf16, exported in fp32
