"""The report: what it says of sweeps whose truth is known, and that it needs the run folders alone."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segtrain.app.report import verdict
from segtrain.app.report.arms import arms_of
from segtrain.app.report.contrasts import contrasts
from segtrain.app.report.design import Design
from segtrain.app.report.findings import compare_runs
from segtrain.app.report.paired import LEAST_SEEDS
from segtrain.app.report.report import write_report
from segtrain.errors import UserError
from tests.app.report import made
from tests.conftest import CommandLine
from tests.drawing import drawn_in_full


def verdicts(folder: Path) -> dict[str, str]:
    return {c.arm.name: c.verdict for c in compare_runs([folder]).contrasts}


def test_it_finds_what_helps_what_harms_and_what_to_take(tmp_path: Path) -> None:
    found = compare_runs([made.sweep(tmp_path)])
    assert verdicts(tmp_path) == {
        "flips × 1": "better",
        "elastic × 0.5": "better",
        "elastic × 1": "better",
        "elastic × 2": "worse",
    }
    said = " ".join(verdict.verdict_sentences(found.choice, found.contrasts, found.arms))
    assert found.choice is not None and found.choice.best.name == "elastic × 1"
    assert "elastic × 1 is best on validation" in said and "On test it is better than none: +" in said
    assert "Harms: elastic × 2 (-" in said and "elastic harms from strength 2 on" in said
    assert found.warnings == []


def test_arms_that_do_nothing_are_not_called_better(tmp_path: Path) -> None:
    made.sweep(tmp_path, gain=lambda policy, strength: 0.0)
    assert set(verdicts(tmp_path).values()) == {"not distinguishable"}


def test_with_a_winner_only_arms_that_may_be_as_good_are_worth_more_runs(tmp_path: Path) -> None:
    made.sweep(tmp_path, gain=lambda policy, strength: {"elastic": 0.1, "flips": 0.0005}.get(policy, 0.0) * strength)
    found = compare_runs([tmp_path])
    assert verdicts(tmp_path)["flips × 1"] == "not distinguishable"
    steps = verdict.next_steps(found.choice, found.contrasts)
    assert steps[0].startswith("Train with elastic × 2") and not any("flips" in step for step in steps)


def test_too_few_seeds_never_yield_better(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=LEAST_SEEDS - 1)
    found = compare_runs([tmp_path])
    assert {c.verdict for c in found.contrasts} <= {"looks better", "looks worse", "not distinguishable"}
    assert "looks better" in {c.verdict for c in found.contrasts}
    assert f"Run at least {LEAST_SEEDS} seeds" in verdict.next_steps(found.choice, found.contrasts)[0]


def test_one_seed_says_so(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=1)
    found = compare_runs([tmp_path])
    assert {c.verdict for c in found.contrasts} == {"too few seeds"}
    assert (
        "With 1 seed it cannot be compared" in verdict.verdict_sentences(found.choice, found.contrasts, found.arms)[0]
    )


def test_images_of_a_patient_count_as_one(tmp_path: Path) -> None:
    made.sweep(tmp_path, group=r"^(p\d+)_")
    assert {(len(c.table.units), c.table.images) for c in compare_runs([tmp_path]).contrasts} == {(6, 18)}


def test_patients_that_the_data_itself_names_count_as_one(tmp_path: Path) -> None:
    made.sweep(tmp_path)
    for file in tmp_path.glob("*/split.json"):
        split = json.loads(file.read_text())
        file.write_text(json.dumps({**split, "groups": {name: name[:3] for name in split["test"][:-3]}}))
    assert {len(c.table.units) for c in compare_runs([tmp_path]).contrasts} == {5 + 3}


def test_what_makes_it_invalid_is_said(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=5)
    other = made.run(tmp_path, "flips", 1.0, 5, trainer={"max_epochs": 9, "accumulate_grad_batches": 1})
    (other / "split.json").write_text((other / "split.json").read_text().replace('"f1"', '"f2"'))
    (other / "env.json").write_text((other / "env.json").read_text().replace('"abc"', '"def"'))
    made.run(tmp_path, "elastic", 1.0, 5, state="running")
    (tmp_path / "sweep.yaml").write_text("'aug=flips,aug.strength=1,seed=6': []\n")
    said = "\n".join(compare_runs([tmp_path]).warnings)
    assert "several fingerprints" in said
    assert "flips × 1 differ in more than the seed: trainer.max_epochs" in said
    assert "segtrain commit in env.json differs" in said
    assert "left out: aug=elastic,aug.strength=1,seed=5 (running)" in said
    assert "not begun: aug=flips,aug.strength=1,seed=6" in said


def test_the_runs_of_a_find_are_compared_by_the_seeds_that_confirm(tmp_path: Path) -> None:
    folder = tmp_path / "cells-find"
    made.sweep(folder, seeds=5)
    for seed in range(10_000, 10_005):
        for policy, strength in (("none", 1.0), ("elastic", 1.0)):
            made.run(folder, policy, strength, seed)
    assert set(verdicts(folder).values()) & {"better", "worse"}
    (folder / "find_record.json").write_text("{}")
    found = compare_runs([folder])
    by_seeds = {c.arm.name: (c.table.rows[0], c.settles) for c in found.contrasts}
    assert by_seeds.pop("elastic × 1") == ("seed 10000", True)
    assert set(by_seeds.values()) == {("seed 0", False)}
    assert sum("race" in warning for warning in found.warnings) == 2
    (step,) = verdict.next_steps(found.choice, found.contrasts)
    assert "find.html" in step


def retell(run: Path, told: dict[str, object], name: str = "results.json") -> None:
    """Writes other values into a run's results, or into another JSON file of it."""
    path = run / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))


def test_seeds_with_test_sets_of_their_own_are_compared_over_seeds(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=5)
    for table in tmp_path.glob("*seed=3/per_image.csv"):
        rows = table.read_text().splitlines()
        table.write_text("\n".join([*rows[:10], ""]))
        retell(table.parent, {"test/images": 9})
        retell(table.parent, {"test": made.IMAGES[:9]}, "split.json")
    found = compare_runs([tmp_path])
    assert {(c.table.design, c.estimate.rows) for c in found.contrasts} == {(Design.OWN_SETS, 5)}
    assert any("do not all test the same images" in warning for warning in found.warnings)


def test_folds_are_repetitions_not_arms(tmp_path: Path) -> None:
    for policy in ("none", "flips"):
        for fold in range(5):
            path = made.run(tmp_path, policy, 1.0, fold, dataset={"split": {"k": 5, "fold": fold, "group": None}})
            config = (path / "config.yaml").read_text().replace(f"seed: {fold}\n", "seed: 0\n")
            (path / "config.yaml").write_text(config)
            (path / "overrides.yaml").write_text(f"- aug={policy}\n- dataset.split.fold={fold}\n")
    found = compare_runs([tmp_path])
    assert [c.arm.name for c in found.contrasts] == ["flips"]
    assert len(found.contrasts[0].arm.runs) == 5


def test_a_baseline_is_one_that_else_is_the_same(tmp_path: Path) -> None:
    for model in ("fpn", "unet"):
        for policy in ("none", "flips"):
            for seed in range(5):
                path = made.run(tmp_path / model, policy, 1.0, seed)
                (path / "overrides.yaml").write_text(f"- aug={policy}\n- model={model}\n- seed={seed}\n")
    found = compare_runs([tmp_path / "fpn", tmp_path / "unet"])
    assert {(c.arm.name, c.baseline.name) for c in found.contrasts} == {
        ("flips, model=fpn", "none, model=fpn"),
        ("flips, model=unet", "none, model=unet"),
    }


def test_the_same_runs_make_the_same_bytes(tmp_path: Path) -> None:
    made.sweep(tmp_path / "a", seeds=3, pictures=True)
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "a")
    with drawn_in_full():
        for folder in (tmp_path / "a", tmp_path / "b" / "a"):
            write_report([folder], folder, times=False)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert Path("report.html") in files and Path("figures/dose-response.svg") in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / "a" / file).read_bytes(), file


def test_the_table_of_runs_has_them_all(tmp_path: Path) -> None:
    write_report([made.sweep(tmp_path, seeds=2)], tmp_path)
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert len(rows) == 10 and {row["arm"] for row in rows} == {a.name for a in compare_runs([tmp_path]).arms}
    assert float(rows[0]["test/dice"]) == pytest.approx(float(rows[0]["dice (mean over images)"]))


def test_the_command_prints_the_verdict(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=5)
    assert segtrain("report", "outputs/s") == 0, segtrain.err
    assert "elastic × 1 is best on validation" in segtrain.out and "outputs/s/report.html" in segtrain.out
    assert segtrain("report", "outputs/none") == 2 and "there is no folder outputs/none" in segtrain.err
    assert segtrain("report") == 2 and "expected: python -m segtrain report" in segtrain.err
    one, other = (f"outputs/s/aug={a},aug.strength=1,seed=0" for a in ("elastic", "flips"))
    assert segtrain("compare", one, other) == 0, segtrain.err
    assert "better" in segtrain.out and "dice/cell" in segtrain.out


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    path = made.run(tmp_path, "none", 1.0, 0)
    (path / "config.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match=r"config.yaml' is damaged; expected plain YAML"):
        compare_runs([tmp_path])


def test_it_opens_without_torch(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2)
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')")
    command = [sys.executable, "-m", "segtrain", "report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr


def test_arms_are_told_by_what_differs(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2)
    arms = arms_of(compare_runs([tmp_path]).runs)
    assert [arm.name for arm in arms] == ["none", "elastic × 0.5", "elastic × 1", "elastic × 2", "flips × 1"]
    assert {len(arm.runs) for arm in arms} == {2}
    assert len(contrasts(arms, "dice/cell")) == 4


def test_a_validation_without_a_score_is_not_ranked_and_said(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=5)
    for file in tmp_path.glob("aug=flips*/results.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "val/dice": None}))
    found = compare_runs([tmp_path])
    assert found.choice is not None and found.choice.best.name == "elastic × 1"
    assert any("Not ranked" in warning and "flips × 1" in warning for warning in found.warnings)


def test_a_damaged_table_of_images_is_named(tmp_path: Path) -> None:
    path = made.run(tmp_path, "none", 1.0, 0)
    text = (path / "per_image.csv").read_text().splitlines()
    (path / "per_image.csv").write_text("\n".join([text[0], text[1].replace("0.", "o.", 1), *text[2:]]))
    with pytest.raises(UserError, match=r"per_image.csv' is damaged"):
        compare_runs([tmp_path])


def test_false_positives_on_empty_images_stand_in_the_table(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2)
    for file in tmp_path.glob("*/per_image.csv"):
        rows = file.read_text().splitlines()
        sees = file.parent.name.startswith("aug=flips")
        dice = "0.0" if sees else ""
        file.write_text("\n".join([*rows, *(f"e{j},{dice},0.99,{dice},{dice}" for j in range(3)), ""]))
        retell(file.parent, {"test/images": len(rows) + 2})
        retell(file.parent, {"test": [*made.IMAGES, "e0", "e1", "e2"]}, "split.json")
    write_report([tmp_path], tmp_path)
    (flips,) = (
        line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("| flips × 1 | 2")
    )
    assert "6 of 6 (100%)" in flips
