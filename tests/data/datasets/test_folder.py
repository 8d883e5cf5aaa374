import pickle

import numpy as np
import pytest
from PIL import Image

from segtrain.data.datasets import Folder
from segtrain.errors import UserError

CLASSES = {"background": 0, "cell": 128}
IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
GREY = IMAGE[..., 0]
MASK = np.array([[0, 128, 0, 0]] * 4, np.uint8)


@pytest.fixture
def pair(write):
    """Writes image and mask of one sample."""

    def save(name, image=IMAGE, mask=MASK, images="images", masks="masks", suffix=".png"):
        write(f"{images}/{name}{suffix}", image)
        return write(f"{masks}/{name}.png", mask)

    return save


def refused(message, *args, **kwargs):
    with pytest.raises(UserError, match=message) as caught:
        Folder(*args, **kwargs)
    return str(caught.value)


def test_pairs_are_matched_by_name_across_formats_and_subfolders(pair, tmp_path):
    pair("b", suffix=".TIF")
    pair("a", suffix=".Jpeg")
    pair("night/a", suffix=".bmp")
    dataset = Folder(tmp_path, CLASSES)
    assert dataset.ids == ("a", "b", "night/a")
    assert dataset.splits == (None,) * 3
    assert dataset.classes == ("background", "cell") and dataset.channels == 3
    for index in range(3):
        image, mask = dataset.read(index)
        assert image.shape == (4, 4, 3) and mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, MASK // 128)
    np.testing.assert_array_equal(dataset.read(1).image, IMAGE)


def test_split_folders_below_images_set_the_split(pair, tmp_path):
    for name in ("train/a", "train/b", "val/c", "test/d"):
        pair(name)
    dataset = Folder(tmp_path, CLASSES)
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "train/a": "train",
        "train/b": "train",
        "val/c": "val",
        "test/d": "test",
    }


def test_split_folders_above_images_give_the_same(pair, tmp_path):
    for split in ("train", "test"):
        pair("a", images=f"{split}/img", masks=f"{split}/seg")
    dataset = Folder(tmp_path, CLASSES, images="img", masks="seg")
    assert dataset.ids == ("test/a", "train/a") and dataset.splits == ("test", "train")


def test_hidden_files_and_other_kinds_are_no_samples(pair, tmp_path):
    pair("a")
    pair(".ipynb_checkpoints/a")
    (tmp_path / "images/._a.png").write_bytes(b"junk")
    (tmp_path / "images/notes.txt").write_text("notes")
    assert Folder(tmp_path, CLASSES).ids == ("a",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_become_labels_in_the_order_of_classes(pair, tmp_path, write, dtype):
    values = np.array([[7, 0], [200, 255]], dtype)
    write("images/a.png", GREY[:2, :2])
    write("masks/a.tif", values)
    dataset = Folder(tmp_path, {"nucleus": 200, "background": 0, "cell": 7}, ignore_value=255)
    assert dataset.read(0).mask.tolist() == [[2, 1], [0, dataset.ignore_index]]


def test_sixteen_bit_values_are_classes_too(pair, tmp_path):
    pair("a", image=GREY, mask=MASK.astype(np.uint16) * 500)
    assert Folder(tmp_path, {"background": 0, "cell": 64000}).read(0).mask.tolist() == (MASK // 128).tolist()


def test_grey_stored_as_colour_is_grey_and_other_colours_are_refused(pair, tmp_path):
    pair("a", mask=MASK[..., None].repeat(3, 2))
    np.testing.assert_array_equal(Folder(tmp_path, CLASSES).read(0).mask, MASK // 128)
    pair("a", mask=np.stack([MASK, MASK, MASK // 2], 2))
    with pytest.raises(UserError, match="colour picture; expected one value a pixel"):
        Folder(tmp_path, CLASSES).read(0)


def test_unknown_value_names_mask_value_and_classes(pair, tmp_path):
    wrong = MASK.copy()
    wrong[0, :2] = 7
    path = pair("a", mask=wrong)
    dataset = Folder(tmp_path, CLASSES)  # pairing does not read pixels
    with pytest.raises(UserError) as caught:
        dataset.read(0)
    for part in (str(path), "7 (2 pixels)", "background=0, cell=128", "dataset.classes"):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [-1, 70_000])
def test_value_beyond_the_table_is_refused(pair, tmp_path, write, value):
    write("images/a.png", GREY)
    write("masks/a.tif", MASK.astype(np.int32) + np.int32(value) * (MASK == 0))
    with pytest.raises(UserError, match=rf"has the value {value} \(12 pixels\)"):
        Folder(tmp_path, CLASSES).read(0)


def test_unknown_value_in_a_jpeg_tells_why(tmp_path, write):
    write("images/a.png", GREY)
    write("masks/a.jpg", MASK, quality=20)
    with pytest.raises(UserError, match="JPEG changes values"):
        Folder(tmp_path, CLASSES).read(0)


def test_float_mask_is_refused(tmp_path, write):
    write("images/a.png", GREY)
    write("masks/a.tif", MASK.astype(np.float32))
    with pytest.raises(UserError, match="float32 pixels; expected whole numbers"):
        Folder(tmp_path, CLASSES).read(0)


def test_channels_follow_the_first_image_or_are_asked_for(pair, tmp_path):
    pair("a", image=GREY)
    assert Folder(tmp_path, CLASSES).channels == 1
    np.testing.assert_array_equal(Folder(tmp_path, CLASSES, channels=3).read(0).image, GREY[..., None].repeat(3, 2))
    pair("b", image=IMAGE)
    message = refused(r"1 of 2 images differ in channels", tmp_path, CLASSES)
    assert "dataset.channels=3" in message and "b.png (3)" in message
    grey = Folder(tmp_path, CLASSES, channels=1)
    assert grey.read(1).image.shape == (4, 4, 1)
    expected = np.array(Image.fromarray(IMAGE).convert("L"))
    assert np.abs(grey.read(1).image[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_asking_for_channels_keeps_the_type(tmp_path, write, dtype):
    write("images/a.tif", GREY.astype(dtype))
    write("masks/a.png", MASK)
    image = Folder(tmp_path, CLASSES, channels=3).read(0).image
    assert image.dtype == dtype and image.shape == (4, 4, 3)


def test_missing_folders_are_named_with_where_paths_start(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused("there is no folder 'nowhere'", "nowhere", CLASSES)
    assert str(tmp_path) in message and "dataset.root" in message
    refused(r"there is no folder '.*images'", tmp_path, CLASSES)
    pair("a")
    refused(r"there is no folder '.*labels'", tmp_path, CLASSES, masks="labels")


def test_missing_folder_in_one_split_is_named(pair, tmp_path):
    pair("a", images="train/images", masks="train/masks")
    (tmp_path / "test").mkdir()
    refused(r"there is no folder '.*test.images'", tmp_path, CLASSES)


def test_folder_without_images_says_what_is_there(pair, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    refused("holds no image; .*got no file", tmp_path, CLASSES)
    (tmp_path / "images/a.webp").write_bytes(b"")
    refused(r"got 1 other files \(\.webp\)", tmp_path, CLASSES)


def test_partners_that_lack_are_counted_and_five_named(pair, tmp_path, write):
    pair("whole")
    for i in range(7):
        write(f"images/{i}.png", IMAGE)
    message = refused("7 of 8 files have no mask", tmp_path, CLASSES)
    assert "4.png" in message and "5.png" not in message and "(7 in all)" in message
    for i in range(7):
        (tmp_path / f"images/{i}.png").unlink()
    write("masks/more.png", MASK)
    assert "more.png" in refused("1 of 2 files have no image", tmp_path, CLASSES)


def test_two_files_of_one_name_are_refused(pair, tmp_path, write):
    pair("a")
    write("images/a.tif", IMAGE)
    refused(r"two files are named 'a'.*a\.png and .*a\.tif", tmp_path, CLASSES)


def test_sizes_must_agree(pair, tmp_path):
    pair("a")
    pair("b", mask=MASK[:, :3])
    refused(r"1 of 2 masks differ in size.*'b' \(image 4 x 4, mask 3 x 4\)", tmp_path, CLASSES)


def test_broken_header_is_an_error_at_once(pair, tmp_path):
    pair("a").write_bytes(b"junk")
    refused(r"a\.png' cannot be read", tmp_path, CLASSES)


@pytest.mark.parametrize("name", ["validation", "Train", "testing"])
def test_folders_that_look_like_splits_are_not_overlooked(pair, tmp_path, name):
    pair(f"{name}/a")
    refused(rf"{name}' would not be taken as a split", tmp_path, CLASSES)


def test_both_layouts_at_once_are_refused(pair, tmp_path):
    pair("a")
    pair("a", images="train/images", masks="train/masks")
    refused("laid out twice", tmp_path, CLASSES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": {}}, "0 entries"),
        ({"classes": {"a": 1, "b": 1}}, "give 1 to a and to b"),
        ({"classes": {False: 0}}, "put it in quotes"),
        ({"classes": {"a": "0"}}, "a is '0'; expected a value in the mask"),
        ({"classes": {"a": 65536}}, "expected a value in the mask"),
        ({"ignore_value": 128}, "give 128 to cell and to ignore_value"),
        ({"channels": 4}, r"dataset\.channels is 4"),
        ({"palette": [[0, 0, 0]]}, "palette does not fit the 2 classes"),
        ({"palette": [[0, 0, 0], [0, 0, 256]]}, "palette does not fit"),
    ],
)
def test_arguments_that_contradict_themselves_are_refused(pair, tmp_path, change, message):
    pair("a")
    refused(message, **{"root": tmp_path, "classes": CLASSES, **change})


def test_palette_is_chosen_or_taken(pair, tmp_path):
    pair("a")
    chosen = Folder(tmp_path, CLASSES).palette
    assert chosen[0] == (0, 0, 0) and len(set(chosen)) == 2
    assert Folder(tmp_path, CLASSES, palette=[[1, 2, 3], [4, 5, 6]]).palette == ((1, 2, 3), (4, 5, 6))


def test_fingerprint_follows_contents_and_names_but_not_the_place(pair, tmp_path):
    pair("a")
    pair("b", mask=MASK * 0)
    prints = [Folder(tmp_path, CLASSES).fingerprint()]
    prints.append(Folder(tmp_path.rename(tmp_path.with_name("moved")), CLASSES).fingerprint())
    assert prints[0] == prints[1]
    moved = tmp_path.with_name("moved")
    for folder in ("images", "masks"):
        (moved / folder / "b.png").rename(moved / folder / "c.png")
    prints.append(Folder(moved, CLASSES).fingerprint())
    (moved / "masks/a.png").write_bytes((moved / "masks/c.png").read_bytes())
    prints.append(Folder(moved, CLASSES).fingerprint())
    assert len(set(prints)) == 3


def test_a_dataset_can_be_sent_to_a_worker(pair, tmp_path):
    pair("a")
    copy = pickle.loads(pickle.dumps(Folder(tmp_path, CLASSES)))
    np.testing.assert_array_equal(copy.read(0).mask, MASK // 128)
