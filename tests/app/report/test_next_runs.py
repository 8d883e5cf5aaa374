"""What to run next: enough to find a difference of the size seen, by commands that run exactly what lacks."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.app.report.arms import Arm, arms_of
from segtrain.app.report.contrasts import Contrast, contrast, judged
from segtrain.app.report.next_runs import commands_for, find_needed, find_steps, is_settled
from segtrain.app.report.paired import LEAST_SEEDS, POWER, SETTLING_UNITS, power
from segtrain.app.report.read_runs import read_runs
from tests.app.report import cases, made
from tests.conftest import SMALL, CommandLine


def compared(
    seeds: int, images: int, gain: float, groups: int = 0, seed: int = 0, folds: int = 1, fingerprint: str = "f"
) -> Contrast:
    """An arm against none, with effects of seeds, images and both; so many images a fold."""
    rng = np.random.default_rng([seed, seeds, images])
    of_images = rng.normal(0, 0.01, (folds, images))
    runs = []
    for one in range(seeds):
        for fold in range(folds):
            base = rng.uniform(0.5, 0.7, images)
            effect = gain + rng.normal(0, 0.01) + of_images[fold] + rng.normal(0, 0.01, images)
            names = [
                f"f{fold}_{rng.integers(10**6)}i{j}" if folds > 1 and not one else f"f{fold}i{j}" for j in range(images)
            ]
            of = {name: f"g{j % groups}" for j, name in enumerate(names)} if groups else {}
            runs += [
                cases.run("none", one, dict(zip(names, base, strict=True)), fold=fold, groups=of),
                cases.run("flips", one, dict(zip(names, base + effect, strict=True)), fold=fold, groups=of)._replace(
                    fingerprint=fingerprint
                ),
            ]
    arms = {arm.policy: arm for arm in arms_of(runs)}
    found = judged(contrast(arms["flips"], arms["none"], "dice"))
    assert found is not None
    return found


@settings(max_examples=30)
@given(st.integers(2, 9), st.integers(5, 40), st.floats(-0.02, 0.02), st.integers(0, 20))
def test_the_number_is_the_least_with_enough_power_that_a_verdict_takes(
    seeds: int, images: int, gain: float, seed: int
) -> None:
    found = compared(seeds, images, gain, seed=seed)
    needed, e = find_needed(found), found.estimate
    if is_settled(found) or found.neighbours:
        assert tuple(needed) == (None, None)
        return
    if needed.rows is not None:
        assert needed.rows >= LEAST_SEEDS and needed.rows > seeds and images >= SETTLING_UNITS
        assert power(e, needed.rows, images) >= POWER
        assert needed.rows == max(LEAST_SEEDS, seeds + 1) or power(e, needed.rows - 1, images) < POWER
    if needed.units is not None:
        assert needed.units >= SETTLING_UNITS and needed.units > images and seeds >= LEAST_SEEDS
        assert power(e, seeds, needed.units) >= POWER


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        (compared(1, 20, 0.1), (5, None)),
        (compared(1, 3, 0.1), (5, None)),  # on exactly these images
        (compared(1, 8, 0.1), (None, None)),  # neither alone
        (compared(3, 3, 0.1), (5, None)),
        (compared(8, 8, 0.1), (None, 12)),
        (compared(8, 20, 0.1, groups=8), (None, 12)),
        (compared(8, 20, 0.1, fingerprint="g"), (None, None)),
        (compared(8, 20, 0.1), (None, None)),  # settled
    ],
)
def test_what_a_verdict_takes_beside_a_difference(found: Contrast, needed: tuple[int | None, int | None]) -> None:
    assert tuple(find_needed(found)) == needed
    assert bool(find_steps(found, find_needed(found))) == (not is_settled(found))


def test_two_that_are_the_same_to_the_bit_need_no_more_runs() -> None:
    runs = [cases.run(policy, s, {f"i{j}": 0.7 for j in range(20)}) for policy in ("none", "flips") for s in range(8)]
    base, arm = arms_of(runs)
    found = judged(contrast(arm, base, "dice"))
    assert found is not None and tuple(find_needed(found)) == (None, None)
    assert find_steps(found, find_needed(found))[-1].startswith("By the interval the two differ by at most 0.00 points")


def test_the_steps_warn_of_looking_again_and_again() -> None:
    found = compared(5, 20, 0.004, seed=3)
    (step,) = find_steps(found, find_needed(found))
    assert f"about {find_needed(found).rows} seeds in all" in step and "before the next look" in step


def arms(folder: Path) -> list[Arm]:
    return arms_of(read_runs([folder]))


def overrides(command: str) -> dict[str, list[str]]:
    """Key to values, as Hydra reads a sweep's command."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "segtrain"] and words[-1].startswith(("name=", "outputs="))
    parsed = OverridesParser.create().parse_overrides(words[words.index("-m", 3) + 1 :])
    values = {
        one.key_or_group: one.sweep_string_iterator() if one.is_sweep_override() else [one.value()] for one in parsed
    }
    return {key: [str(value) for value in of] for key, of in values.items()}


def test_commands_run_what_one_arm_lacks_then_what_was_begun_then_new_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1, 2):
        made.run(Path("outputs/s"), "none", 1.0, seed)
    for seed in (1, 2, 5):
        made.run(Path("outputs/s"), "flips", 0.5, seed)
    made.run(Path("outputs/s"), "flips", 0.5, 9, state="running")

    def seeds(wanted: int | None) -> list[list[str]]:
        return [overrides(command)["seed"] for command in commands_for(arms(Path("outputs/s")), wanted, "")]

    assert seeds(None) == seeds(4) == [["5"], ["0"]]
    assert seeds(2) == [] and seeds(3) == [["0"]]
    assert seeds(5) == [["5", "9"], ["0", "9"]]
    assert seeds(8) == [["3", "4", "5", "6", "9"], ["0", "3", "4", "6", "9"]]


def test_a_command_is_what_was_typed_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = made.run(Path("runs/it's [1]"), "flips", 0.5, 3)
    typed = [
        "seed=3",
        "hydra.launcher.n_jobs=2",
        "aug=flips",
        "sweep=dose",
        "+a.b=[1,2]",
        "trust=all",
        "outputs=x",
        "--rm",
    ]
    (run / "overrides.yaml").write_text(yaml.safe_dump(typed))
    made.run(Path("runs/it's [1]"), "none", 1.0, 4)
    found = commands_for(arms(Path("runs/it's [1]")), None, "my conf")
    assert [overrides(command)["seed"] for command in found] == [["3"], ["4"]]
    words = shlex.split(found[1])
    assert words[3:9] == ["--config-dir", "my conf", "-m", "seed=4", "aug=flips", "+a.b=[1,2]"]
    assert overrides(found[1])["name"] == ["it's [1]"] and overrides(found[1])["outputs"] == ["runs"]
    assert len(words) == 11


def test_choices_of_ones_own_are_said_to_lie_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    choices = {"dataset": "brain_tissue", "aug": "flips"}
    for folder, own in (("shipped", {}), ("own", {"dataset": "cells"})):
        for policy, seed in (("none", 0), ("flips", 1)):
            made.run(tmp_path / folder, policy, 1.0, seed, choices={**choices, "aug": policy, **own})
        found = commands_for(arms(tmp_path / folder), None, "")
        assert [" --config-dir … " in command for command in found] == [bool(own)] * 2


def test_every_fold_of_a_seed_is_run(tmp_path: Path) -> None:
    def run(policy: str, seed: int, fold: int) -> None:
        split = {"split": {"k": 3, "fold": fold, "group": None}}
        path = made.run(tmp_path / f"{policy}{seed}{fold}", policy, 1.0, seed, dataset=split)
        with (path / "overrides.yaml").open("a") as file:
            file.write(f"- dataset.split.fold={fold}\n")

    for fold in range(3):
        for policy in ("none", "flips"):
            run(policy, 0, fold)
    run("flips", 1, 0)
    found = [overrides(c) for c in commands_for(arms_of(read_runs(list(tmp_path.iterdir()))), 2, "")]
    assert [(of["seed"], of["dataset.split.fold"]) for of in found] == [(["1"], ["0", "1", "2"])] * 2


@pytest.mark.parametrize(("typed", "is_told"), [("dataset.split.seed=${seed}", True), ("dataset.split.seed=1", False)])
def test_a_split_that_is_drawn_anew_is_told_where_it_follows_the_seed(
    tmp_path: Path, typed: str, is_told: bool
) -> None:
    for policy in ("none", "flips"):
        for seed in (1, 2) if policy == "none" else (1,):
            path = made.run(tmp_path, policy, 1.0, seed, dataset={"split": {"seed": seed, "group": None}})
            (path / "overrides.yaml").write_text(yaml.safe_dump([f"aug={policy}", f"seed={seed}", typed]))
    assert bool(commands_for(arms(tmp_path), None, "")) == is_told


@pytest.mark.slow
def test_the_command_runs_what_was_undecided(segtrain: CommandLine) -> None:
    assert segtrain("-m", *SMALL, "aug=none,flips", "seed=0", "name=s") == 0, segtrain.err
    assert segtrain("-m", *SMALL, "aug=none", "seed=1,2", "name=s") == 0, segtrain.err
    assert segtrain("compare", "s:flips", "s:none", "--json") == 3
    for command in yaml.safe_load(segtrain.out)["commands"]:
        assert segtrain(*shlex.split(command)[3:]) == 0, segtrain.err
    assert segtrain("compare", "s:flips", "s:none", "--json") in (0, 1, 3)
    found = yaml.safe_load(segtrain.out)
    assert found["first"]["finished"] == found["second"]["finished"] == found["seeds"] == 5
    (caution,) = found["cautions"]  # and none of what was not the same
    assert "exactly these test images" in caution and found["word"] != "too few seeds"
