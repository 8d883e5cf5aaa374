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


def test_help_lists_every_benchmark() -> None:
    done = bench("--help")
    assert done.returncode == 0
    for file in (SCRIPTS / "benchmarks").glob("[!_]*.py"):
        assert f"    {file.stem} " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["startup", "step"])
def test_quick_run_writes_paired_samples_and_check_agrees_with_them(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench(name, "--quick", "--check", "--json", str(file))
    comparisons = json.loads(file.read_text())["comparisons"]
    assert len(comparisons) == 2
    for comparison in comparisons:
        samples = comparison["samples"]
        assert len(samples["ours"]) == len(samples["alternative"]) >= 3
        assert min(*samples["ours"], *samples["alternative"]) > 0
        assert comparison["name"] in done.stdout
    assert done.returncode == (0 if all(c["met"] for c in comparisons) else 1), done.stderr
