"""Mistakes in COCO's annotation files and their images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segtrain.data.datasets import Coco

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]
ANNOTATIONS = "annotations/instances.json"


def content(segmentation: object = SQUARE, n: int = 1, **more: Any) -> dict[str, Any]:
    """What a right file holds: images 0.png, 1.png, … of 8 x 6 pixels with one object each."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 6, "width": 8} for i in range(n)],
        "annotations": [
            {"id": 7 + i, "image_id": i, "category_id": 3, "iscrowd": 0, "segmentation": segmentation, **more}
            for i in range(n)
        ],
        "categories": [{"id": 3, "name": "cell"}, {"id": 4, "name": "dust"}],
    }


def write(what: object, file: str = ANNOTATIONS, images: str = "images") -> None:
    """The annotation file, and the images that it names."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(what if isinstance(what, str) else json.dumps(what))
    Path(images).mkdir(parents=True, exist_ok=True)
    for entry in what.get("images", []) if isinstance(what, dict) else []:
        Image.fromarray(np.full((6, 8, 3), 9, np.uint8)).save(Path(images, Path(entry["file_name"]).name))


def opened(**options: object) -> Coco:
    given = {"root": ".", "annotations": ANNOTATIONS, "classes": ["background", "cell"]}
    return Coco(**(given | options))  # type: ignore[arg-type]


def good() -> dict[str, object]:
    """Right data in COCO's layout, with the arguments it needs."""
    write(content(n=6), "annotations/instances_train.json")
    write(content(n=4), "annotations/instances_val.json")
    return {"root": ".", "classes": ["background", "cell"]}


def with_file(what: object) -> Callable[[], object]:
    """Opens a data set whose annotation file holds `what`."""

    def make() -> None:
        write(what)
        opened()

    return make


def with_object(segmentation: object) -> Callable[[], object]:
    """Reads an image with such an object."""

    def make() -> None:
        write(content(segmentation))
        opened().read(0)

    return make


def changed(key: str, number: int = 0, **values: object) -> dict[str, Any]:
    """A right file but for these values of one entry."""
    what = content(n=2)
    what[key][number] |= values
    return what


def with_options(**options: object) -> Callable[[], object]:
    def make() -> None:
        write(content())
        opened(**options)

    return make


def other_size() -> None:
    write(changed("images", width=9))
    opened().read(0)


def other_channels() -> None:
    write(content(n=2))
    Image.fromarray(np.zeros((6, 8), np.uint8)).save("images/1.png")
    opened().read(1)


def missing_image() -> None:
    write(content(n=2))
    Path("images/1.png").unlink()
    opened()


def other_folder() -> None:
    write(changed("images", file_name="train\\0.png"))
    for path in [*Path("images").iterdir()]:
        path.rename(Path("images", path.name.rpartition("\\")[2]))
    opened()


def elsewhere() -> None:
    write(changed("images", file_name="../0.png"))
    opened()


MISTAKES = {
    "no such annotation file": lambda: opened(annotations="instances.json"),
    "no annotation file of any split": lambda: opened(annotations="instances_{split}.json"),
    "a split of another name": lambda: opened(annotations={"valid": "instances_val.json"}),
    "no folder of images for a split": with_options(annotations={"train": ANNOTATIONS}, images={"val": "images"}),
    "no JSON": with_file('{"images": ['),
    "a JSON of another kind": with_file({"shapes": [], "version": "5"}),
    "a list instead of COCO's lists": with_file([]),
    "no image listed": with_file(content(n=0)),
    "an image without its height": with_file(changed("images", height=None)),
    "an annotation without image_id": with_file(changed("annotations", image_id=None)),
    "an image id twice": with_file(changed("images", 1, id=0)),
    "a category id twice": with_file(changed("categories", 1, id=3)),
    "an annotation of an image that is not listed": with_file(changed("annotations", image_id=99)),
    "an annotation of a category that is not listed": with_file(changed("annotations", category_id=99)),
    "a class that is no category": with_options(classes=["background", "cel"]),
    "classes without background": with_options(classes=["cell"]),
    "a category in two classes": with_options(classes={"background": None, "a": "cell", "b": ["cell"]}),
    "a priority without all classes": with_options(classes=["background", "cell", "dust"], priority=["cell"]),
    "another word for crowd": with_options(crowd="skip"),
    "channels that no image has": with_options(channels=4),
    "a missing image": missing_image,
    "a file name with a folder of elsewhere": other_folder,
    "another word for outside": with_options(outside="cut"),
    "objects that leave nothing": lambda: (write(content([])), opened(shapeless="skip")),
    "an image outside the folder": elsewhere,
    "two images of one name": with_file(changed("images", 1, file_name="0.jpg")),
    "an image of another size than annotated": other_size,
    "grey among RGB, with channels=null": other_channels,
    "an object without a segmentation": with_object([]),
    "a polygon that is no list of its own": with_object(SQUARE[0]),
    "a polygon of two corners": with_object([[1, 1, 5, 5]]),
    "a polygon with a text in it": with_object([[1, 1, 5, 1, "5", 4]]),
    "a polygon outside the image": with_object([[1, 1, 12.5, 1, 5, 4]]),
    "run lengths of another size": with_object({"size": [8, 6], "counts": [48]}),
    "run lengths that end early": with_object({"size": [6, 8], "counts": [10, 20]}),
    "run lengths that go on too long": with_object({"size": [6, 8], "counts": "0a2"}),
    "run lengths that are broken": with_object({"size": [6, 8], "counts": "0o"}),
}
