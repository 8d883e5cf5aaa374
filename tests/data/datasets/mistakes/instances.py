"""Mistakes in folders with a mask file for each nucleus."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from segtrain.data.datasets import Instances

BOX = (1, 1, 4, 5)  # top, left, bottom, right


def box(top: int, left: int, bottom: int, right: int, value: int = 255, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    """A mask with a box of `value`."""
    mask = np.zeros(size, np.uint8)
    mask[top:bottom, left:right] = value
    return mask


def sample(name: str = "a1f", *masks: np.ndarray, image: tuple[int, ...] = (6, 8, 4)) -> Path:
    """NAME/images/NAME.png, RGBA as in the Bowl, and NAME/masks/0.png, 1.png, …; its folder."""
    for kind in ("images", "masks"):
        Path(name, kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(image, 200, np.uint8)).save(Path(name, "images", f"{Path(name).name}.png"))
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(Path(name, "masks", f"{number}.png"))
    return Path(name)


def opened(**options: object) -> Instances:
    return Instances(**({"root": "."} | options))  # type: ignore[arg-type]


def good() -> dict[str, object]:
    """Right data in the Bowl's layout, with the arguments it needs."""
    for number in range(10):
        sample(f"{number:04x}", box(*BOX), box(2, 3, 6, 8))
    return {"root": "."}


def with_mask(*masks: np.ndarray, **options: object) -> Callable[[], object]:
    """Reads a sample with these masks."""

    def make() -> None:
        sample("a1f", *masks)
        opened(**options).read(0)

    return make


def without(kind: str) -> Callable[[], object]:
    """Opens a sample that lacks one of its folders."""

    def make() -> None:
        folder = sample("a1f", box(*BOX)) / kind
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        opened()

    return make


def two_images() -> None:
    sample("a1f", box(*BOX))
    Image.fromarray(box(*BOX)).save("a1f/images/other.png")
    opened()


def other_channels() -> None:
    sample("a", box(*BOX))
    sample("b", box(*BOX), image=(6, 8))
    opened().read(1)


def broken() -> None:
    sample("a1f", box(*BOX))
    Path("a1f/masks/0.png").write_bytes(b"junk")
    opened().read(0)


def images_alone() -> None:
    Path("pictures").mkdir()
    opened()


MISTAKES = {
    "no such folder": lambda: opened(root="nowhere"),
    "no sample": images_alone,
    "a sample without an image": without("images"),
    "a sample without masks": without("masks"),
    "two images in a sample": two_images,
    "a mask of another size": with_mask(box(*BOX), box(*BOX, size=(8, 8))),
    "a mask without a pixel": with_mask(box(0, 0, 0, 0)),
    "all nuclei in one mask": with_mask(box(*BOX, value=1) + box(4, 5, 6, 8, value=2)),
    "a broken mask": broken,
    "grey among RGB": other_channels,
    "three classes": with_mask(box(*BOX), classes=["background", "nucleus", "border"]),
}
