"""Robustness in the report: what augmentations are said to buy on runs whose truth is known."""

import csv
from pathlib import Path

import numpy as np
import pytest

from segtrain.app.report import robustness_page
from segtrain.app.report.findings import find
from segtrain.app.report.write_report import write_report
from segtrain.runs.image_table import ROBUSTNESS
from segtrain.runs.metrics_csv import write_csv
from tests.app.report import made

STRENGTHS = (1.0, 2.0)


def lost(shift: str, strength: float, policy: str, dose: float) -> float:
    """Dice lost under a shift: elastic training makes up for warps in proportion to its dose, nothing for noise."""
    return 0.1 * strength * (1 - 0.4 * dose if policy == "elastic" and shift == "warp" else 1)


def shifted(run: Path, seed: int = 0) -> None:
    """Write robustness.csv into a made run."""
    policy, dose = run.name.split(",")[0][4:], 1.0
    if "aug.strength=" in run.name:
        dose = float(run.name.split("aug.strength=")[1].split(",")[0])
    with (run / "per_image.csv").open() as file:
        images = [(row["id"], float(row["dice"])) for row in csv.DictReader(file)]
    rng = np.random.default_rng(len(run.name))
    rows = [{"shift": "none", "strength": 0.0, "seed": seed, "id": name, "dice": dice} for name, dice in images]
    for shift in ("noise", "warp"):
        for strength in STRENGTHS:
            loss = lost(shift, strength, policy, dose)
            of = [dice - loss + 0.002 * rng.normal() for _, dice in images]
            cells = zip(images, of, strict=True)
            rows += [{"shift": shift, "strength": strength, "seed": seed, "id": i, "dice": v} for (i, _), v in cells]
    write_csv(run / ROBUSTNESS, rows)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = made.sweep(tmp_path, seeds=6, gain=lambda policy, strength: 0.0)
    for run in folder.glob("aug=*"):
        shifted(run)
    return folder


def test_it_finds_what_buys_which_robustness(sweep: Path) -> None:
    found = find([sweep]).robustness
    assert found is not None and found.shifts == ["noise", "warp"] and found.strengths("warp") == [1, 2]
    warp = {c.arm.name: c for c in found.contrasts["warp", 2.0]}
    for dose in (0.5, 1, 2):
        assert warp[f"elastic × {dose:g}"].estimate.mean == pytest.approx(0.08 * dose, abs=0.01)
    assert warp["elastic × 2"].verdict == "better"
    assert {c.verdict for c in found.contrasts["noise", 2.0]} == {"not distinguishable"}
    (noise, bent) = robustness_page.sentences(found, [])
    assert bent.startswith("Under warp × 2, elastic × 2 buys most: +") and not bent.endswith("distinguishable.")
    assert noise.startswith("Under noise × 2, ") and noise.endswith("not distinguishable.")


def test_the_report_shows_it_beside_the_dose_response(sweep: Path) -> None:
    write_report([sweep], sweep)
    for name in ("report.html", "report.md"):
        text = (sweep / name).read_text()
        assert "Robustness" in text and "warp × 2" in text and "elastic × 2 buys most" in text
    for figure in ("dose-response", "robustness", "robustness-dose"):
        assert (sweep / "figures" / f"{figure}.svg").stat().st_size > 1000
    heads, rows = robustness_page.table(find([sweep]).robustness, find([sweep]).arms)  # type: ignore[arg-type]
    assert heads == ["arm", "noise × 1", "noise × 2", "warp × 1", "warp × 2"] and rows[0][0] == "none"
    assert float(rows[0][4]) == pytest.approx(float(rows[0][3]) - 0.1, abs=0.01)


def test_without_a_shifted_run_there_is_no_such_section(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2)
    assert find([tmp_path]).robustness is None
    write_report([tmp_path], tmp_path)
    assert "Robustness" not in (tmp_path / "report.html").read_text()


def test_a_file_of_other_weights_or_draws_is_left_out_and_named(sweep: Path) -> None:
    first, second = (sweep / f"aug=none,seed={seed}" for seed in (4, 5))
    shifted(first, seed=3)
    text = (second / "per_image.csv").read_text().splitlines()
    cells = text[1].split(",")
    other = ",".join([cells[0], "0.5", cells[2], "0.5", str(1 / 3)])
    (second / "per_image.csv").write_text("\n".join([text[0], other, *text[2:]]) + "\n")
    found = find([sweep]).robustness
    assert found is not None and sorted(found.left_out) == [first.name, second.name]
    assert all(c.estimate.rows == 4 for c in found.contrasts["noise", 1.0])
    said = robustness_page.sentences(found, find([sweep]).arms)
    assert "2 robustness.csv" in said[-1] and "noise × 1: none (seed 4, seed 5)" in said[-2]


def test_one_arm_scored_so_far_is_shown_without_a_comparison(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2)
    for run in tmp_path.glob("aug=none*"):
        shifted(run)
    found = find([tmp_path]).robustness
    assert found is not None and found.contrasts["noise", 1.0] == []
    (said,) = robustness_page.sentences(found, find([tmp_path]).arms)
    assert said.startswith("Not scored") and "elastic × 2 (seed 0, seed 1)" in said
    write_report([tmp_path], tmp_path)
    assert "noise × 1" in (tmp_path / "report.md").read_text()
