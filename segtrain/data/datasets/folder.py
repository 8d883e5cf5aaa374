"""A folder of images and a folder of masks."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from segtrain.data.datasets.coding import Code, Coding
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.datasets.pairs import Pair, find_pairs, some
from segtrain.data.datasets.pixels import Header, read_header, read_image, read_mask, with_channels
from segtrain.errors import UserError


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
        classes: Mapping[str, Code | Sequence[Code]],
        images: str = "images",
        masks: str = "masks",
        channels: int | None = None,
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Find and pair the files; their headers are read, their pixels are not.

        Args:
            root: folder of the data, from the current directory when relative.
            classes: name -> value in the mask, 0..65535, or colour "#rrggbb", or a list of either, in label order.
            images: folder of images below root.
            masks: folder of masks below root.
            channels: 1 or 3, to which grey is repeated and colour turned grey; None takes those of the first
                image and refuses others.
            ignore_value: value, colour or list of them in the mask that becomes `ignore_index`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the masks' own colours, or chooses some.
        """
        self._root = Path(root).expanduser()
        self._coding = Coding(classes, ignore_value, palette)
        self.classes, self.palette = self._coding.names, self._coding.palette
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
        labels = self._coding.labels(read_mask(pair.mask, self._coding.in_colour), pair.mask)
        return Sample(with_channels(read_image(pair.image), self.channels), labels)

    def fingerprint(self) -> str:
        """BLAKE2b over the names below root and the contents of all files."""
        digest = hashlib.blake2b(digest_size=16)
        for path in (path for pair in self._pairs for path in (pair.image, pair.mask)):
            name = path.relative_to(self._root).as_posix()
            with path.open("rb") as file:
                content = hashlib.file_digest(file, hashlib.blake2b).hexdigest()
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()


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
