"""Mistakes in asking for a config: `python -m segtrain new NAME ROOT`."""

import json
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from segtrain.app.new.new import new


def picture(path: str, values: int = 256) -> None:
    """Noise of so many values: an image with many, a mask with few."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, values, (32, 32)).astype(np.uint8)
    Image.fromarray(pixels * np.uint8(255 // (values - 1))).save(path)


def pairs(masks: str = "data/masks/{}.png", values: int = 2) -> None:
    for name in "abc":
        picture(f"data/images/{name}.png")
        picture(masks.format(name), values)


def there_already() -> None:
    pairs()
    Path("my_conf/dataset").mkdir(parents=True)
    Path("my_conf/dataset/cells.yaml").write_text("defaults: [folder]\n")
    new(["cells", "data"])


def empty() -> None:
    Path("data").mkdir()
    new(["cells", "data"])


def no_picture() -> None:
    Path("data").mkdir()
    for name in ("notes.txt", "film.avi"):
        Path("data", name).write_text("x")
    new(["cells", "data"])


def no_mask() -> None:
    for name in "abc":
        picture(f"data/photos/{name}.png")
    new(["cells", "data"])


def masks_of_other_names() -> None:
    pairs("data/masks/mask of {0}{0}.png")
    new(["cells", "data"])


def colour_jpeg_masks() -> None:
    for name in "abc":
        picture(f"data/images/{name}.jpg")
        mask = np.zeros((64, 64, 3), np.uint8)
        mask[5:30, 9:40] = 200, 30, 90
        Path("data/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(f"data/masks/{name}.jpg")
    new(["cells", "data"])


def labelme() -> None:
    for name in "abc":
        picture(f"data/{name}.png")
        Path(f"data/{name}.json").write_text(json.dumps({"shapes": [], "imagePath": f"{name}.png"}))
    new(["cells", "data"])


def label_studio() -> None:
    for number in (1, 2, 3):
        picture(f"data/photo_{number}.png")
        picture(f"data/task-{number}-annotation-{number}-by-1-tag-cell-0.png", 2)
    new(["cells", "data"])


def nrrd() -> None:
    for name in ("Volume.nrrd", "Segmentation.seg.nrrd"):
        Path("data/case0").mkdir(parents=True, exist_ok=True)
        Path("data/case0", name).write_text("NRRD0004")
    new(["cells", "data"])


def cvat() -> None:
    picture("data/images/a.png")
    Path("data/annotations.xml").write_text('<annotations><image id="0" name="a.png"/></annotations>')
    new(["cells", "data"])


def lost_coco() -> None:
    item = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    content = {
        "images": [{"id": 1, "file_name": "elsewhere.png", "width": 32, "height": 32}],
        "annotations": [item],
        "categories": [{"id": 1, "name": "cell"}],
    }
    picture("data/a.png")
    Path("data/a.json").write_text(json.dumps(content))
    new(["cells", "data"])


def broken() -> None:
    pairs()
    for path in Path("data/masks").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    new(["cells", "data"])


def scans_alone() -> None:
    Path("data").mkdir()
    values = np.random.default_rng(0).normal(0, 100, (9, 9, 9)).astype(np.int16)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("data/p01.nii.gz")
    new(["cells", "data"])


def other_json() -> None:
    no_mask_and_json = {"images": [{"file_name": "elsewhere.png"}], "annotations": [], "categories": []}
    picture("data/a.png")
    Path("data/a.json").write_text(json.dumps(no_mask_and_json))
    new(["cells", "data"])


MISTAKES = {
    "one argument": lambda: new(["cells"]),
    "no such folder": lambda: new(["cells", "data"]),
    "the name is no file name": lambda: new(["my/cells", "data"]),
    "the name is one of segtrain's own": lambda: new(["folder", "data"]),
    "the file is there already": there_already,
    "an empty folder": empty,
    "a folder without images": no_picture,
    "images without masks": no_mask,
    "masks whose names fit no image": masks_of_other_names,
    "masks in colour in JPEG": colour_jpeg_masks,
    "masks of which none can be read": broken,
    "scans without labels": scans_alone,
    "a COCO file without objects": other_json,
    "a COCO file whose images are not there": lost_coco,
    "outlines of LabelMe": labelme,
    "Label Studio's brush labels": label_studio,
    "NRRD": nrrd,
    "CVAT's XML": cvat,
}
