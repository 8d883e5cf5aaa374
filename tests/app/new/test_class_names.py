"""Names of classes from files beside the masks."""

import json
from pathlib import Path

import pytest

from segtrain.app.new.class_names import COLOUR, NONE, find_names
from segtrain.data.files.file_names import find_files

VOID, CELL, ROAD = COLOUR, COLOUR + 0xFA3253, COLOUR + 0x804080
FILES = {
    "labelmap.txt": (
        "# label:color_rgb:parts:actions\nvoid:0,0,0::\ncell:250,50,83::\n",
        {VOID: "void", CELL: "cell"},
        {VOID},
    ),
    "label_colors.txt": ("128 64 128\tRoad\n0 0 0\t\tVoid\n", {ROAD: "Road", VOID: "Void"}, {VOID}),
    "class_dict.csv": ("name,r,g,b\nRoad,128,64,128\nVoid, 0, 0, 0\n", {ROAD: "Road", VOID: "Void"}, {VOID}),
    "_classes.csv": ("Pixel Value, Class\n0, background\n1, cell\n", {0: "background", 1: "cell"}, set()),
    "codes.txt": ("Animal\nRoad\nVoid\n", {0: "Animal", 1: "Road", 2: "Void"}, {2}),
    "dataset.json": (
        json.dumps({"labels": {"0": "background", "1": "spleen"}}),
        {0: "background", 1: "spleen"},
        set(),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_names_is_read(name: str, tmp_path: Path) -> None:
    content, names, ignored = FILES[name]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_text(content)
    found = find_names(tmp_path, find_files(tmp_path))
    assert (dict(found.names), set(found.ignored), found.source) == (names, ignored, f"deep/{name}")


@pytest.mark.parametrize("name", [name for name in FILES if name != "codes.txt"])
@pytest.mark.parametrize("content", ["", "\x00\x01", "{}", "1 2\n", "name\n\n", '{"labels": 3}', "a,b\n1,2\n"])
def test_another_file_of_that_name_says_nothing(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert find_names(tmp_path, find_files(tmp_path)) == NONE


def test_a_list_of_colours_names_the_values_of_a_palette(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text(FILES["labelmap.txt"][0])
    names = find_names(tmp_path, find_files(tmp_path))
    assert names.fitting([0, 1]).names == {0: "void", 1: "cell"} and names.fitting([0, 1]).ignored == {0}
    assert names.fitting([VOID, CELL]) == names and not names.fitting([0, 7]).names
