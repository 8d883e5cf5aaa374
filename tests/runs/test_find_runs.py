"""Runs by one word, whose names have commas, equals signs and each other in them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.runs.find_run import runs_of

NAMES = ("aug=none", "aug=none,seed=1", "seed=1", "aug=flips,seed=1,data.crop=32,64")


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
