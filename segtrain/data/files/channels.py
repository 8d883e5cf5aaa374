"""Reads images with as many channels as asked for, or as the first has, and of one depth."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from segtrain.data.files.pixels import Picture, read_header, read_picture, with_channels
from segtrain.data.files.samples import Pixels
from segtrain.errors import UserError, is_noting, refuse

DEPTHS = (
    "the same picture has other values in another depth, and a network sees values; save all images in one depth, by "
    "one rule (values that fill 16 bits become 8 by dividing by 257)"
)
MOST_LOOKED_AT = 20_000  # images whose headers are read when a set is opened: about .1 ms each, so some 2 s at most


class Colour:
    """Reads images with a fixed number of channels, for formats that do not open every file at the start."""

    def __init__(self, asked: int | None, first: Path) -> None:
        """Looks at the header of the first image, where nothing is asked for.

        Args:
            asked: 1 or 3, to which colour is turned grey and grey repeated; None: as the first image, and an image
                that differs is refused when it is read.
            first: file of the first image.

        Raises:
            UserError: another number is asked for.
        """
        if asked not in (None, 1, 3):
            raise UserError(f"dataset.channels is {asked!r}; expected 1 (grey), 3 (RGB) or null (as the first image)")
        self._convert, self._first = asked is not None, first
        try:
            header = read_header(first)
        except UserError:  # said when it is read
            if asked is None:
                raise
            self.channels, self._dtype = asked, ""
        else:
            self.channels, self._dtype = asked or header.channels, header.dtype

    def look_over(self, dtypes: Iterable[tuple[str, str]]) -> None:
        """Raises UserError when images, given by name and dtype, have several depths.

        An audit notes it, and then reads them all: not most of them would be the wrong ones, if the first is.
        """
        refuse_depths(list(dtypes))
        if is_noting():
            self._dtype = ""

    def read(self, path: Path) -> Pixels:
        """Returns the image (H, W, channels); see `picture`."""
        return self.picture(path).pixels

    def picture(self, path: Path) -> Picture:
        """Returns the image (H, W, channels), and where it holds nothing.

        Raises:
            UserError: it is broken, or differs from the first in depth, or in channels though none are asked for.
        """
        image, missing = read_picture(path)
        if image.dtype.name != (self._dtype or image.dtype.name):
            raise UserError(
                f"image '{path}' has {image.dtype.name} pixels; expected {self._dtype} as '{self._first}' has: {DEPTHS}"
            )
        if not self._convert and image.shape[2] != self.channels:
            raise UserError(
                f"image '{path}' has {image.shape[2]} channels; expected {self.channels} as '{self._first}' has; give "
                "dataset.channels=3 to repeat grey, or dataset.channels=1 to turn colour grey"
            )
        return Picture(with_channels(image, self.channels), missing)


def refuse_depths(dtypes: Sequence[tuple[str, str]]) -> None:
    """Raises UserError when images, given by name and dtype, have several depths; only noted inside `noting`."""
    counts = Counter(dtype for _, dtype in dtypes)
    if len(counts) < 2:
        return
    usual, count = counts.most_common(1)[0]
    others = [f"'{name}' ({dtype})" for name, dtype in dtypes if dtype != usual]
    shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
    refuse(
        f"{len(others)} of {len(dtypes)} images have another depth than most; expected {usual} as the {count} others "
        f"have; got {shown}: {DEPTHS}",
        others,
    )


def dtypes_of(images: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yields name and dtype of each image, by its header; of one that does not open reading tells."""
    for path in images:
        with suppress(UserError):
            yield str(path), read_header(path).dtype


def first_image(images: Iterable[Path]) -> Path:
    """Returns the first image; while an audit looks on the first that opens: of the others it hears by reading them."""
    images = list(images)
    for path in images if is_noting() else ():
        with suppress(UserError):
            read_header(path)
            return path
    return images[0]
