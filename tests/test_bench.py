"""The benchmarks run and tell the truth about their aims; how fast anything is, no test asserts."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import benchmarks

    return benchmarks


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "bench.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("figure", "ours", "alternative", "median", "met"),
    [
        ("ratio", [2.0, 3.0, 9.0], [4.0, 1.0, 6.0], 1.5, True),  # the ratio of the medians would be .75
        ("ratio", [2.0, 3.2, 9.6], [4.0, 1.0, 6.0], 1.6, False),
        ("difference", [1.0, 5.0, 3.0], [0.5, 3.5, 0.0], 1.5, True),  # and the difference of the medians 2.5
        ("difference", [1.0, 5.5, 3.0], [0.5, 3.5, 0.0], 2.0, False),
    ],
)
def test_the_figure_is_the_median_over_pairs_and_the_aim_bounds_it(
    benchmarks: ModuleType, figure: str, ours: list[float], alternative: list[float], median: float, met: bool
) -> None:
    comparison = benchmarks.Comparison("name", "setting", "other", "ms", figure, 1.5, ours, alternative)
    assert comparison.median == pytest.approx(median)
    assert comparison.met is met
    assert ("MISSED" in comparison.text()) is not met
    assert comparison.as_dict()["met"] is met


def test_augmentation_page_names_every_peer_and_shows_missed_aims(
    benchmarks: ModuleType,
) -> None:
    from benchmarks import aug
    from benchmarks._augpeers import ENVIRONMENTS
    from benchmarks._augreport import FLOOR, report

    peers = [name for name in ENVIRONMENTS if name != "ours"]

    def against(case: aug.Case, name: str, theirs: float, aim: float = 1.0) -> aug.Speedup:
        return aug.Speedup(aug.label(case), "", name, "µs", "ratio", 1 / aim, [10.0] * 3, [theirs] * 3)

    page = report(
        [
            *(against(aug.BIG, name, 170.0, 15) for name in peers),
            against(aug.USUAL[0], "albumentations", 52.0, 6),
            against(aug.SMALL, "monai", 8.0),
            against(aug.MOVES[0], "albumentationsx", 12.0),
            benchmarks.Comparison("elastic, 512²", "", FLOOR, "µs", "ratio", 1.5, [3.0] * 3, [2.5] * 3),
            benchmarks.Comparison("key handling", "", "a ready generator", "µs", "difference", 20, [31] * 3, [6] * 3),
        ],
        {name: {name: "1.2.3"} for name in ENVIRONMENTS},
        {512: {name: (2.01, 16.0, 9) for name in ENVIRONMENTS}},
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    for name in peers:
        assert ["512²", name, "170", "10", "17.0 x (17.0 to 17.0)", "≥ 15: met"] in rows
        assert [name, f"{name} 1.2.3"] in rows
        assert [name, "2.01 % / 16 % (9)"] in rows
    assert ["512²", "albumentations", "52", "10", "5.20 x (5.20 to 5.20)", "≥ 6: **missed**"] in rows
    assert ["256²", "monai", "8", "10", "0.80 x (0.80 to 0.80)", "≥ 1: **missed**"] in rows
    assert ["512², to array", "albumentationsx", "12", "10", "1.20 x (1.20 to 1.20)", "≥ 1: met"] in rows
    assert ["512²", FLOOR, "2", "3", "1.20 x (1.20 to 1.20)", "≤ 1.5: met"] in rows
    assert ["", "a ready generator", "6", "31", "25.0 µs (25.0 to 25.0)", "≤ 20: **missed**"] in rows
    assert f"{len(peers) + 2} of {len(peers) + 5} aims are met" in page
    assert page.count("\n- ") == 3  # and in the summary


def test_help_lists_every_benchmark() -> None:
    done = bench("--help")
    assert done.returncode == 0
    for file in (SCRIPTS / "benchmarks").glob("[!_]*.py"):
        assert f"    {file.stem} " in done.stdout


@pytest.mark.slow
def test_quick_run_writes_paired_samples_and_check_agrees_with_them(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench("startup", "--quick", "--check", "--json", str(file))  # the others take minutes that CI has not
    comparisons = json.loads(file.read_text())["comparisons"]
    assert len(comparisons) == 2
    for comparison in comparisons:
        samples = comparison["samples"]
        assert len(samples["ours"]) == len(samples["alternative"]) >= 3
        assert min(*samples["ours"], *samples["alternative"]) > 0
        assert comparison["name"] in done.stdout
    assert done.returncode == (0 if all(c["met"] for c in comparisons) else 1), done.stderr
