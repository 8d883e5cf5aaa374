import pickle
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as masks

from segtrain.data.datasets import Coco
from segtrain.data.files.coco_annotations import region_of
from segtrain.errors import UserError
from tests.conftest import SMALL
from tests.data.datasets.mistakes.coco import SQUARE, content, good, opened, write

IGNORE = Coco.ignore_index
LOW, HIGH = [[0, 0, 4, 0, 4, 6, 0, 6]], [[2, 0, 8, 0, 8, 6, 2, 6]]  # columns 0..3 and 2..7


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def overlapping(iscrowd=0, **options):
    """Columns of cell (2..7), then of dust (0..3), a crowd or not: the row of labels."""
    what = content(HIGH)
    dust = {"id": 1, "image_id": 0, "category_id": 4, "segmentation": LOW, "iscrowd": iscrowd}
    what["annotations"].append(dust)
    write(what)
    return opened(**({"classes": ["background", "cell", "dust"]} | options)).read(0).mask[0].tolist()


def test_objects_are_drawn_and_the_rest_is_background():
    write(content(SQUARE))
    dataset = opened()
    image, mask = dataset.read(0)
    assert image.shape == (6, 8, 3) and dataset.channels == 3
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 1:5] = 1
    np.testing.assert_array_equal(mask, expected)


def test_the_last_class_lies_on_top_or_the_first_of_priority():
    assert overlapping() == [2, 2, 2, 2, 1, 1, 1, 1]
    assert overlapping(priority=["cell", "dust"]) == [2, 2, 1, 1, 1, 1, 1, 1]
    assert overlapping(classes=["background", "dust", "cell"]) == [1, 1, 2, 2, 2, 2, 2, 2]


def test_a_crowd_is_ignored_where_no_object_is_or_drawn_or_left_out():
    assert overlapping(iscrowd=1) == [IGNORE] * 2 + [1] * 6
    assert overlapping(iscrowd=1, crowd="object") == [2, 2, 2, 2, 1, 1, 1, 1]
    assert overlapping(iscrowd=1, crowd="background") == [0, 0] + [1] * 6


def test_categories_are_chosen_and_joined_by_name():
    assert overlapping(classes=["background", "dust"]) == [1, 1, 1, 1, 0, 0, 0, 0]
    assert overlapping(classes={"background": None, "matter": ["cell", "dust"]}) == [1] * 8


def test_files_of_splits_give_the_splits():
    good()
    dataset = Coco(".", "annotations/instances_{split}.json", ["background", "cell"])
    assert dataset.splits == ("train",) * 6 + ("val",) * 4
    assert dataset.ids[0] == "train/0" and dataset.ids[-1] == "val/3"


def test_roboflow_layout():
    for folder in ("train", "valid"):
        write(content(), f"{folder}/_annotations.coco.json", folder)
    files = {"train": "train/_annotations.coco.json", "val": "valid/_annotations.coco.json"}
    dataset = Coco(".", files, ["background", "cell"], images={"train": "train", "val": "valid"})
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {"train/0": "train", "val/0": "val"}
    assert dataset.read(1).mask.any()


def test_an_image_without_objects_is_background():
    what = content(n=2)
    del what["annotations"][1]
    write(what)
    assert not opened().read(1).mask.any()


def test_grey_images_are_repeated_where_three_channels_are_asked_for():
    write(content())
    assert opened(channels=1).read(0).image.shape == (6, 8, 1)


@given(arrays(np.bool_, (7, 9)), st.booleans())
def test_run_lengths_are_read_as_pycocotools_writes_them(where, compressed):
    packed = masks.encode(np.asfortranarray(where.astype(np.uint8)))
    flat = where.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8)))
    plain = np.diff([0, *edges, flat.size]).tolist()
    counts = packed["counts"].decode() if compressed else plain
    np.testing.assert_array_equal(region_of({"size": [7, 9], "counts": counts}, 7, 9, "object"), where)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@given(st.text(alphabet=[chr(c) for c in range(44, 116)], max_size=12))
def test_broken_run_lengths_are_an_error_or_what_pycocotools_reads(counts):
    packed = {"size": [7, 9], "counts": counts}
    try:
        found = region_of(packed, 7, 9, "object")
    except UserError:
        return
    np.testing.assert_array_equal(found, masks.decode(packed).astype(bool))


def test_a_length_without_an_end_is_refused_at_once():
    began = time.process_time()
    for counts in ("o" * 1_000_000, "o" * 1_000_000 + "0", "P" * 14 + "0"):
        with pytest.raises(UserError, match="has no right counts"):
            region_of({"size": [4, 5], "counts": counts}, 4, 5, "x")
    assert time.process_time() - began < 1


def test_a_long_run_is_read():
    where = np.zeros((300, 500), bool)
    where[17:200, 100:400] = True
    packed = masks.encode(np.asfortranarray(where.astype(np.uint8)))
    found = region_of({"size": [300, 500], "counts": packed["counts"].decode()}, 300, 500, "object")
    np.testing.assert_array_equal(found, where)


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), 1e300, -1.5])
def test_corners_that_are_no_place_in_the_image_are_refused(corner):
    with pytest.raises(UserError, match="corners inside the image"):
        region_of([[1, 1, corner, 1, 5, 4]], 6, 8, "object")


def test_fingerprint_follows_annotations_images_and_choices():
    def marked(**options):
        return opened(**options).fingerprint()

    write(content())
    prints = [marked(), marked(crowd="object")]
    write(content(HIGH))
    prints.append(marked())
    write(content(), images="elsewhere")
    with open("images/0.png", "ab") as file:
        file.write(b"\0")
    prints.append(marked())
    assert len(set(prints)) == 4 and marked() == prints[-1]


def test_a_dataset_can_be_sent_to_a_worker():
    write(content())
    dataset = opened()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).read(0).mask, dataset.read(0).mask)


@pytest.mark.slow
def test_a_training_by_config_alone(segtrain):
    good()
    options = [o for o in SMALL if not o.startswith("dataset")]
    chosen = ["dataset=coco", "dataset.root=.", "dataset.classes=[background,cell]"]
    assert segtrain(*chosen, *options) == 0, segtrain.err
    assert segtrain("dataset=coco", "dataset.root=.", "dataset.classes=[cell]", *options) == 2
    assert "expected background" in segtrain.err


@given(numbers=st.lists(st.floats(-999, 999), min_size=1, max_size=40), nested=st.booleans())
def test_a_message_shows_numbers_whole(numbers: list[float], nested: bool) -> None:
    wrong = [numbers[:5]] if nested else numbers
    with pytest.raises(UserError) as error:
        region_of(wrong, 10, 10, "object 1")
    shown = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", str(error.value).partition("got")[2])
    assert shown == [repr(number) for number in numbers[: len(shown)]]
    assert len(shown) >= min(len(numbers), 5)
