"""Walking folders ends, whatever links lie in them."""

import time
from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.folders import MOST_WAYS, files_below, require_inside, walk_folders


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
