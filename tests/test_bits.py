"""Bits that differ, are missing or are new are told apart, and old runs are never taken for new ones."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bits(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "scripts")
    import bits

    return bits


def test_what_differs_is_named(bits: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(name)
    for name in ("train.log", "runs.csv"):  # with times
        (tmp_path / "a" / name).write_text("12:00 training")
    before = bits.sums(tmp_path)
    assert set(before) == {"a/metrics.csv", "b/metrics.csv", "c/metrics.csv"}
    assert bits.compare(bits.environment(), before, bits.sums(tmp_path)) == 0
    assert "3 of 3" in capsys.readouterr().out
    (tmp_path / "a" / "metrics.csv").write_text("A")
    (tmp_path / "b" / "metrics.csv").rename(tmp_path / "b" / "results.json")
    assert bits.compare({**bits.environment(), "torch": "1.0"}, before, bits.sums(tmp_path)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("another torch: 1.0 before")
    assert [line.split() for line in lines[1:5]] == [
        ["DIFFERENT", "a/metrics.csv"],
        ["missing", "b/metrics.csv"],
        ["new", "b/results.json"],
        ["equal", "c/metrics.csv"],
    ]


def test_a_folder_with_something_in_it_is_refused(bits: Any, tmp_path: Path) -> None:
    bits.require_empty(tmp_path / "new")
    (tmp_path / "old").write_text("")
    with pytest.raises(SystemExit, match="empty"):
        bits.require_empty(tmp_path)
