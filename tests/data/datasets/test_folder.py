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
    with pytest.raises(UserError, match="expected one value a pixel"):
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


def test_a_float_mask_is_read_where_its_numbers_are_whole(tmp_path, write):
    write("images/a.png", GREY)
    write("masks/a.tif", MASK.astype(np.float32))
    assert np.array_equal(Folder(tmp_path, CLASSES).read(0).mask, MASK == 128)
    write("masks/a.tif", MASK.astype(np.float32) * np.float32(1.0118))
    with pytest.raises(UserError, match="expected whole numbers from 0"):
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


PATTERNS = {
    "one folder, by extension": ("{id}.bmp", "{id}.png", ["1.bmp", "2.bmp"], ["1.png", "2.png"]),
    "one folder, by ending": ("{id}.png", "{id}_mask.png", ["1.png", "2.png"], ["1_mask.png", "2_mask.png"]),
    "one folder, both with endings": ("{id}_i.*", "{id}_m.*", ["1_i.png", "2_i.jpg"], ["1_m.png", "2_m.tif"]),
    "any kind of image": ("x/{id}.*", "{id}.*", ["x/1.JPG", "x/2.tif"], ["1.png", "2.bmp"]),
    "a folder each": ("{id}/image.png", "{id}/mask.png", ["1/image.png", "2/image.png"], ["1/mask.png", "2/mask.png"]),
    "the id twice": ("{id}/{id}.png", "{id}/m/{id}.png", ["1/1.png", "2/2.png"], ["1/m/1.png", "2/m/2.png"]),
    "any text": ("*/{id}.png", "m/{id}_*.png", ["p/1.png", "q/2.png"], ["m/1_anna.png", "m/2_bob.png"]),
    "a folder and a pattern": ("images", "m/{id}_m.png", ["images/1.png", "images/2.bmp"], ["m/1_m.png", "m/2_m.png"]),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_patterns_pair_what_has_one_id(tmp_path, write, case):
    images, masks, image_files, mask_files = PATTERNS[case]
    for number, (image, mask) in enumerate(zip(image_files, mask_files, strict=True)):
        write(image, GREY)
        write(mask, np.full((4, 4), number, np.uint8))
    dataset = Folder(tmp_path, {"a": 0, "b": 1}, images, masks)
    assert dataset.ids == ("1", "2") and dataset.splits == (None, None)
    assert [dataset.read(i).mask.max() for i in range(2)] == [0, 1]


def test_ids_of_patterns_may_span_folders_and_the_first_may_be_a_split(tmp_path, write):
    for name in ("train/p1/a", "validation/p1/b", "p2/c"):
        write(f"i/{name}.png", GREY)
        write(f"m/{name}_m.png", MASK)
    dataset = Folder(tmp_path, CLASSES, "i/{id}.png", "m/{id}_m.png")
    assert dataset.ids == ("p2/c", "train/p1/a", "validation/p1/b")
    assert dataset.splits == (None, "train", "val")


def test_camvid_in_its_layout(tmp_path, write):
    for split, other in (("train", "trainannot"), ("val", "valannot"), ("test", "testannot")):
        write(f"{split}/x_{split}.png", IMAGE)
        write(f"{other}/x_{split}.png", MASK)
    options = {"images": "{split}/{id}.png", "masks": "{split}annot/{id}.png"}
    dataset = Folder(tmp_path, CLASSES, **options)
    assert dataset.ids == ("test/x_test", "train/x_train", "val/x_val")
    assert dataset.splits == ("test", "train", "val")
    for split in ("train", "val", "test"):
        line = f"/SegNet/CamVid/{split}/x_{split}.png /SegNet/CamVid/{split}annot/x_{split}.png\n"
        (tmp_path / f"{split}.txt").write_text(line)
    lists = {split: f"{split}.txt" for split in ("train", "test")}
    listed = Folder(tmp_path, CLASSES, **options, lists=lists, prefix="/SegNet/CamVid/")
    assert listed.ids == ("test/x_test", "train/x_train") and listed.splits == ("test", "train")


def drive(write, region):
    for split, name in (("training", "21"), ("test", "01")):
        write(f"{split}/images/{name}_{split}.tif", IMAGE)
        write(f"{split}/1st_manual/{name}_manual1.gif", (MASK > 0) * np.uint8(255), optimize=False)
        write(f"{split}/mask/{name}_{split}_mask.gif", region)
    return {
        "images": "{split}/images/{id}_{split}.tif",
        "masks": "{split}/1st_manual/{id}_manual1.gif",
        "regions": "{split}/mask/{id}_{split}_mask.gif",
        "classes": {"background": 0, "vessel": 255},
    }


def test_drive_in_its_layout_with_its_field_of_view(tmp_path, write):
    region = np.full((4, 4), 255, np.uint8)
    region[:2] = 0
    dataset = Folder(tmp_path, **drive(write, region))
    assert dataset.ids == ("test/01", "train/21") and dataset.splits == ("test", "train")
    for index in range(2):
        assert dataset.read(index).mask.tolist() == [[255] * 4] * 2 + [[0, 1, 0, 0]] * 2
    before = dataset.fingerprint()
    assert len(dataset.files(0)) == 3 and before != Folder(tmp_path, **drive(write, region + 1)).fingerprint()


def test_regions_are_black_by_colour_not_by_palette_index(tmp_path, write):
    options = drive(write, np.zeros((4, 4), np.uint8))
    palette = Image.fromarray(MASK // 128)
    palette.putpalette([9, 9, 9, 0, 0, 0])  # index 0 is no black
    for name in ("training/mask/21_training", "test/mask/01_test"):
        write(f"{name}_mask.png", palette)
    dataset = Folder(tmp_path, **options | {"regions": "{split}/mask/{id}_{split}_mask.png"})
    assert (dataset.read(0).mask == dataset.ignore_index).tolist() == (MASK > 0).tolist()


def test_regions_pair_as_masks_do_in_folders_too(pair, tmp_path, write):
    pair("a")
    pair("b")
    write("fov/a.png", MASK)
    refused("1 of 2 files have no region.*b.png", tmp_path, CLASSES, regions="fov")
    write("fov/b.png", MASK)
    write("fov/c.png", MASK)
    refused("1 of 3 files have no image.*c.png", tmp_path, CLASSES, regions="fov")


def test_a_pattern_that_says_more_takes_a_file_from_one_that_says_less(tmp_path, write):
    for name in ("a.png", "a_mask.png", "a_mask_old.png", "a_mask_old_mask.png"):
        write(name, MASK)
    assert Folder(tmp_path, CLASSES, "{id}.png", "{id}_mask.png").ids == ("a", "a_mask_old")


def test_orphans_and_doubles_of_patterns_are_errors(tmp_path, write):
    write("i/a.png", GREY)
    write("i/b.png", GREY)
    write("m/a_m.png", MASK)
    patterns = {"images": "i/{id}.*", "masks": "m/{id}_m.png"}
    refused(r"1 of 2 files have no mask.*fits dataset.masks='m/\{id\}_m.png'.*b\.png", tmp_path, CLASSES, **patterns)
    write("m/b_m.png", MASK)
    write("m/c_m.png", MASK)
    refused(r"1 of 3 files have no image.*c_m\.png", tmp_path, CLASSES, **patterns)
    (tmp_path / "m/c_m.png").unlink()
    write("i/a.bmp", GREY)
    refused(r"two files are named 'a'", tmp_path, CLASSES, **patterns)


@pytest.fixture
def listed(pair, tmp_path):
    """opened("line\\n…", …) -> the dataset of a, b and c of which train.txt lists these."""
    for name in ("a", "b", "c"):
        pair(name)

    def opened(text, **options):
        (tmp_path / "train.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return Folder(tmp_path, CLASSES, lists={"train": "train.txt"}, **options)

    return opened


@pytest.mark.parametrize(
    "line",
    ["a", "a.png", "images/a.png", "./images/a.png", "images/a.png masks/a.png", "images/a.png\tmasks/a.png", "  a  "],
)
def test_a_line_may_be_id_name_path_or_two_paths(listed, line):
    dataset = listed(f"{line}\r\n\n")
    assert dataset.ids == ("a",) and dataset.splits == ("train",)


def test_what_no_list_names_need_not_be_whole(listed, tmp_path):
    (tmp_path / "masks/c.png").unlink()
    assert listed("a\nb").ids == ("a", "b")
    with pytest.raises(UserError, match=r"train\.txt', line 3, .*'c'.* no mask"):
        listed("a\nb\nc")


def test_a_line_may_pair_an_image_with_the_mask_of_another(listed, write):
    write("masks/b.png", MASK * 0)
    dataset = listed("images/a.png masks/b.png")
    assert dataset.ids == ("a",) and dataset.read(0).mask.max() == 0


def test_names_with_blanks_can_be_listed(listed, pair):
    pair("d e")
    for line in ("d e", "images/d e.png", "images/d e.png masks/d e.png"):
        assert listed(line).ids == ("d e",)


@pytest.mark.parametrize("prefix", ["/data/set", "/data/set/"])
def test_prefix_is_dropped_from_paths(listed, prefix):
    assert listed("/data/set/images/a.png /data/set/masks/a.png", prefix=prefix).ids == ("a",)
    with pytest.raises(UserError, match=r"line 1, .*'/other/images/a\.png'.*dataset\.prefix"):
        listed("/other/images/a.png", prefix=prefix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nd", r"train\.txt', line 2, names 'd', which is no image"),
        ("images/a.png masks/d.png", "line 1, names 'images/a.png masks/d.png'"),
        ("a\n\nimages/a.png", r"line 3, names 'a', as '.*train\.txt', line 1, does"),
        ("\n \n", "names no sample"),
        (b"\xff\xfe\x00", r"expected text in UTF-8"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(listed, text, message):
    with pytest.raises(UserError, match=message):
        listed(text)


def test_a_sample_in_two_splits_is_refused(listed, tmp_path):
    (tmp_path / "test.txt").write_text("b\na")
    (tmp_path / "train.txt").write_text("a")
    refused(r"test\.txt', line 2, names 'a', as", tmp_path, CLASSES, lists={"train": "train.txt", "test": "test.txt"})


def test_above_some_number_of_samples_headers_are_not_read_but_reads_check(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("segtrain.data.datasets.folder.MOST_HEADERS", 2)
    pair("a")
    pair("b", image=GREY, mask=MASK)
    pair("c", mask=MASK[:, :3])
    dataset = Folder(tmp_path, CLASSES)
    assert dataset.read(0).mask.shape == (4, 4)
    with pytest.raises(UserError, match=r"b\.png' has 1 channels; expected 3"):
        dataset.read(1)
    with pytest.raises(UserError, match=r"c\.png' is 3 x 4 pixels; expected 4 x 4"):
        dataset.read(2)


def test_a_region_of_another_size_is_refused_by_read_too(tmp_path, write):
    dataset = Folder(tmp_path, **drive(write, np.full((4, 4), 255, np.uint8)))
    drive(write, np.full((4, 3), 255, np.uint8))
    with pytest.raises(UserError, match=r"mask\.gif' is 3 x 4 pixels; expected 4 x 4"):
        dataset.read(0)


def test_masks_in_colours(pair, tmp_path):
    colours = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    pair("a", image=GREY[:2, :2], mask=colours)
    pair("b", image=GREY[:2, :2], mask=Image.fromarray(colours).quantize(4))
    classes = {"ground": "#000000", "cell": ["#ff0000", "#0000ff"]}
    dataset = Folder(tmp_path, classes, ignore_value="#090909")
    for index in range(2):
        assert dataset.read(index).mask.tolist() == [[0, 1], [1, dataset.ignore_index]]
    assert dataset.palette == ((0, 0, 0), (255, 0, 0))


def test_fingerprint_follows_what_the_values_mean(pair, tmp_path):
    pair("a")
    prints = {Folder(tmp_path, c).fingerprint() for c in (CLASSES, {"cell": 128, "background": 0}, {"cell": [0, 128]})}
    assert len(prints) == 3


def test_a_link_that_leads_back_is_refused(pair, tmp_path):
    pair("a")
    (tmp_path / "images/again").symlink_to(tmp_path / "images")
    refused("leads back", tmp_path, CLASSES)


def test_a_link_to_elsewhere_is_followed(pair, tmp_path, write):
    pair("a")
    for kind, pixels in (("images", IMAGE), ("masks", MASK)):
        write(f"elsewhere/{kind}/b.png", pixels)
        (tmp_path / kind / "more").symlink_to(tmp_path / "elsewhere" / kind)
    assert Folder(tmp_path, CLASSES).ids == ("a", "more/b")
