"""Walking folders ends, whatever links lie in them."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtrain.data.files.input_files import find_inputs
from segtrain.errors import UserError
from segtrain.folders import MOST_WAYS, files_below, find_paths, is_pattern, require_inside, walk_folders
from segtrain.runs.find_run import runs_of
from tests.conftest import CommandLine


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_files_come_in_order_links_are_followed_and_hidden_ones_left_out(tmp_path: Path) -> None:
    for name in ("data/b.png", "data/a/c.png", "data/.hidden/d.png", "data/.e.png", "pool/f.png"):
        written(tmp_path / name)
    (tmp_path / "data/g").symlink_to("../pool")  # a folder of images for two parts
    (tmp_path / "data/h").symlink_to("../pool")
    (tmp_path / "data/i.png").symlink_to("../pool/f.png")
    (tmp_path / "data/j.png").symlink_to("nowhere")
    (tmp_path / "data/k.png").symlink_to("k.png")
    wanted = ["b.png", "i.png", "j.png", "k.png", "a/c.png", "g/f.png", "h/f.png"]
    assert names(tmp_path / "data") == wanted
    assert [folder.name for folder, _ in walk_folders(tmp_path / "data")] == ["data", "a", "g", "h"]


@pytest.mark.parametrize(
    "links",
    [
        {"data/a/up": ".."},
        {"data/a/here": "."},
        {"data/root": "/"},
        {"data/a/b": "../c", "data/c/a": "../a"},
        {f"data/{one}/{name}": f"../{other}" for one, other in ("ac", "ca") for name in ("x", "y")},
        {"data/out": "../other", "other/back": "../data"},
        {"data/out": "../other/deep", "other/deep/up": ".."},
    ],
)
def test_a_link_that_leads_back_is_named(tmp_path: Path, links: dict[str, str]) -> None:
    for name in ("data/a/1.png", "data/c/2.png", "other/deep/3.png"):
        written(tmp_path / name)
    for name, aim in links.items():
        (tmp_path / name).symlink_to(aim, target_is_directory=True)
    with pytest.raises(UserError, match="leads back"):
        names(tmp_path / "data")


def test_a_folder_that_each_of_many_others_links_to_is_walked_as_often(tmp_path: Path) -> None:
    written(tmp_path / "atlas/1.png")
    for number in range(2 * MOST_WAYS):
        (tmp_path / f"data/p{number}").mkdir(parents=True)
        (tmp_path / f"data/p{number}/atlas").symlink_to("../../atlas", target_is_directory=True)
    assert len(names(tmp_path / "data")) == 2 * MOST_WAYS


def test_links_that_branch_stand_for_no_more_paths_than_can_be_walked(tmp_path: Path) -> None:
    for number in range(30):
        for name in "xy":
            written(tmp_path / f"d{number}/1.png")
            (tmp_path / f"d{number}/{name}").symlink_to(f"../d{number + 1}", target_is_directory=True)
    began = time.monotonic()
    with pytest.raises(UserError, match=f"{MOST_WAYS} ways"):
        names(tmp_path / "d0")
    assert time.monotonic() - began < 10


def test_a_library_writes_in_no_folder_with_a_link_that_leads_out(tmp_path: Path) -> None:
    run, mine = tmp_path / "run", written(tmp_path / "mine/file")
    for name in ("checkpoints/a", "wandb/run-1/log", "config.yaml"):
        written(run / name)
    (run / "wandb/latest").symlink_to("run-1")
    (run / "results.json").symlink_to(mine)  # as of an annexed run: not where a library writes
    (run / "checkpoints/last.ckpt").symlink_to(mine)
    require_inside(run, "checkpoints")
    for name, aim in (("wandb/run-1/out", mine), ("tensorboard", mine.parent)):
        (run / name).symlink_to(aim)
        with pytest.raises(UserError, match=f"{name}' is a link"):
            require_inside(run, "checkpoints")
        (run / name).unlink()


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
