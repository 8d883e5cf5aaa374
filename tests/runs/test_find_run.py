"""Runs are found by path and by name, and a folder that holds runs is told from one that is none."""

from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.runs.find_run import SHOWN, find_run


def runs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").touch()


@pytest.mark.parametrize("number", [1, 2, SHOWN + 2])
@pytest.mark.parametrize("typed", ["outputs/first", "first", "elsewhere/first"])
def test_the_runs_of_a_folder_are_named(
    typed: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"seed={seed}" for seed in range(number)]
    runs(Path("elsewhere/first" if typed.startswith("elsewhere") else "outputs/first"), *names)
    runs(Path("outputs/firsts"), "seed=0")  # no other experiment is guessed
    with pytest.raises(UserError) as error:
        find_run(typed, Path("outputs"))
    said = str(error.value)
    assert f"'{typed}'" in said and "did you mean" not in said and "firsts" not in said
    assert [name in said for name in names] == [seed < SHOWN for seed in range(number)]
    assert (f"and {number - SHOWN} more" in said) == (number > SHOWN)


def test_a_run_by_path_and_name(tmp_path: Path) -> None:
    runs(tmp_path / "outputs" / "first", "seed=0")
    for name in (str(tmp_path / "outputs/first/seed=0"), "seed=0", "first/seed=0"):
        assert find_run(name, tmp_path / "outputs").path == tmp_path / "outputs" / "first" / "seed=0"
    with pytest.raises(UserError, match=r"did you mean .*seed=0"):
        find_run(str(tmp_path / "outputs/first/seed=1"), tmp_path / "outputs")
