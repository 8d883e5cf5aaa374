"""What `input=` means."""

import os
from pathlib import Path

import pytest

from segtrain.data.files.input_files import find_inputs
from segtrain.errors import UserError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.JPG", "notes.md", "sub/a.png", "sub/deep/c.nii.gz", ".hidden/d.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "data"


def names(given: str | list[str], output: str = "out") -> list[str]:
    return [item.name for item in find_inputs(given, Path(output))]


def test_a_folder_is_all_images_below_it_with_their_folders(data: Path) -> None:
    assert names("data") == ["a", "b", "sub/a", "sub/deep/c"]
    assert [item.path for item in find_inputs("data/", Path("out"))][1] == Path("data/b.JPG")


def test_a_file_is_itself(data: Path) -> None:
    assert names("data/sub/deep/c.nii.gz") == ["c"] and names(str(data / "a.png")) == ["a"]


def test_a_glob_keeps_the_folders_that_it_leaves_open(data: Path) -> None:
    assert names("data/*/a.png") == ["sub/a"]
    assert names("data/**/*.png") == ["a", "sub/a"]


def test_a_text_file_lists_paths_from_its_own_folder(data: Path) -> None:
    (data / "list.txt").write_text("# those of today\nsub/a.png\n\nmissing.png\n")
    assert names("data/list.txt") == ["sub/a", "missing"]
    (data / "sub/list.txt").write_text("../a.png\na.png\n")
    assert names("data/sub/list.txt") == ["a", "sub/a"]
    (data / "list.txt").write_text("\n")
    with pytest.raises(UserError, match="lists nothing"):
        names("data/list.txt")


def test_a_list_is_all_of_it_each_file_once(data: Path) -> None:
    assert names("[data/a.png, data/sub]") == ["a", "sub/a", "sub/deep/c"]
    assert names(["data/a.png", "data/*.png"]) == ["a"]


def test_two_files_that_differ_in_their_ending_alone_keep_it(data: Path) -> None:
    (data / "a.tif").write_bytes(b"")
    assert names("data/*.*") == ["a.png", "a.tif", "b"]


def test_what_predict_wrote_is_no_input(data: Path) -> None:
    assert names("data", "data/sub") == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("data/none.png", "there is no input 'data/none.png'"),
        ("data/*.bmp", "no image in input=data/"),
        ("data/notes.md", "of no kind that is read"),
    ],
)
def test_what_is_not_there_or_not_read_is_said(data: Path, given: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("*", r"\*")):
        names(given)


def test_what_is_no_file_is_an_input_that_opening_names(data: Path) -> None:
    os.mkfifo(data / "pipe.png")
    (data / "broken.png").symlink_to("nowhere")
    (data / "folder.png").mkdir()
    assert {"pipe", "broken"} <= {*names("data")} and "folder" not in names("data")


@pytest.mark.parametrize("given", ["data", "data/**/*.png", "data/**"])
def test_links_without_end_are_named(data: Path, given: str) -> None:
    assert "sub/deep/c" in names("data/**")
    for name in "xy":
        (data / f"sub/{name}").symlink_to("..")
    with pytest.raises(UserError, match="leads back"):
        names(given)
