import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.datasets import Csv, csv_manifest
from segtrain.data.files import manifest
from segtrain.data.files.columns import Codes, NameColumn, as_codes
from segtrain.errors import UserError

CLASSES = {"background": 0, "cell": 255}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """made(text, *files) -> the manifest, with pictures of these names beside it, each of its own grey."""
    monkeypatch.chdir(tmp_path)

    def make(text, *names, size=(4, 5)):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            grey = 255 if "m" in name else sum(name.encode()) % 251
            Image.fromarray(np.full(size, grey, np.uint8)).save(name)
        Path("cells.csv").write_text(text, encoding="utf-8")
        return "cells.csv"

    return make


def opened(manifest, **options):
    return Csv(manifest, CLASSES, **options)


def test_rows_become_samples_sorted_by_id_with_all_their_columns(made):
    text = "image,mask,split,group,weight,note\n"
    text += "x/b.png,m/1.png,val,p1,2,hm\na.jpg,m/2.png,,p2,0.5,\nc.png,m/1.png,test,p1,0,"
    dataset = opened(made(text, "x/b.png", "a.jpg", "c.png", "m/1.png", "m/2.png"))
    assert list(dataset.ids) == ["a", "c", "x/b"]
    assert list(dataset.splits) == [None, "test", "val"] and list(dataset.groups) == ["p2", "p1", "p1"]
    assert dataset.weights.tolist() == [0.5, 0, 2] and dataset.channels == 1
    image, mask = dataset.read(2)
    assert image.shape == (4, 5, 1) and image[0, 0, 0] == sum(b"x/b.png") % 251 and mask.min() == mask.max() == 1


def test_optional_columns_may_be_absent_or_left_out(made):
    bare = opened(made("mask,image\nm.png,a.png\n", "a.png", "m.png"))
    assert list(bare.splits) == [None] and bare.groups is None and bare.weights is None
    text = "image,mask,split,group,weight\na.png,m.png,dev,,much\n"
    less = opened(made(text), columns={"split": None, "group": None, "weight": None})
    assert list(less.splits) == [None] and less.groups is None and less.weights is None


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_delimiters_are_found_out(made, mark):
    text = f'\ufeffpath{mark} label {mark}group\r\n\r\n"a{mark} b.png"{mark} m.png{mark}"say ""p"""\r\n'
    dataset = opened(made(text, f"a{mark} b.png", "m.png"), columns={"image": "path", "mask": "label"})
    assert list(dataset.ids) == [f"a{mark} b"] and list(dataset.groups) == ['say "p"']
    name = {",": "comma", ";": "semicolon", "\t": "tab"}[mark]
    assert opened("cells.csv", columns={"image": "path", "mask": "label"}, delimiter=name).read(0).mask.all()


def test_paths_start_from_the_manifest_and_lose_what_says_nothing(made, tmp_path, monkeypatch):
    made("image,mask\n./x//a.png,x/./m.png\nÄ/ö.png,m/1:2.png\n", "x/a.png", "x/m.png", "Ä/ö.png", "m/1:2.png")
    monkeypatch.chdir("/")
    dataset = opened(tmp_path / "cells.csv")
    assert list(dataset.ids) == ["x/a", "Ä/ö"]
    assert all(dataset.read(i).mask.all() for i in range(2))


def test_files_outside_are_read_where_that_is_allowed(made, tmp_path):
    made("", "a.png", "m.png")
    Path("inner").mkdir()
    Path("inner/link.png").symlink_to(tmp_path / "a.png")
    Path("inner/cells.csv").write_text(f"image,mask\n{tmp_path}/a.png,../m.png\nlink.png,../m.png\n")
    dataset = opened("inner/cells.csv", allow_outside=True)
    assert list(dataset.ids) == [f"{tmp_path}/a", "link"] and all(dataset.read(i).mask.all() for i in range(2))


def test_links_within_the_folder_are_no_way_out(made):
    made("image,mask\nlinked/a.png,m.png\n", "real/a.png", "m.png")
    Path("linked").symlink_to("real")
    assert opened("cells.csv").read(0).mask.all()


def test_a_link_that_leads_out_later_is_refused_when_it_is_read(made, tmp_path):
    dataset = opened(made("image,mask\na.png,m.png\n", "a.png", "m.png", "n.png"))
    outside = tmp_path.parent / "n.png"
    Path("n.png").rename(outside)
    Path("m.png").unlink()
    Path("m.png").symlink_to(outside)
    with pytest.raises(UserError, match=r"'m\.png' is a link"):
        dataset.read(0)


def test_of_a_large_set_files_are_looked_at_when_they_are_read(made, monkeypatch):
    monkeypatch.setattr(csv_manifest, "MOST_FILES", 2)
    made("image,mask\na.png,m.png\nb.png,m.png\nc.png,m.png\nrgb.png,m.png\n", "a.png", "m.png", "c.png")
    dataset = opened("cells.csv")
    with pytest.raises(UserError, match=r"'b\.png'.* 'cells\.csv'"):
        dataset.read(1)
    made(Path("cells.csv").read_text(), "c.png", size=(4, 6))
    with pytest.raises(UserError, match="image 6 x 4, mask 5 x 4"):
        dataset.read(2)
    made(Path("cells.csv").read_text(), "rgb.png", size=(4, 5, 3))
    with pytest.raises(UserError, match="has 3 channels; expected 1"):
        dataset.read(3)


@pytest.mark.parametrize("most", [0, 100])
def test_the_fingerprint_changes_with_the_data(made, monkeypatch, most):
    monkeypatch.setattr(csv_manifest, "MOST_FILES", most)
    text = "image,mask,split\na.png,m.png,val\nb.png,m.png,\n"
    prints = [opened(made(text, "a.png", "b.png", "m.png")).fingerprint()]
    assert opened("cells.csv").fingerprint() == prints[0]
    prints.append(opened("cells.csv", ignore_value=9).fingerprint())
    prints.append(opened(made(text.replace("val", "test"))).fingerprint())
    made(text, "b.png", size=(40, 50))
    prints.append(opened("cells.csv", channels=1, columns={}).fingerprint() if most == 0 else "")
    assert len({*prints}) == 4


def test_errors_name_the_line_behind_empty_lines_and_breaks_in_quotes(made, monkeypatch):
    head = 'image,mask,note\n\na.png,m.png,"two\nlines"\n'
    monkeypatch.setattr(manifest, "STEP", 1000)
    with pytest.raises(UserError, match=r"'cells\.csv', line 5: .*mask is empty"):
        opened(made(f"{head}b.png,,\n", "a.png", "m.png"))
    rows = "".join(f"i{i}.png,m.png,\n" for i in range(1000))
    with pytest.raises(UserError, match=r"'cells\.csv', line 1005: .*2 cells; expected 3"):
        opened(made(f"{head}{rows}b.png,m.png\n"))
    with pytest.raises(UserError, match=r"lines 4 and 1005: .*'a'"):
        opened(made(f"{head}{rows}a.jpg,m.png,\n"))


@given(st.binary(max_size=80))
def test_no_content_ends_in_anything_but_a_named_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    path.write_bytes(b"image,mask,split,group,weight\n" + content)
    with pytest.raises(UserError):  # none of it is a file
        opened(path)


def test_a_row_costs_few_bytes_and_no_object(made, monkeypatch):
    monkeypatch.setattr(csv_manifest, "MOST_FILES", 10)
    n = 20_000
    rows = "".join(f"images/p{i:06d}/a.png,masks/p{i:06d}.png,train,p{i:06d}\n" for i in reversed(range(n)))
    made(f"image,mask,split,group\n{rows}", "images/p000000/a.png")
    tracemalloc.start()
    dataset = opened("cells.csv")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / n < 300 and dataset.ids[17] == "images/p000017/a"


@given(st.lists(st.none() | st.text("aß\0,\n", max_size=20), max_size=10))
def test_columns_are_the_strings_that_went_in(values):
    codes, texts = as_codes(values), [value or "" for value in values]
    names = NameColumn(texts)
    assert list(codes) == values and list(names) == texts and len(names) == len(codes) == len(values)
    assert list(codes[1:3]) == values[1:3] and list(names[1:3]) == texts[1:3]
    assert as_codes(codes) is codes and "missing from all" not in names and all(text in names for text in texts)
    assert list(pickle.loads(pickle.dumps(names))) == texts and isinstance(codes, Codes)
