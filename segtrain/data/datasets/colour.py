"""How many channels images have: those that are asked for, or those of the first image."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from segtrain.data.datasets.pixels import Picture, Pixels, read_header, read_picture, with_channels
from segtrain.errors import UserError, is_noting


class Colour:
    """Reads images with a fixed number of channels, for formats that do not open every file at the start."""

    def __init__(self, asked: int | None, first: Path) -> None:
        """Look at the header of the first image, where nothing is asked for.

        Args:
            asked: 1 or 3, to which colour is turned grey and grey repeated; None: as the first image, and an image
                that differs is refused when it is read.
            first: file of the first image.

        Raises:
            UserError: another number is asked for.
        """
        if asked not in (None, 1, 3):
            raise UserError(f"dataset.channels is {asked!r}; expected 1 (grey), 3 (RGB) or null (as the first image)")
        self.channels = asked or read_header(first).channels
        self._convert, self._first = asked is not None, first

    def read(self, path: Path) -> Pixels:
        """The image (H, W, channels); see `picture`."""
        return self.picture(path).pixels

    def picture(self, path: Path) -> Picture:
        """The image (H, W, channels), and where it holds nothing.

        Raises:
            UserError: it is broken, or differs in channels though none are asked for.
        """
        image, missing = read_picture(path)
        if not self._convert and image.shape[2] != self.channels:
            raise UserError(
                f"image '{path}' has {image.shape[2]} channels; expected {self.channels} as '{self._first}' has; give "
                "dataset.channels=3 to repeat grey, or dataset.channels=1 to turn colour grey"
            )
        return Picture(with_channels(image, self.channels), missing)


def first_of(images: Iterable[Path]) -> Path:
    """Returns the first image; while an audit looks on the first that opens: of the others it hears by reading them."""
    images = list(images)
    for path in images if is_noting() else ():
        with suppress(UserError):
            read_header(path)
            return path
    return images[0]
