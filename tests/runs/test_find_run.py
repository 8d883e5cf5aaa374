"""Runs are found by path, by name and by one word for several; a folder of runs is told from one that is none."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.runs.find_run import SHOWN, find_run, find_runs_in, meant_run, runs_of

NAMES = ("aug=none", "aug=none,seed=1", "seed=1", "aug=flips,seed=1,data.crop=32,64")


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


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "a" / name).mkdir(parents=True)
        (tmp_path / "a" / name / "config.yaml").write_text("seed: 1\n")
    return tmp_path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), space=st.sampled_from(["", " "]))
def test_a_list_of_folders_gives_each_once_in_order(chosen: list[str], space: str, outputs: Path) -> None:
    named = f"[{f',{space}'.join(str(outputs / 'a' / name) for name in chosen)}]"
    assert [run.path.name for run in runs_of(named, outputs)] == list(dict.fromkeys(chosen))


def test_one_a_name_and_a_glob(outputs: Path) -> None:
    assert [run.path.name for run in runs_of("aug=none,seed=1", outputs)] == ["aug=none,seed=1"]
    assert {run.path.name for run in runs_of(f"{outputs}/a/*", outputs)} == {*NAMES}
    assert len(runs_of(f"[{outputs}/a/aug=none*,{outputs}/a/seed=1]", outputs)) == 3


def test_what_is_no_run_is_named(outputs: Path) -> None:
    with pytest.raises(UserError, match="'nothing' is no run folder"):
        runs_of(f"[{outputs}/a/aug=none,nothing]", outputs)


def test_what_a_training_means_is_its_folder_or_the_run_to_go_on_with(tmp_path: Path) -> None:
    runs(tmp_path / "study", "first")
    assert meant_run(tmp_path, "study", ["seed=1", "name=study"], None).path == tmp_path / "study" / "seed=1"
    assert meant_run(tmp_path, "other", ["seed=1"], "study/first").path == tmp_path / "study" / "first"


def test_runs_are_found_in_a_folder_and_one_level_below(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run in"):
        find_runs_in([tmp_path])
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").touch()
    found = [(tmp_path / name).resolve() for name in ("a", "b")]
    assert find_runs_in([tmp_path]) == find_runs_in([tmp_path / "b", tmp_path / "a", tmp_path]) == found
