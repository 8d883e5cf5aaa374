"""Mistakes in TIFF images of any number of channels, and their masks."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from segtrain.data.datasets import Tiff

BANDS = np.arange(5 * 6 * 8, dtype=np.uint16).reshape(5, 6, 8)  # five channels of 6 x 8 pixels, a page each
MASK = np.zeros((6, 8), np.uint8)
MASK[2:5, 3:7] = 1


def save(path: str, pixels: NDArray[Any], **options: Any) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} | options))
    return Path(path)


def pair(name: str = "a", image: NDArray[Any] = BANDS, mask: NDArray[Any] = MASK, **options: Any) -> None:
    """images/NAME.tif with masks/NAME.tif."""
    save(f"images/{name}.tif", image, **options)
    save(f"masks/{name}.tif", mask)


def opened(**options: object) -> Tiff:
    return Tiff(**({"root": ".", "classes": {"background": 0, "crop": 1}} | options))  # type: ignore[arg-type]


def good() -> dict[str, object]:
    """Right data: five channels of 16 bits, with the arguments it needs."""
    for number in range(10):
        pair(f"{number}", BANDS + np.uint16(number))
    return {"root": ".", "classes": {"background": 0, "crop": 1}}


def with_pair(options: dict[str, object] | None = None, **arrays: Any) -> Callable[[], object]:
    """Opens and reads one pair with this image or mask."""

    def make() -> None:
        pair(**arrays)
        opened(**options or {}).read(0)

    return make


def other_channels() -> None:
    pair("a")
    pair("b", BANDS[:4])
    opened()


def cut(length: int) -> Callable[[], object]:
    """Reads an image whose file lacks its last bytes."""

    def make() -> None:
        pair()
        path = Path("images/a.tif")
        path.write_bytes(path.read_bytes()[:-length])
        opened().read(0)

    return make


def lying() -> None:
    """A header that says 60000 x 60000 pixels, over a file of a few bytes."""
    pair(image=BANDS[0])
    path = Path("images/a.tif")
    content = bytearray(path.read_bytes())
    for tag in (256, 257):  # width and height
        at = content.index(struct.pack("<HHI", tag, 4, 1)) if struct.pack("<HHI", tag, 4, 1) in content else -1
        at = at if at >= 0 else content.index(struct.pack("<HHI", tag, 3, 1))
        content[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 60000)
    path.write_bytes(content)
    opened()


def several_kinds() -> None:
    pair()
    with tifffile.TiffWriter("images/a.tif") as file:
        file.write(BANDS[0], metadata=None)
        file.write(BANDS[0, :3, :3].copy(), metadata=None)
    opened()


MISTAKES = {
    "no such folder": lambda: opened(root="nowhere"),
    "an image of other channels": other_channels,
    "images of several depths": lambda: (pair("a"), pair("b"), pair("c", BANDS.astype(np.uint8)), opened()),
    "a channel that no image has": with_pair({"channels": [0, 5]}),
    "channels as a number": with_pair({"channels": 3}),
    "another word for pages": with_pair({"pages": "slices"}),
    "a mask of another size": with_pair(mask=MASK[:, :7].copy()),
    "pages are samples, and the mask has one": with_pair({"pages": "samples"}),
    "a mask of several pages": with_pair(mask=np.stack([MASK, MASK])),
    "a mask has a value that is no class": with_pair(mask=MASK * np.uint8(7)),
    "a mask of fractions": with_pair(mask=MASK.astype(np.float32) / 2),
    "not a number": with_pair(image=np.full((2, 6, 8), np.nan, np.float32)),
    "numbers beyond float32": with_pair(image=BANDS.astype(np.uint32) * np.uint32(10**6)),
    "complex numbers": with_pair(image=BANDS[0].astype(np.complex64)),
    "pages of several sizes": several_kinds,
    "floating numbers, white as 0": with_pair(image=BANDS[0].astype(np.float32), photometric="miniswhite"),
    "a mask whose 0 is white": lambda: (pair(), save("masks/a.tif", MASK, photometric="miniswhite"), opened()),
    "an image on its side": with_pair(image=BANDS[0], extratags=[(274, 3, 1, 6, True)]),
    "a header that lies": lying,
    "a truncated file": cut(20),
    "a file cut to its header": cut(400),
}
