"""Mistakes in a folder of images and a folder of masks."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from segtrain.data.datasets import Folder

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def save(name: str, pixels: object = 7, **options: object) -> Path:
    """An image file: an array, or 8 x 8 pixels of one value."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((8, 8), pixels, np.uint8) if isinstance(pixels, int) else np.asarray(pixels)
    Image.fromarray(array).save(path, **options)  # type: ignore[arg-type]
    return path


def pair(name: str = "a", image: object = 7, mask: object = 0, suffix: str = ".png") -> Path:
    """images/NAME and masks/NAME.png; the image's path."""
    save(f"masks/{name}.png", mask)
    return save(f"images/{name}{suffix}", image)


def opened(**options: object) -> Folder:
    return Folder(root=".", **({"classes": {"background": 0, "cell": 255}} | options))  # type: ignore[arg-type]


def with_pair(**options: object) -> Callable[[], object]:
    """What is wrong lies in the options."""

    def make() -> object:
        pair()
        return opened(**options)

    return make


def with_mask(mask: object, **options: object) -> Callable[[], object]:
    """What is wrong lies in the mask's pixels."""

    def make() -> object:
        pair(image=np.zeros(np.shape(mask)[:2] or (8, 8), np.uint8), mask=mask)
        return opened(**options).read(0)

    return make


def with_files(*names: str, **options: object) -> Callable[[], object]:
    """What is wrong lies in which files there are."""

    def make() -> object:
        for name in names:
            save(name)
        return opened(**options)

    return make


def with_list(text: str, **options: object) -> Callable[[], object]:
    """What is wrong lies in the list train.txt."""

    def make() -> object:
        pair()
        Path("train.txt").write_text(text)
        return opened(**({"lists": {"train": "train.txt"}} | options))

    return make


def with_bytes(change: Callable[[bytes], bytes], suffix: str = ".png", rows: int = 64) -> Callable[[], object]:
    """What is wrong lies in the image's bytes, and its header says so many rows."""

    def make() -> object:
        path = pair(image=NOISE, mask=np.zeros((rows, 64), np.uint8), suffix=suffix)
        path.write_bytes(change(path.read_bytes()))
        return opened().read(0)

    return make


def taller(content: bytes, rows: int) -> bytes:
    """A PNG whose header, with its checksum mended, asks for another number of rows."""
    header = content[12:20] + rows.to_bytes(4) + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4) + content[33:]


def flipped(content: bytes) -> bytes:
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


def other_size(kind: str) -> Callable[[], object]:
    def make() -> object:
        pair()
        save(f"{kind}/a.png", np.zeros((8, 9), np.uint8))
        return opened(**({"regions": "fov"} if kind == "fov" else {}))

    return make


def changed_later() -> object:
    pair()
    dataset = opened()
    save("masks/a.png", np.zeros((8, 9), np.uint8))
    return dataset.read(0)


def loop() -> object:
    pair()
    Path("images/again").symlink_to("../images")
    return opened()


def pages() -> object:
    page = Image.fromarray(NOISE)
    pair(suffix=".tif")
    page.save("images/a.tif", save_all=True, append_images=[page])
    return opened()


def tiff(kind: str, pixels: object, **options: object) -> Callable[[], object]:
    """Reads a pair whose image or mask is a TIFF that is written so."""

    def make() -> object:
        pair()
        Path(f"{kind}/a.png").unlink()
        tifffile.imwrite(f"{kind}/a.tif", np.asarray(pixels), **options)  # type: ignore[arg-type]
        return opened().read(0)

    return make


PATTERN = {"images": "{id}.png", "masks": "{id}_mask.png"}
MISTAKES = {
    "no such folder": lambda: opened(images="pictures"),
    "a folder without images": lambda: (Path("images").mkdir(), Path("masks").mkdir(), opened()),
    "images without masks": with_files("images/a.png", "images/b.png", "masks/a.png"),
    "masks without images": with_files("images/a.png", "masks/a.png", "masks/b.png"),
    "two images of one name": with_files("images/a.png", "images/a.jpg", "masks/a.png"),
    "a folder that looks like a split": with_files("images/validation/a.png", "masks/validation/a.png"),
    "splits below and above": with_files("images/a.png", "masks/a.png", "train/images/a.png", "train/masks/a.png"),
    "a link that leads back": loop,
    "a pattern with an unknown field": with_pair(images="{stem}.png", masks="{stem}_mask.png"),
    "a pattern that leaves root": with_pair(images="../{id}.png"),
    "a pattern without a kind of image": with_pair(images="images/{id}"),
    "a pattern that nothing fits": with_pair(images="images/{id}.bmp"),
    "a pattern below no folder": with_pair(images="pictures/{id}.bmp"),
    "patterns that cannot be told apart": with_files("a.png", images="{id}.png", masks="{id}.png"),
    "a pattern's image without mask": with_files("a.png", "b.png", "b_mask.png", **PATTERN),
    "a pattern's mask without image": with_files("b.png", "a_mask.png", "b_mask.png", **PATTERN),
    "two files for one id": with_files("1/a.png", "2/a.png", "a_mask.png", images="*/{id}.png", masks="{id}_mask.png"),
    "image and mask in two splits": with_files(
        "train/i/a.png", "val/m/a.png", "r/a.png", images="{split}/i/{id}.png", masks="{split}/m/{id}.png", regions="r"
    ),
    "an image without region": with_files(
        "images/a.png", "masks/a.png", "images/b.png", "masks/b.png", "fov/a.png", regions="fov"
    ),
    "a list that is missing": with_pair(lists={"train": "train.txt"}),
    "a list of no known split": with_list("a", lists={"dev": "train.txt"}),
    "an empty list": with_list("\n"),
    "a listed sample that is not there": with_list("a\nb\n"),
    "a sample listed twice": with_list("a\na\n"),
    "a listed sample without mask": lambda: (save("images/b.png"), with_list("a\nb\n")()),
    "a prefix without lists": with_pair(prefix="/data/"),
    "no classes": with_pair(classes={}),
    "a class name that YAML takes for no text": with_pair(classes={False: 0}),
    "a class that is no value and no colour": with_pair(classes={"cell": "red"}),
    "one value for two classes": with_pair(classes={"a": 1, "b": [0, 1]}),
    "values and colours mixed": with_pair(classes={"a": 1, "b": "#000000"}),
    "a palette that does not fit": with_pair(palette=[[0, 0, 0]]),
    "a number of channels that is none": with_pair(channels=4),
    "a mask has a value that is no class": with_mask(7),
    "a mask has a colour that is no class": with_mask(7, classes={"a": "#000000"}),
    "a mask in colour where values are asked": with_mask(NOISE),
    "a mask of 16 bits where colours are asked": with_mask(np.zeros((8, 8), np.uint16), classes={"a": "#000000"}),
    "a tolerance that is no number of levels": with_pair(tolerance=-1),
    "a mask saved as JPEG": lambda: (
        save("images/a.png", NOISE),
        save("masks/a.jpg", (NOISE[..., 0] > 127) * np.uint8(255)),
        opened().read(0),
    ),
    "a mask of fractions": lambda: (
        pair(),
        Path("masks/a.png").unlink(),
        save("masks/a.tif", np.full((8, 8), 1.0118, np.float32)),
        opened().read(0),
    ),
    "a mask whose labels are in its alpha": with_mask(np.dstack([NOISE[:8, :8] * 0, NOISE[:8, :8, 0]])),
    "a mask whose 0 is white": tiff("masks", np.zeros((8, 8), np.uint8), photometric="miniswhite"),
    "a nodata tag that is no number": tiff("images", NOISE[:8, :8], extratags=[(42113, 2, 0, "none", False)]),
    "scans in NRRD": lambda: (pair(), Path("images/a.png").rename("images/a.nrrd"), opened()),
    "a mask of another size": other_size("masks"),
    "a region of another size": lambda: (pair(), other_size("fov")()),
    "a mask that changed its size since the start": changed_later,
    "images with other channels": lambda: (pair(), pair("b", image=NOISE[:8, :8]), opened()),
    "images of several depths": lambda: (
        pair(),
        pair("b", image=np.full((8, 8), 999, np.uint16)),
        pair("c"),
        opened(),
    ),
    "an image of 32-bit integers": lambda: (pair(image=np.zeros((8, 8), np.int32), suffix=".tif"), opened().read(0)),
    "an empty file": with_bytes(lambda content: b""),
    "a file of another kind": with_bytes(lambda content: b"not pixels"),
    "a truncated PNG": with_bytes(lambda content: content[:6000]),
    "a PNG with one bit changed": with_bytes(flipped),
    "a PNG with fewer rows than its header says": with_bytes(lambda content: taller(content, 65), rows=65),
    "a PNG with more rows than its header says": with_bytes(lambda content: taller(content, 63), rows=63),
    "a header that asks for too much": with_bytes(lambda content: taller(content, 2**31 - 1)),
    "a truncated JPEG": with_bytes(lambda content: content[:2000], ".jpg"),
    "a JPEG that was cut and closed": with_bytes(lambda content: content[:2000] + b"\xff\xd9", ".jpg"),
    "a truncated TIFF": with_bytes(lambda content: content[:2000], ".tif"),
    "a truncated BMP": with_bytes(lambda content: content[:2000], ".bmp"),
    "a BMP with more rows than its header says": with_bytes(
        lambda content: content[:22] + (63).to_bytes(4, "little") + content[26:], ".bmp", 63
    ),
    "a truncated GIF": with_bytes(lambda content: content[:2000], ".gif"),
    "a TIFF of several pages": pages,
    "a TIFF of floating numbers with white as 0": tiff(
        "images", np.zeros((8, 8), np.float32), photometric="miniswhite"
    ),
}
