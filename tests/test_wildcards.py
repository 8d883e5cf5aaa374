"""What is there by a name is meant by it, whatever signs of a pattern the name has; the rest of a path is a pattern."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtrain.data.files.input_files import find_inputs
from segtrain.runs.find_run import runs_of
from segtrain.wildcards import find_paths, is_pattern
from tests.conftest import CommandLine

NAMES = st.text("a1[]!*?-, =#é", min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and set(name) != {"*"}
)
SAME = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("seed: 1\n")
    return path


@SAME
@given(folder=NAMES, files=st.sets(NAMES, min_size=1, max_size=3))
def test_what_is_there_is_taken_as_it_stands(
    folder: str, files: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    there = sorted(touched(root / folder / name) for name in files)
    assert find_paths(f"{root}/{folder}/*") == there
    assert all(find_paths(str(path)) == [path] and not is_pattern(str(path)) for path in there)


@SAME
@given(name=NAMES)
def test_runs_of_any_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    outputs = tmp_path_factory.mktemp("outputs")
    runs = {touched(outputs / name / f"aug=none,seed={seed}" / "config.yaml").parent for seed in (0, 1)}
    touched(outputs / "other of 1" / "aug=none,seed=0" / "config.yaml")
    for typed in (f"{outputs}/{name}/*", f"{name}/*"):
        assert {run.path for run in runs_of(typed, outputs)} == runs, typed
    for run in runs:
        assert [found.path for found in runs_of(f"{name}/{run.name}", outputs)] == [run]


def test_what_is_not_there_is_a_pattern(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1", "exp [1]"):
        touched(tmp_path / name / "x.png")
    assert [path.name for path in find_paths(f"{tmp_path}/[ab]1")] == ["a1", "b1"]
    assert [path.parent.name for path in find_paths(f"{tmp_path}/**/x.png")] == ["a1", "a2", "b1", "exp [1]"]
    assert find_paths(f"{tmp_path}/*/../exp [1]/x.png") and find_paths(f"{tmp_path}/c*") == []
    assert {item.name for item in find_inputs(f"{tmp_path}/exp [1]/*.png", tmp_path / "out")} == {"x"}


def test_evaluate_says_which_run_and_not_that_none_fits(segtrain: CommandLine) -> None:
    touched(segtrain.folder / "outputs/exp [1], a=b é #x/aug=none/config.yaml")
    for typed in ("outputs/exp [1], a=b é #x/*", "exp [1], a=b é #x/aug=none"):
        assert segtrain("evaluate", f"run={typed}") == 2
        assert "no run fits" not in segtrain.err and "is no run folder" not in segtrain.err, segtrain.err
