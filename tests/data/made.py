"""Data for the tests of what looks at data: drawn images, a dataset in memory, a folder with every fault."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segtrain.data.datasets import Sample

CLASSES = {"background": 0, "cytoplasm": 128, "nucleus": 255}


def picture(seed: int, side: int = 48) -> np.ndarray[Any, Any]:
    """Clouds of a few pixels' size, RGB uint8: as unlike from seed to seed as photographs are."""
    noise = np.random.default_rng(seed).random((side, side, 3), np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), side / 12)
    low, high = clouds.min(), clouds.max()
    return ((clouds - low) / (high - low) * 200 + 20).astype(np.uint8)


def codes(side: int = 48, top: int = 10) -> np.ndarray[Any, Any]:
    """A mask of the values of CLASSES: a nucleus of a quarter of the side in a cytoplasm of half of it."""
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + side // 2, 10 : 10 + side // 2] = 128
    mask[top + 4 : top + 4 + side // 4, 14 : 14 + side // 4] = 255
    return mask


class InMemory:
    """A dataset of given samples; an exception in place of one is raised when it is read."""

    classes = ("background", "cell")
    palette = ((0, 0, 0), (230, 159, 0))
    ignore_index = 255

    def __init__(self, samples: Sequence[tuple[Any, Any] | Exception]) -> None:
        self.samples = samples
        self.ids = tuple(f"s{i}" for i in range(len(samples)))
        self.splits = (None,) * len(samples)
        self.channels = 3

    def read(self, index: int) -> Sample:
        found = self.samples[index]
        if isinstance(found, Exception):
            raise found
        return Sample(*found)

    def fingerprint(self) -> str:
        return "0"


def pair(root: Path, name: str, image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> None:
    """images/NAME.png and masks/NAME.png below root."""
    for folder, pixels in (("images", image), ("masks", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{name}.png")


def faulty(root: Path) -> None:
    """Twenty pairs of images and masks, some of them with the faults that their names say."""
    for number in range(12):
        pair(root, f"good_{number}", picture(number), codes(top=4 + number))
    strange = codes()
    strange[:4], strange[4:6] = 7, 9
    pair(root, "values", picture(20), strange)
    pair(root, "other_size", picture(21), codes()[:40])
    pair(root, "empty", picture(22), codes() * 0)
    pair(root, "copy", picture(0), codes(top=20))
    pair(root, "constant", picture(23) * 0 + 77, codes())
    pair(root, "large", picture(24, 300), codes(300))
    for name in ("truncated", "no_image"):
        pair(root, name, picture(25 + len(name)), codes())
    whole = (root / "images/truncated.png").read_bytes()
    (root / "images/truncated.png").write_bytes(whole[: len(whole) // 2])
    (root / "images/no_image.png").write_text("not an image")
    Image.fromarray(picture(40)).save(root / "images/orphan.png")
    Image.fromarray(codes()).save(root / "masks/alone.png")
