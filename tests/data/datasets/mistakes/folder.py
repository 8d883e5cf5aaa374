"""Mistakes in a folder of images and a folder of masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from segtrain.data.datasets import Folder


def pair(name: str = "a", mask: int = 0, size: tuple[int, int] = (8, 8)) -> None:
    """images/NAME.png and masks/NAME.png."""
    for folder, value, shape in (("images", 7, (8, 8)), ("masks", mask, size)):
        Path(folder).mkdir(exist_ok=True)
        Image.fromarray(np.full(shape, value, np.uint8)).save(Path(folder, f"{name}.png"))


def opened(**options: object) -> Folder:
    return Folder(root=".", **({"classes": {"background": 0, "cell": 255}} | options))  # type: ignore[arg-type]


def unknown_value() -> None:
    pair(mask=7)
    opened().read(0)


def other_size() -> None:
    pair(size=(8, 9))
    opened()


MISTAKES = {
    "no such folder": lambda: opened(images="pictures"),
    "a mask has a value that is no class": unknown_value,
    "a mask of another size": other_size,
}
