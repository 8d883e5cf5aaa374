"""`python -m segtrain new` on data that is no folder of images and masks."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset, build_split
from tests.app.new.layouts import SIZE, image, labels, mask_image, opened, save, unchecked
from tests.conftest import CommandLine
from tests.data.datasets.mistakes.volume import body, nifti, series

__all__ = ["unchecked"]  # the fixture

AREA = np.zeros(SIZE, np.uint8)
AREA[10:20, 5:30] = 1
POLYGON = [5, 10, 30, 10, 30, 20, 5, 20]


def coco(path: Path, numbers: range, below: str = "") -> None:
    """A rectangle of one of two categories on each image."""
    content = {
        "images": [{"id": i, "file_name": f"{below}{i}.jpg", "height": 40, "width": 48} for i in numbers],
        "categories": [{"id": 3, "name": "no object"}, {"id": 5, "name": "cell"}, {"id": 7, "name": "yes"}],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 5 + 2 * (i % 2),
                "segmentation": [POLYGON],
                "iscrowd": 0,
                "area": 250,
            }
            for i in numbers
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("annotations", "photos"), [("annotations/all.json", "photos/"), ("all.json", "")])
def test_coco_in_one_file(annotations: str, photos: str, segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    coco(root / annotations, range(6), below="deep/")
    (root / "other.json").write_text("[1, 2")
    for i in range(6):
        save(root / f"{photos}deep" / f"{i}.jpg", Image.fromarray(image(i)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    dataset = build_dataset(RunConfig(opened(segtrain)))
    assert dataset.classes == ("background", "cell", "yes")
    assert np.array_equal(dataset.read(1).mask, 2 * AREA)


@pytest.mark.usefixtures("unchecked")
def test_coco_a_file_a_split(segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    for split, numbers in {"train": range(4), "val": range(4, 6)}.items():
        coco(root / "annotations" / f"instances_{split}2017.json", numbers)
        for i in numbers:
            save(root / f"{split}2017" / f"{i}.jpg", Image.fromarray(image(i)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.images == {"train": "train2017", "val": "val2017"}
    dataset = build_dataset(RunConfig(written))
    assert sorted(zip(dataset.ids, dataset.splits, strict=True))[-1] == ("val/5", "val") and len(dataset.ids) == 6


@pytest.mark.usefixtures("unchecked")
def test_a_manifest(segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    rows = ["file;Label;subject;subset;split;Fold"]
    for i in range(9):
        save(root / f"x{i * 7}.png", Image.fromarray(image(i)))
        save(root / "drawn" / f"y{i}.png", mask_image(i, [0, 4], "L"))
        rows.append(f"x{i * 7}.png;drawn/y{i}.png;s{i // 2};{('train', 'val', 'test')[i % 3]};{i};Training")
    (root / "list.csv").write_text("\n".join(rows) + "\n")
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "column 'Fold' says Training" in segtrain.out
    written = opened(segtrain)
    assert written.dataset.columns == {
        "image": "file", "mask": "Label", "split": "subset", "group": "subject", "weight": "weight",
    }  # fmt: skip
    dataset = build_dataset(RunConfig(written))
    at = list(dataset.ids).index("x35")
    assert np.array_equal(dataset.read(at).mask, labels(5, 2)) and dataset.splits[at] == "test"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("above", ["", "stage1_train/"])
def test_a_mask_for_each_object(above: str, segtrain: CommandLine) -> None:
    """DSB2018, whose test images have none."""
    root = segtrain.folder / "data"
    for i in range(6):
        save(root / f"{above}c{i}a/images/c{i}a.png", Image.fromarray(image(i)))
        for number in range(3):
            mask = np.zeros(SIZE, np.uint8)
            mask[5 * number : 5 * number + 4, 10:20] = 255
            save(root / f"{above}c{i}a/masks/{number}f{i}.png", Image.fromarray(mask))
        if above:
            save(root / f"stage1_test/t{i}/images/t{i}.png", Image.fromarray(image(50 + i)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    dataset = build_dataset(RunConfig(opened(segtrain)))
    assert len(dataset.ids) == 6 and dataset.read(0).mask.sum() == 3 * 40


VOLUMES = {
    "images and labels": (["images/{}.nii.gz"], "labels/{}.nii.gz"),
    "Medical Decathlon": (["imagesTr/liver_{}.nii.gz"], "labelsTr/liver_{}.nii.gz"),
    "nnU-Net": (["imagesTr/liver_{}_0000.nii.gz"], "labelsTr/liver_{}.nii.gz"),
    "BraTS": (["{0}/{0}_t1.nii.gz", "{0}/{0}_flair.nii.gz"], "{0}/{0}_seg.nii.gz"),
    "a folder a patient": (["{}/scan.nii"], "{}/labels.nii"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", VOLUMES)
def test_scans_with_labels(name: str, segtrain: CommandLine) -> None:
    scans, label = VOLUMES[name]
    rng = np.random.default_rng(0)
    for i in range(4):
        for path in scans:
            nifti(str(segtrain.folder / "data" / path.format(f"p{i}")), rng.normal(0, 90, (16, 18, 5)).astype(np.int16))
        nifti(str(segtrain.folder / "data" / label.format(f"p{i}")), body((16, 18, 5), 2))
    if name == "Medical Decathlon":
        nifti(
            str(segtrain.folder / "data" / "imagesTs/liver_x.nii.gz"), rng.normal(0, 90, (16, 18, 5)).astype(np.int16)
        )
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    dataset = build_dataset(RunConfig(written))
    assert len(dataset.ids) == 20 and dataset.channels == len(scans)
    assert set(written.dataset.classes.values()) == {0, 2}
    assert len(build_split(RunConfig(written), dataset).train) % 5 == 0  # whole patients


@pytest.mark.usefixtures("unchecked")
def test_series_with_labels(segtrain: CommandLine) -> None:
    for i in range(3):
        series(str(segtrain.folder / "data" / "ct" / f"p{i}"))
        nifti(str(segtrain.folder / "data" / "seg" / f"p{i}.nii.gz"), body())
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.images == "ct/{id}" and written.dataset.window == [-160, 240]
    assert len(build_dataset(RunConfig(written)).ids) == 15


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("pages", "channels"), [("channels", 5), ("channels", 4), ("samples", 1)])
def test_tiff_of_channels_and_of_pages(pages: str, channels: int, segtrain: CommandLine) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        mask = np.stack([labels(3 * i + k, 2) for k in range(3)]) if pages == "samples" else labels(i, 2)
        pixels = rng.integers(0, 4000, (3 if pages == "samples" else channels, *SIZE)).astype(np.uint16)
        for folder, values in (("images", pixels), ("masks", mask)):
            path = segtrain.folder / "data" / folder / f"f{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            if folder == "images" and channels == 4:
                tifffile.imwrite(path, values.transpose(1, 2, 0), photometric="rgb", extrasamples=["unspecified"])
            else:
                tifffile.imwrite(path, values, photometric="minisblack")
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset._target_.endswith("Tiff") and written.dataset.pages == pages
    dataset = build_dataset(RunConfig(written))
    assert dataset.channels == channels and len(dataset.ids) == (18 if pages == "samples" else 6)
    assert np.array_equal(dataset.read(4).mask, labels(4, 2))


@pytest.mark.usefixtures("unchecked")
def test_labels_on_the_last_pages_of_a_stack_are_seen(segtrain: CommandLine) -> None:
    rng = np.random.default_rng(0)
    for i in range(4):
        mask = np.stack([labels(i, 2) if page < 15 else 2 * labels(i, 2) for page in range(20)])
        for folder, values in (("images", rng.integers(0, 4000, (20, *SIZE)).astype(np.uint16)), ("masks", mask)):
            path = segtrain.folder / "data" / folder / f"f{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, values, photometric="minisblack")
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert set(opened(segtrain).dataset.classes.values()) == {0, 1, 2}


@pytest.mark.usefixtures("unchecked")
def test_air_in_any_of_the_scans_tells_ct(segtrain: CommandLine) -> None:
    """The first scan is cut close, and so has none."""
    rng = np.random.default_rng(0)
    for i in range(4):
        scan = rng.normal(0, 90, (16, 18, 5)).astype(np.int16)
        scan[:2] = -1000 if i else 0
        nifti(str(segtrain.folder / f"data/images/p{i}.nii.gz"), scan)
        nifti(str(segtrain.folder / f"data/labels/p{i}.nii.gz"), body((16, 18, 5), 2))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert opened(segtrain).dataset.window == [-160, 240]


@pytest.mark.usefixtures("unchecked")
def test_columns_of_paths_are_known_by_rows_from_all_of_a_table(segtrain: CommandLine) -> None:
    """A column that names files in its first rows alone is none; one file that is missing makes none of a column."""
    root = segtrain.folder / "data"
    rows = ["old_image,image,mask"]
    for i in range(60):
        save(root / f"x{i}.png", Image.fromarray(image(i)))
        save(root / "drawn" / f"y{i}.png", mask_image(i, [0, 4], "L"))
        rows.append(f"{f'x{i}.png' if i < 20 else f'gone/{i}.png'},x{i}.png,drawn/y{i}.png")
    (root / "list.csv").write_text("\n".join(rows) + "\n")
    (root / "x0.png").unlink()
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain).dataset
    assert written._target_.endswith("Csv") and written.columns["image"] == "image"
