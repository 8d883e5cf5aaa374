"""Layouts of images and masks as the world has them, made from drawn labels, and what `new` must write for each."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from segtrain.app.new import new as page
from segtrain.config.composition import composed
from tests.conftest import CommandLine

SIZE = (40, 48)
Codes = list[int] | list[str]
Placed = tuple[str, int]  # path below root, number of the sample


class Case(NamedTuple):
    """Where files lie and how masks are written, and what of the config must come out."""

    images: Callable[[int], str]
    masks: Callable[[int], str]
    expected: dict[str, Any]
    codes: Codes = [0, 255]  # noqa: RUF012 never changed
    count: int = 9
    splits: Callable[[int], str | None] = lambda i: None
    how: str = "L"  # of masks: L, P, 1, RGB, I;16


def labels(i: int, classes: int) -> np.ndarray:
    """Blobs of all classes, background commonest."""
    rng = np.random.default_rng(i)
    found = np.zeros(SIZE, np.uint8)
    for label in range(1, classes):
        y, x = rng.integers(0, 28), rng.integers(0, 36)
        found[y : y + 9, x : x + 8] = label
    found[0, :classes] = range(classes)
    return found


def image(i: int) -> np.ndarray:
    return np.random.default_rng(i + 1000).integers(0, 255, (*SIZE, 3)).astype(np.uint8)


def mask_image(i: int, codes: Codes, how: str) -> Image.Image:
    drawn = labels(i, len(codes))
    if how == "RGB":
        table = np.array([[int(str(c)[k : k + 2], 16) for k in (1, 3, 5)] for c in codes], np.uint8)
        return Image.fromarray(table[drawn])
    coded = np.array(codes)[drawn]
    if how == "I;16":
        return Image.fromarray(coded.astype(np.uint16))
    if how == "1":
        return Image.fromarray(coded.astype(bool))
    found = Image.fromarray(coded.astype(np.uint8))
    if how == "P":
        found.putpalette([value for n in range(256) for value in (n, 255 - n, 7 * n % 256)])
    return found


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def make(root: Path, case: Case) -> None:
    for i in range(case.count):
        save(root / case.images(i), Image.fromarray(image(i)))
        save(root / case.masks(i), mask_image(i, case.codes, case.how))


def third(i: int, names: tuple[str, str, str] = ("train", "val", "test")) -> str:
    return names[i % 3]


def of_split(i: int) -> str:
    return third(i)


CASES = {
    "images and masks": Case(
        lambda i: f"images/{i}.png", lambda i: f"masks/{i}.png", {"images": "images", "masks": "masks"}
    ),
    "other names": Case(
        lambda i: f"Original/{i}.tif",
        lambda i: f"Ground truth/{i}.png",
        {"images": "Original", "masks": "Ground truth"},
    ),
    "names that say nothing": Case(
        lambda i: f"a/{i}.png", lambda i: f"b/{i}.png", {"images": "a", "masks": "b"}, codes=[0, 1, 2]
    ),
    "names that lie behind their pixels": Case(
        lambda i: f"b/{i}.png", lambda i: f"a/{i}.png", {"images": "b", "masks": "a"}, how="1", codes=[0, 1]
    ),
    "suffix beside": Case(
        lambda i: f"{i}.png", lambda i: f"{i}_mask.png", {"images": "{id}.png", "masks": "{id}_mask.png"}
    ),
    "suffix beside, two extensions": Case(
        lambda i: f"ISIC_{i:04d}.jpg",
        lambda i: f"ISIC_{i:04d}_segmentation.png",
        {"images": "{id}.jpg", "masks": "{id}_segmentation.png"},
    ),
    "suffix in another folder": Case(
        lambda i: f"imgs/{i}.bmp", lambda i: f"masks/{i}_mask.gif", {"images": "imgs", "masks": "masks/{id}_mask.gif"}
    ),
    "prefixes": Case(
        lambda i: f"image/img_{i}.png",
        lambda i: f"label/mask_{i}.png",
        {"images": "image/img_{id}.png", "masks": "label/mask_{id}.png"},
    ),
    "extensions in one folder": Case(
        lambda i: f"{i:03d}.bmp",
        lambda i: f"{i:03d}.png",
        {"images": "{id}.bmp", "masks": "{id}.png"},
        codes=[0, 128, 255],
    ),
    "masks below the images": Case(
        lambda i: f"{i}.png", lambda i: f"masks/{i}.png", {"images": "{id}.png", "masks": "masks"}
    ),
    "a folder a sample": Case(
        lambda i: f"case_{i}/image.png",
        lambda i: f"case_{i}/label.png",
        {"images": "{id}/image.png", "masks": "{id}/label.png"},
    ),
    "a folder a patient": Case(
        lambda i: f"p{i // 3}/images/p{i // 3}_{i}.png",
        lambda i: f"p{i // 3}/masks/p{i // 3}_{i}.png",
        {"images": "*/images/{id}.png", "masks": "*/masks/{id}.png", "split.group": True},
    ),
    "nested": Case(
        lambda i: f"images/site{i % 3}/{i}.png",
        lambda i: f"labels/site{i % 3}/{i}.png",
        {"images": "images", "masks": "labels", "split.group": r"^([^/]+)/"},
    ),
    "splits below": Case(
        lambda i: f"images/{third(i)}/{i}.png",
        lambda i: f"masks/{third(i)}/{i}.png",
        {"images": "images/{split}/{id}.png"},
        splits=of_split,
    ),
    "splits above, other spellings": Case(
        lambda i: f"{third(i, ('Training', 'validation', 'testing'))}/images/{i}.png",
        lambda i: f"{third(i, ('Training', 'validation', 'testing'))}/masks/{i}.png",
        {"images": "{split}/images/{id}.png", "masks": "{split}/masks/{id}.png"},
        splits=of_split,
    ),
    "CamVid": Case(
        lambda i: f"{third(i)}/0001TP_{i:06d}.png",
        lambda i: f"{third(i)}annot/0001TP_{i:06d}.png",
        {"images": "{split}/{id}.png", "masks": "{split}annot/{id}.png"},
        codes=[0, 1, 2, 3],
        splits=of_split,
    ),
    "Cityscapes": Case(
        lambda i: f"leftImg8bit/{'train' if i < 6 else 'val'}/city{i % 2}/a_{i}_leftImg8bit.png",
        lambda i: f"gtFine/{'train' if i < 6 else 'val'}/city{i % 2}/a_{i}_gtFine_labelIds.png",
        {
            "images": "leftImg8bit/{split}/{id}_leftImg8bit.png",
            "masks": "gtFine/{split}/{id}_gtFine_labelIds.png",
        },
        codes=[7, 8, 11],
        splits=lambda i: "train" if i < 6 else "val",
    ),
    "palette": Case(
        lambda i: f"JPEGImages/{i}.jpg",
        lambda i: f"SegmentationClass/{i}.png",
        {"masks": "SegmentationClass"},
        codes=[0, 1, 2, 5],
        how="P",
    ),
    "colours": Case(
        lambda i: f"images/{i}.png",
        lambda i: f"masks/{i}.png",
        {"classes": {"background": "#000000", "class_40e0d0": "#40e0d0", "class_ff0000": "#ff0000"}},
        codes=["#000000", "#40e0d0", "#ff0000"],
        how="RGB",
    ),
    "16 bits": Case(
        lambda i: f"images/{i}.png",
        lambda i: f"masks/{i}.png",
        {"classes": {"background": 0, "class_300": 300, "class_1000": 1000}},
        codes=[0, 300, 1000],
        how="I;16",
    ),
    "patients in names": Case(
        lambda i: f"images/patient{i // 4:03d}_slice{i % 4}.png",
        lambda i: f"masks/patient{i // 4:03d}_slice{i % 4}.png",
        {"split.group": r"^(?:.*/)?([A-Za-z]*[_-]?\d[^_\-/]*)[_-]"},
        count=16,
    ),
    "scans of people": Case(
        lambda i: f"TCGA_CS_{i // 3}_{i % 3}.tif",
        lambda i: f"TCGA_CS_{i // 3}_{i % 3}_mask.tif",
        {"images": "{id}.tif", "masks": "{id}_mask.tif", "split.group": r"^(?:.*/)?(.+)[_-][A-Za-z]*\d+$"},
        count=12,
    ),
}


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that `new` would have run."""
    ran: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(page.subprocess, "run", run)
    return ran


def opened(segtrain: CommandLine) -> Any:
    """What the written file composes to, as `--config-dir my_conf dataset=mine` has it."""
    search = f"hydra.searchpath=[file://{segtrain.folder / 'my_conf'}]"
    return composed("train", [search, "dataset=mine"])
