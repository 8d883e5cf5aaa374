"""A folder of images and a folder of masks."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segtrain.data.datasets.contract import IGNORE_INDEX, RGB, Sample, colours
from segtrain.data.datasets.pairs import Pair, find_pairs, some
from segtrain.data.datasets.pixels import Header, Pixels, read_header, read_image, read_mask
from segtrain.errors import UserError

Labels = np.ndarray[Any, np.dtype[np.uint8]]

UNKNOWN = 254  # marks, in the look-up table, a mask value that is no class; so labels end at 253
VALUES = 65536  # mask values that the look-up table covers: all of 16 bits


class Folder:
    """Images and masks paired by name, PNG, JPEG, TIFF or BMP in any mix.

    `ids` are paths without extension from the images folder; `splits` follow folders named train, val and
    test.

    Raises:
        UserError: the pairing of `find_pairs` fails, image and mask differ in size, channels differ between
            images, or an argument contradicts itself.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Mapping[str, int],
        images: str = "images",
        masks: str = "masks",
        channels: int | None = None,
        ignore_value: int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Find and pair the files; their headers are read, their pixels are not.

        Args:
            root: folder of the data, from the current directory when relative.
            classes: name -> value in the mask, 0..65535, in label order.
            images: folder of images below root.
            masks: folder of masks below root.
            channels: 1 or 3, to which grey is repeated and colour turned grey; None takes those of the first
                image and refuses others.
            ignore_value: value in the mask that becomes `ignore_index`; None has no such value.
            palette: RGB 0..255 for each class; None chooses colours.
        """
        self._root = Path(root).expanduser()
        self._values = _checked_classes(classes, ignore_value)
        self._table = _table(self._values, ignore_value)
        self._ignore_value = ignore_value
        self.classes = tuple(classes)
        self.palette = colours(self.classes) if palette is None else _checked_palette(palette, self.classes)
        self._pairs = find_pairs(self._root, images, masks)
        headers = _checked_sizes(self._pairs)
        self.channels = _checked_channels(channels, self._pairs, headers)
        self.ids: tuple[str, ...] = tuple(pair.id for pair in self._pairs)
        self.splits: tuple[str | None, ...] = tuple(pair.split for pair in self._pairs)

    def read(self, index: int) -> Sample:
        """Image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, or the mask holds a value outside `classes`, or colours.
        """
        pair = self._pairs[index]
        return Sample(_with_channels(read_image(pair.image), self.channels), self._labels(pair.mask))

    def fingerprint(self) -> str:
        """BLAKE2b over the names below root and the contents of all files."""
        digest = hashlib.blake2b(digest_size=16)
        for path in (path for pair in self._pairs for path in (pair.image, pair.mask)):
            name = path.relative_to(self._root).as_posix()
            with path.open("rb") as file:
                content = hashlib.file_digest(file, hashlib.blake2b).hexdigest()
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    def _labels(self, path: Path) -> Labels:
        values = _grey(read_mask(path), path)
        if values.dtype == np.uint8:
            labels: Labels = np.asarray(cv2.LUT(values, self._table[:256]), np.uint8)
        elif values.min() < 0 or values.max() >= VALUES:
            raise self._unknown(values, path)
        else:
            labels = self._table.take(values)
        if (labels == UNKNOWN).any():
            raise self._unknown(values, path)
        return labels

    def _unknown(self, values: Pixels, path: Path) -> UserError:
        known = [*self._values.values(), *([] if self._ignore_value is None else [self._ignore_value])]
        found, counts = np.unique(values[~np.isin(values, known)], return_counts=True)
        got = some([f"{value} ({count} pixels)" for value, count in zip(found, counts, strict=True)])
        ignored = "" if self._ignore_value is None else f" and ignore_value={self._ignore_value}"
        jpeg = "; JPEG changes values, save masks as PNG" if path.suffix.lower() in (".jpg", ".jpeg") else ""
        return UserError(
            f"mask '{path}' has the value {got}; dataset classes are "
            f"{', '.join(f'{name}={value}' for name, value in self._values.items())}{ignored}; fix the mask, "
            "or add the "
            f"class in dataset.classes, or name the value in dataset.ignore_value{jpeg}"
        )


def _checked_classes(classes: Mapping[str, int], ignore_value: int | None) -> dict[str, int]:
    if not 1 <= len(classes) <= UNKNOWN:
        raise UserError(
            f"dataset.classes has {len(classes)} entries; expected 1 to {UNKNOWN}, "
            "such as {background: 0, cell: 255}, name: value in the mask"
        )
    for name, value in [
        *classes.items(),
        *([] if ignore_value is None else [("ignore_value", ignore_value)]),
    ]:
        if not isinstance(name, str):
            raise UserError(f"dataset.classes has the name {name!r}, which YAML takes for no text; put it in quotes")
        if type(value) is not int or not 0 <= value < VALUES:
            raise UserError(
                f"dataset: {name} is {value!r}; expected a value in the mask, a whole number 0..{VALUES - 1}"
            )
    values = list(classes.values())
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise UserError(f"dataset.classes gives the value {twice[0]} to two names; expected one a value; drop one")
    if ignore_value in values:
        raise UserError(f"dataset.ignore_value {ignore_value} is also a class in dataset.classes; drop one of the two")
    return dict(classes)


def _table(values: Mapping[str, int], ignore_value: int | None) -> Labels:
    table = np.full(VALUES, UNKNOWN, np.uint8)
    table[list(values.values())] = np.arange(len(values), dtype=np.uint8)
    if ignore_value is not None:
        table[ignore_value] = IGNORE_INDEX
    return table


def _checked_palette(palette: Sequence[Sequence[int]], classes: tuple[str, ...]) -> tuple[RGB, ...]:
    fits = len(palette) == len(classes) and all(len(c) == 3 and all(0 <= v <= 255 for v in c) for c in palette)
    if not fits:
        raise UserError(
            f"dataset.palette does not fit the {len(classes)} classes {', '.join(classes)}; "
            f"expected [red, green, blue] in 0..255 for each; got {list(palette)}"
        )
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette)


def _checked_sizes(pairs: Sequence[Pair]) -> list[Header]:
    headers = [(read_header(pair.image), read_header(pair.mask)) for pair in pairs]
    unequal = [
        f"'{pair.id}' (image {image.width} x {image.height}, mask {mask.width} x {mask.height})"
        for pair, (image, mask) in zip(pairs, headers, strict=True)
        if image[:2] != mask[:2]
    ]
    if unequal:
        raise UserError(
            f"{len(unequal)} of {len(pairs)} masks differ in size from their image; expected the same width "
            "x height, "
            f"after the EXIF orientation of each; got {some(unequal)}; resize the masks by nearest "
            "neighbour, or "
            "save the images with their orientation applied"
        )
    return [image for image, _ in headers]


def _checked_channels(channels: int | None, pairs: Sequence[Pair], headers: Sequence[Header]) -> int:
    if channels not in (None, 1, 3):
        raise UserError(f"dataset.channels is {channels!r}; expected 1 (grey), 3 (RGB) or null (as the first image)")
    if channels is not None:
        return channels
    first = headers[0].channels
    others = [f"{p.image} ({h.channels})" for p, h in zip(pairs, headers, strict=True) if h.channels != first]
    if others:
        raise UserError(
            f"{len(others)} of {len(pairs)} images differ in channels; expected {first} as {pairs[0].image} "
            "has; got "
            f"{some(others)}; give dataset.channels=3 to repeat grey, or dataset.channels=1 to turn colour "
            "grey"
        )
    return first


def _with_channels(image: Pixels, channels: int) -> Pixels:
    """The image with 1 or 3 channels; grey is ITU-R BT.601 luma, as of cv2 and PIL."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None]


def _grey(values: Pixels, path: Path) -> Pixels:
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise UserError(
                f"mask '{path}' is a colour picture; expected one value a pixel: grey, palette or 1-bit; "
                "save it as a grey or palette PNG whose values are those of dataset.classes"
            )
        values = np.ascontiguousarray(values[..., 0])
    if values.dtype.kind == "f":
        raise UserError(
            f"mask '{path}' has {values.dtype.name} pixels; expected whole numbers; save it as 8- or 16-bit"
        )
    return values
