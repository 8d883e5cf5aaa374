"""Scenes whose labels lie where the image has them, in the layout of every file of conf/dataset."""

import importlib.machinery
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest
from nibabel import orientations
from PIL import Image

from tests.registration import Array, Scene, scene

Typed = dict[str, Any]  # what a user gives beside the file of conf/dataset
CODES = {"background": 0, "cell": 255}
SEEDS = range(11)


def turned(pixels: Array, orientation: int) -> Array:
    """The pixels as a camera stores them that says this EXIF orientation: turned upright they are `pixels` again."""
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def save(path: Path, pixels: Array, orientation: int = 1) -> None:
    """A PNG, JPEG or TIFF file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(turned(pixels, orientation)).save(path, exif=exif)


def pairs(folder: Path) -> list[str]:
    """images/I.png or .jpg and masks/I.png, stored in every orientation; the images' names."""
    names = []
    for seed in SEEDS:
        one, name = scene(seed), f"{seed}.{'jpg' if seed % 3 == 0 else 'png'}"
        save(folder / "images" / name, one.rgb, 1 + seed % 8)
        save(folder / "masks" / f"{seed}.png", 255 * one.labels, 1 + (3 * seed) % 8)
        names.append(name)
    return names


def folder(root: Path) -> list[Typed]:
    pairs(root)
    return [{"root": str(root), "classes": CODES}]


def csv(root: Path) -> list[Typed]:
    rows = [f"images/{name},masks/{Path(name).stem}.png" for name in pairs(root)]
    (root / "list.csv").write_text("\n".join(["image,mask", *rows]))
    return [{"manifest": str(root / "list.csv"), "classes": CODES}]


def instances(root: Path) -> list[Typed]:
    for seed in SEEDS:
        one = scene(seed)
        save(root / f"s{seed}/images/s{seed}.png", one.rgb)
        count, pieces = cv2.connectedComponents(one.labels)
        for piece in range(1, count):
            save(root / f"s{seed}/masks/{piece}.png", np.uint8(255) * (pieces == piece))
    return [{"root": str(root)}]


def runs(labels: Array) -> dict[str, Any]:
    """The mask as COCO's plain run lengths: down the columns, outside first."""
    flat = np.concatenate([[0], labels.T.ravel(), [0]])
    edges = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], edges, [labels.size]]))
    return {"size": list(labels.shape), "counts": [int(count) for count in counts]}


def coco(root: Path) -> list[Typed]:
    """Polygons about the objects in one data set, run lengths in another."""
    found = []
    for kind in ("polygons", "runs"):
        images, annotations = [], []
        for seed in SEEDS:
            one = scene(seed)
            save(root / kind / f"images/{seed}.png", one.rgb)
            height, width = one.labels.shape
            images.append({"id": seed, "file_name": f"{seed}.png", "height": height, "width": width})
            regions: list[Any] = (
                [[each.polygon()] for each in one.objects] if kind == "polygons" else [runs(one.labels)]
            )
            for region in regions:
                known = {"id": len(annotations), "image_id": seed, "category_id": 3, "iscrowd": 0}
                annotations.append(known | {"segmentation": region})
        held = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cell"}]}
        (root / kind / "annotations").mkdir()
        for part in ("train", "val"):
            mine = [image for image in images if (image["id"] % 2 == 0) == (part == "train")]
            known = {image["id"] for image in mine}
            theirs = [each for each in annotations if each["image_id"] in known]
            content = held | {"images": mine, "annotations": theirs}
            (root / kind / f"annotations/instances_{part}.json").write_text(json.dumps(content))
        found.append({"root": str(root / kind), "classes": ["background", "cell"]})
    return found


def huggingface(root: Path) -> list[Typed]:
    library = pytest.importorskip("datasets")
    names = pairs(root / "files")
    columns = {
        "image": [str(root / "files/images" / name) for name in names],
        "mask": [str(root / f"files/masks/{Path(name).stem}.png") for name in names],
    }
    features = library.Features({name: library.Image() for name in columns})
    library.disable_progress_bars()
    library.Dataset.from_dict(columns, features=features).save_to_disk(str(root / "table"))
    library.enable_progress_bars()
    return [{"root": str(root / "table"), "classes": CODES}]


def litdata(root: Path) -> list[Typed]:
    pytest.importorskip("litdata")
    from segtrain.data.datasets import Folder
    from segtrain.data.datasets.streamed import write_stream

    pairs(root / "files")
    (root / "stream").mkdir()
    write_stream(Folder(root / "files", CODES), root / "stream", False)
    return [{"root": str(root / "stream")}]


def tiff(root: Path) -> list[Typed]:
    """Three channels a page each, in tiles, of 16 bits; and files whose pages are samples."""
    tifffile = pytest.importorskip("tifffile")
    for kind, pages in (("channels", 1), ("samples", 4)):
        for first in range(0, len(SEEDS), pages):
            scenes = [scene(seed) for seed in SEEDS[first : first + pages]]
            images = np.concatenate([[one.grey.astype(np.uint16) * 100] * (3 if pages == 1 else 1) for one in scenes])
            masks = np.stack([255 * one.labels for one in scenes])
            for side, pixels in (("images", images), ("masks", masks if pages > 1 else masks[0])):
                (root / kind / side).mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(root / kind / side / f"{first}.tif", pixels, photometric="minisblack", tile=(32, 48))
    return [{"root": str(root / kind), "classes": CODES, "pages": kind} for kind in ("channels", "samples")]


def stacked(scenes: Sequence[Array], axis: int) -> Array:
    """A volume (right, front, head) whose planes along an axis of the patient are these, upright."""
    return np.stack([one[::-1].T for one in scenes], axis)


def volume(root: Path) -> list[Typed]:
    """Scans that lie in every way, along each axis; a scan at 45 degrees; a series of DICOM files."""
    from tests.data.datasets.mistakes.volume import series

    found = []
    some = [scene(seed) for seed in SEEDS]
    for axis in range(3):
        values, labels = (stacked([getattr(one, kind) for one in some], axis) for kind in ("grey", "labels"))
        for number, ways in enumerate(
            ([[0, 1], [1, 1], [2, 1]], [[2, -1], [0, 1], [1, -1]], [[1, 1], [2, -1], [0, -1]])
        ):
            for side, content in (("images", values), ("labels", labels)):
                whole = nibabel.Nifti1Image(content, np.diag([1.0, 2.0, 3.0, 1.0])).as_reoriented(np.array(ways))
                path = root / f"axis{axis}" / side / f"p{number}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                whole.to_filename(path)
        found.append({"root": str(root / f"axis{axis}"), "classes": {"background": 0, "cell": 1}, "axis": axis})
    found.append(_oblique(root / "oblique", some) | {"classes": {"background": 0, "cell": 1}})
    values, labels = (stacked([getattr(one, kind) for one in some], 2) for kind in ("grey", "labels"))
    series(str(root / "dicom/images/p1"), values.astype(np.int16), np.eye(4))
    (root / "dicom/labels").mkdir()
    nibabel.Nifti1Image(labels, np.eye(4)).to_filename(root / "dicom/labels/p1.nii.gz")
    dicom = {"root": str(root / "dicom"), "classes": {"background": 0, "cell": 1}, "images": "images/{id}"}
    return [*found, dicom]


def _oblique(root: Path, some: Sequence[Scene]) -> Typed:
    """At 45 degrees about the axis from feet to head, but for rounding, which differs between scan and label."""
    for side, kind, more in (("images", "grey", 1e-6), ("labels", "labels", -1e-6)):
        angle, affine = np.pi / 4 + more, np.eye(4)
        affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        (root / side).mkdir(parents=True)
        square = [getattr(one, kind)[:79, :79] for one in some]
        nibabel.Nifti1Image(stacked(square, 2), affine).to_filename(root / side / "p1.nii")
    ways = [orientations.io_orientation(nibabel.load(root / side / "p1.nii").affine) for side in ("images", "labels")]
    assert not np.array_equal(*ways), "the two would be turned differently, each by itself"
    return {"root": str(root)}


def nilearn(root: Path, patch: pytest.MonkeyPatch, mirrored: bool = False) -> None:
    """Volumes where the package nilearn has its own: bright white matter, soft at its edge, in a darker brain."""
    some = [scene(seed, 151, 145, large=2.0).share for seed in range(40)]
    some = [one[:, ::-1] if mirrored else one for one in some]
    white = stacked(some, 1).astype(np.float32)
    grey = np.zeros_like(white)
    grey[0, 0, 0] = 1  # its highest value
    (root / "datasets/data").mkdir(parents=True)
    for kind, values in (("t1", 0.3 + 0.7 * white), ("gm", grey), ("wm", white)):
        name = f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
        nibabel.Nifti1Image(values, np.eye(4)).to_filename(root / "datasets/data" / name)
    spec = importlib.machinery.ModuleSpec("nilearn", None, is_package=True)
    spec.submodule_search_locations = [str(root)]
    real = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name, *rest: spec if name == "nilearn" else real(name, *rest))


WRITTEN: dict[str, Callable[[Path], list[Typed]]] = {
    "coco": coco,
    "csv": csv,
    "folder": folder,
    "huggingface": huggingface,
    "instances": instances,
    "litdata": litdata,
    "tiff": tiff,
    "volume": volume,
    "shapes": lambda root: [{}],  # drawn by itself
    "brain_tissue": lambda root: [{}],  # of `nilearn`
    "brain_scanners": lambda root: [{"train": 8, "val": 6, "test": 8}, {"train": 4, "pixel": 3}],
}
