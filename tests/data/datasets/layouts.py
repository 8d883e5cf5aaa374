"""One data set in the real layout of every format: stacks of small images, each with a box of the class "cell".

Formats whose files are stacks (volume, tiff with pages=samples) keep a stack in a file and know it as a group; others
have a file an image, or a row, named so that the order of ids is that of stacks and numbers.
"""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.data.made import InMemory, picture

SIDE = 24
CLASSES = {"background": 0, "cell": 1}


Encode = Callable[[np.ndarray[Any, Any]], bytes]


class Made(NamedTuple):
    """One sample: `image` (SIDE, SIDE) uint8, `box` top, left, bottom, right."""

    stack: str
    number: int
    image: np.ndarray[Any, Any]
    box: tuple[int, int, int, int] = (4, 5, 15, 17)
    encode: Encode | None = None  # how the image is written, in place of the format's own way
    encode_mask: Encode | None = None

    @property
    def name(self) -> str:
        return f"{self.stack}_{self.number:02d}"

    @property
    def mask(self) -> np.ndarray[Any, Any]:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top, left, bottom, right = self.box
        mask[top:bottom, left:right] = 1
        return mask


@dataclass(frozen=True)
class Layout:
    """How a format is written, `write(root, samples)` -> values of its conf file.

    Each of `other` changes what is read of the same files; `damage(root, samples, one)` breaks the image of one of them
    on disk; `stacked` says that a file is a stack.
    """

    write: Callable[[Path, Sequence[Made]], dict[str, Any]]
    other: list[dict[str, Any]]
    damage: Callable[[Path, Sequence[Made], Made], None]
    stacked: bool = False


def stacks(number: int, depth: int, seed: int = 0) -> list[Made]:
    """So many stacks of so many images, all different."""
    pictures = iter(range(seed, seed + number * depth))
    return [Made(f"p{s:02d}", i, picture(next(pictures), SIDE)[..., 0]) for s in range(number) for i in range(depth)]


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _save(path: Path, pixels: np.ndarray[Any, Any], encode: Encode | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((encode or _png)(pixels))


def _folder(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    for one in samples:
        _save(root / f"images/{one.name}.png", one.image, one.encode)
        _save(root / f"masks/{one.name}.png", one.mask, one.encode_mask)
    return {"root": str(root), "classes": CLASSES}


def _csv(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    _folder(root, samples)
    rows = [f"images/{one.name}.png,masks/{one.name}.png" for one in samples]
    (root / "cells.csv").write_text("\n".join(["image,mask", *rows]))
    return {"manifest": str(root / "cells.csv"), "classes": CLASSES}


def _coco(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    _folder(root, samples)
    annotations: list[dict[str, Any]] = []
    for number, one in enumerate(samples):
        top, left, bottom, right = one.box
        corners = [left, top, right, top, right, bottom, left, bottom]
        about = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "segmentation": [corners]}
        annotations.append(about)
    what = {
        "images": [
            {"id": i, "file_name": f"{one.name}.png", "height": SIDE, "width": SIDE} for i, one in enumerate(samples)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}],
    }
    (root / "cells.json").write_text(json.dumps(what))
    return {"root": str(root), "annotations": "cells.json", "classes": list(CLASSES)}


def _instances(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    for one in samples:
        _save(root / f"{one.name}/images/image.png", one.image, one.encode)
        left, right = one.mask.copy(), one.mask.copy()
        left[:, SIDE // 2 :], right[:, : SIDE // 2] = 0, 0  # two that touch
        _save(root / f"{one.name}/masks/0.png", left, one.encode_mask)
        _save(root / f"{one.name}/masks/1.png", right, one.encode_mask)
    return {"root": str(root)}


def _by_stack(samples: Sequence[Made]) -> list[tuple[str, list[Made]]]:
    return [(stack, list(some)) for stack, some in groupby(samples, lambda one: one.stack)]


def grey_tiff(pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    """A TIFF of grey pages."""
    file = io.BytesIO()
    pytest.importorskip("tifffile").imwrite(file, pixels, **({"photometric": "minisblack"} | options))
    return file.getvalue()


def _tiff(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    for one in samples:
        bands = np.stack([one.image, 255 - one.image])
        _save(root / f"images/{one.name}.tif", bands, one.encode or grey_tiff)
        _save(root / f"masks/{one.name}.png", one.mask, one.encode_mask)
    return {"root": str(root), "classes": CLASSES}


def _pages(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    for stack, some in _by_stack(samples):
        encode, encode_mask = some[0].encode or grey_tiff, some[0].encode_mask or grey_tiff
        _save(root / f"images/{stack}.tif", np.stack([one.image for one in some]), encode)
        _save(root / f"masks/{stack}.tif", np.stack([one.mask for one in some]), encode_mask)
    return {"root": str(root), "classes": CLASSES, "pages": "samples"}


def _volume(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    nibabel = pytest.importorskip("nibabel")
    for stack, some in _by_stack(samples):
        for kind, planes in (("images", [one.image for one in some]), ("labels", [one.mask for one in some])):
            (root / kind).mkdir(parents=True, exist_ok=True)
            voxels = np.stack([plane[::-1].T for plane in planes], 2)  # up is front, the end of the second axis
            nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(root / kind / f"{stack}.nii.gz")
    return {"root": str(root), "classes": CLASSES}


def _huggingface(root: Path, samples: Sequence[Made], broken: Made | None = None) -> dict[str, Any]:
    library = pytest.importorskip("datasets")
    rows = {
        "image": [{"bytes": b"no image" if one is broken else (one.encode or _png)(one.image)} for one in samples],
        "mask": [{"bytes": (one.encode_mask or _png)(one.mask)} for one in samples],
        "name": [one.name for one in samples],
    }
    types = {"image": library.Image(), "mask": library.Image(), "name": library.Value("string")}
    library.disable_progress_bars()
    library.Dataset.from_dict(rows, features=library.Features(types)).save_to_disk(root)
    library.enable_progress_bars()
    return {"root": str(root), "classes": CLASSES, "id": "name"}


def _litdata(root: Path, samples: Sequence[Made]) -> dict[str, Any]:
    pytest.importorskip("litdata")
    from segtrain.data.datasets.streamed import write_stream

    source = InMemory([(one.image[..., None], one.mask) for one in samples])
    source.ids, source.channels = tuple(one.name for one in samples), 1
    root.mkdir(parents=True, exist_ok=True)
    write_stream(source, root, compress=False)
    return {"root": str(root)}


def _overwriting(path: str) -> Callable[[Path, Sequence[Made], Made], None]:
    """Text in place of the file of the sample."""

    def damage(root: Path, _: Sequence[Made], one: Made) -> None:
        (root / path.format(one)).write_text("no image")

    return damage


def _emptied(root: Path, samples: Sequence[Made], one: Made) -> None:
    """The table anew, with other bytes in the cell."""
    shutil.rmtree(root)
    _huggingface(root, samples, one)


def _flipped(root: Path, samples: Sequence[Made], one: Made) -> None:
    """One bit of the image in its chunk."""
    (chunk,) = root.glob("chunk*.bin")
    content = bytearray(chunk.read_bytes())
    content[content.index(one.image.tobytes())] ^= 1
    chunk.write_bytes(content)


TOLERANT = {"tolerance": 40}
SWAPPED = {"classes": {"background": 1, "cell": 0}}
LAYOUTS = {
    "folder": Layout(
        _folder, [SWAPPED, {"ignore_value": 1, "classes": {"cell": 0}}, TOLERANT], _overwriting("images/{0.name}.png")
    ),
    "csv": Layout(_csv, [SWAPPED, TOLERANT], _overwriting("images/{0.name}.png")),
    "coco": Layout(
        _coco,
        [
            {"channels": 1},
            {"classes": {"background": None, "other": "cell"}},
            *({"outside": "clip"}, {"shapeless": "skip"}, {"file_names": "last"}),
        ],
        _overwriting("images/{0.name}.png"),
    ),
    "instances": Layout(_instances, [{"border": 2}], _overwriting("{0.name}/images/image.png")),
    "tiff": Layout(
        _tiff, [SWAPPED, {"channels": [1, 0]}, {"channels": [1]}, TOLERANT], _overwriting("images/{0.name}.tif")
    ),
    "tiff, pages=samples": Layout(_pages, [SWAPPED, TOLERANT], _overwriting("images/{0.stack}.tif"), stacked=True),
    "volume": Layout(
        _volume,
        [SWAPPED, {"window": [0, 100]}, {"normalise": "zscore"}, {"axis": 1}, {"every": 2}],
        _overwriting("images/{0.stack}.nii.gz"),
        stacked=True,
    ),
    "huggingface": Layout(_huggingface, [SWAPPED, TOLERANT], _emptied),
    "litdata": Layout(_litdata, [], _flipped),
}
DRAWN = ("shapes", "brain_tissue", "brain_scanners")  # nobody fills them
