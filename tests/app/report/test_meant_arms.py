"""What may be typed for an arm, and what is refused as several."""

import re
import shlex
from pathlib import Path

import pytest

from segtrain.app.report.meant_arms import MeantArm, find_meant_arm, find_meant_arms
from segtrain.errors import UserError
from segtrain.runs.ensemble import write_ensemble
from tests.app.report import made

OUTPUTS = Path("outputs")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meant(typed: str) -> tuple[str, set[str]]:
    """The arm's policy and strength, and the folders of its runs."""
    side = find_meant_arm(typed, OUTPUTS)
    return f"{side.arm.policy} {side.arm.strength:g}", {run.path.name for run in side.runs}


@pytest.mark.parametrize(
    "typed",
    [
        "outputs/s/aug=elastic,aug.strength=0.5,seed=1",
        "aug=elastic,aug.strength=0.5,seed=1",
        "outputs/s:elastic × 0.5",
        "outputs/s/:elastic x 0.5",
        "s:elasticx0.5",
        "s:elastic*0.5",
        "outputs/s/aug=elastic,aug.strength=0.5*",
        "s/*=0.5,*",
        "outputs/s/*aug.strength=0.5,seed=[0-9]",
    ],
)
def test_an_arm_is_named_in_many_ways(typed: str) -> None:
    made.sweep(Path("outputs/s"), seeds=2)
    assert meant(typed) == ("elastic 0.5", {f"aug=elastic,aug.strength=0.5,seed={seed}" for seed in range(2)})


def test_a_glob_is_its_runs_and_a_run_its_arm() -> None:
    made.sweep(Path("outputs/s"), seeds=3)
    assert len(meant("outputs/s/aug=none,seed=[01]")[1]) == 2
    assert len(meant("outputs/s/aug=none,seed=1")[1]) == 3


def test_a_run_stands_for_the_seeds_in_its_own_folder() -> None:
    for folder, seeds in (("outputs/a", range(2)), ("outputs/b", range(3))):
        for seed in seeds:
            made.run(Path(folder), "none", 1.0, seed)
    one, other = find_meant_arms(["outputs/a/aug=none,seed=0", "outputs/b/aug=none,seed=0"], OUTPUTS)
    assert [len(one.runs), len(other.runs)] == [2, 3]
    assert one.arm.name == "none (outputs/a/aug=none,seed=0)" and one.arm.name != other.arm.name


@pytest.mark.parametrize("typed", ["outputs/s/best", "s/best"])
def test_an_ensemble_is_no_arm(typed: str) -> None:
    """It answers by the mean of its runs; here they would be compared one by one."""
    members = [made.run(Path("outputs/s"), "none", 1.0, seed) for seed in range(2)]
    for member in members:
        (member / "checkpoints" / "best.safetensors").write_bytes(b"weights")
    write_ensemble(Path("outputs/s/best"), members)
    with pytest.raises(UserError, match=r"is an ensemble of 2 runs.*give one of its members"):
        find_meant_arm(typed, OUTPUTS)
    assert len(find_meant_arm(f"outputs/s/best/{members[0].name}", OUTPUTS).runs) == 2


def test_a_policy_of_one_strength_needs_no_strength() -> None:
    made.sweep(Path("outputs/s"), seeds=1)
    assert meant("s:flips")[0] == "flips 1"
    with pytest.raises(UserError, match="'elastic' is 3 arms of"):
        find_meant_arm("s:elastic", OUTPUTS)


def test_a_folder_of_one_arm_is_that_arm_whatever_its_name() -> None:
    made.run(Path("outputs/a:b [1]"), "none", 1.0, 0)
    for typed in ("outputs/a:b [1]", "a:b [1]", "a:b [1]/", "outputs/a:b [1]:none", "a:b [1]/*"):
        assert meant(typed) == ("none 1", {"aug=none,seed=0"})


@pytest.mark.parametrize("typed", ["outputs/s", "s", "outputs/s/*", "outputs/s/*seed=0", "s:nothing", "s:elastic"])
def test_several_arms_are_refused_with_what_can_be_typed_instead(typed: str) -> None:
    made.sweep(Path("outputs/s"), seeds=2)
    with pytest.raises(UserError, match="give one of: ") as refused:
        find_meant_arm(typed, OUTPUTS)
    ways = shlex.split(str(refused.value).partition("give one of: ")[2].replace(", ", " "))
    assert {meant(way)[0] for way in ways} == {"none 1", "flips 1", "elastic 0.5", "elastic 1", "elastic 2"}


def test_what_a_glob_calls_an_arm_is_its_name_in_the_folder() -> None:
    """Among the runs that fit there is one strength alone, and the name says none."""
    made.sweep(Path("outputs/s"), seeds=1)
    with pytest.raises(UserError, match=re.escape("give one of: outputs/s:none, 'outputs/s:flips × 1'")):
        find_meant_arm("outputs/s/aug=[nf]*", OUTPUTS)


@pytest.mark.parametrize("typed", ["outputs/t", "t:none", ":none", "outputs/t/*", "", "/", "s:"])
def test_what_is_not_there_is_refused(typed: str) -> None:
    made.sweep(Path("outputs/s"), seeds=1)
    with pytest.raises(UserError, match=r"no run|no arm"):
        find_meant_arm(typed, OUTPUTS)


def test_two_that_share_a_run_are_no_two_arms() -> None:
    made.sweep(Path("outputs/s"), seeds=3)
    with pytest.raises(UserError, match="both runs are of the arm none"):
        find_meant_arms(["outputs/s/aug=none,seed=[01]", "outputs/s/aug=none,seed=[12]"], OUTPUTS)


def test_arms_have_the_names_that_tell_them_apart() -> None:
    made.sweep(Path("outputs/s"), seeds=1)

    def names(*typed: str) -> list[str]:
        sides: list[MeantArm] = find_meant_arms(typed, OUTPUTS)
        return [side.arm.name for side in sides]

    assert names("s:flips", "s:elastic × 1") == ["flips × 1", "elastic × 1"]
    assert names("outputs/s/aug=flips*", "outputs/s/aug=none*") == ["flips", "none"]
    assert names("outputs/s/aug=flips*", "outputs/s/*=0.5*") == ["flips × 1", "elastic × 0.5"]
