"""Decides by an image's size, before anything is decoded, whether its prediction takes too much at once."""

from pathlib import Path

from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.padding import NO_SIZE, STRIDE, Size, grown_size

GIGA = 1e9  # bytes
NUMBER = 4  # bytes of a float32
BANDS = 3  # of logits that are held at once: of a row of windows, of the one above, and their blend
WHOLES = 3  # likewise of an image that is answered in one piece: bands, their joined logits, probabilities


def goes_at_once(size: Size, whole: int, least: Size = NO_SIZE) -> bool:
    """Returns whether an image goes through the network in one piece: up to `whole` pixels, and not much more grown.

    An image of a million pixels in one row is 32 million once it is grown.
    """
    height, width = grown_size(size, least)
    return size[0] * size[1] <= whole and height * width <= max(2 * whole, least[0] * least[1])


class Computable:
    """Tells which images a network may be asked about."""

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        windows: Windows | None,
        whole: int,
        least: Size,
        most_pixels: int,
        most_gigabytes: float,
        is_in_one: bool,
    ) -> None:
        """Keeps the figures.

        Args:
            channels, classes: of the network.
            windows, whole, least: see `segtrain.parts.predictor.Predictor`.
            most_pixels: of an image, once it is grown for the network.
            most_gigabytes: of 1e9 bytes: what pixels and probabilities may take at once; what the network's layers
                take beside them, its windows bound.
            is_in_one: whether the answer is one piece; else it is written band by band.
        """
        self._channels, self._classes = channels, classes
        self._windows, self._whole, self._least = windows, whole, least
        self._most_pixels, self._most_bytes, self._is_in_one = most_pixels, int(most_gigabytes * GIGA), is_in_one

    def grown(self, size: Size) -> int:
        """Returns the pixels of an image (H, W) once it is grown for the network."""
        height, width = grown_size(size, self._least)
        return height * width

    def held(self, size: Size, is_by_rows: bool) -> int:
        """Returns bytes of float32 that an image (H, W) takes at once, read whole or `is_by_rows`."""
        height, width = grown_size(size, self._least)
        at_once = self._windows is None or goes_at_once(size, self._whole, self._least)
        rows = height if at_once or self._windows is None else min(height, self._windows.sides[0])
        numbers = rows * width * (self._channels + BANDS * self._classes)
        numbers += 0 if is_by_rows else size[0] * size[1] * self._channels
        numbers += size[0] * size[1] * WHOLES * self._classes if self._is_in_one else 0
        return NUMBER * numbers

    def require(self, path: Path, size: Size, is_by_rows: bool = False) -> None:
        """Raises UserError unless an image (H, W) of a file may be computed.

        Args:
            path: of the file, for the message.
            size: by its header.
            is_by_rows: whether only some rows are read at a time.
        """
        pixels, held = self.grown(size), self.held(size, is_by_rows)
        shown = f"'{path}' is {size[1]} x {size[0]} pixels"
        if pixels > self._most_pixels:
            raise UserError(
                f"{shown}, {pixels:,} once they are grown to multiples of {STRIDE} for the network; expected up to "
                f"{self._most_pixels:,}; cut it into tiles, or give max_pixels=…"
            )
        if held > self._most_bytes:
            raise UserError(
                f"{shown}, which take {held / GIGA:,.1f} GB at once with {counted(self._classes, 'class', 'classes')}; "
                f"expected up to {self._most_bytes / GIGA:g} GB; cut it into tiles, or give max_gb=…"
            )
