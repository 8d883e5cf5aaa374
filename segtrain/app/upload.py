"""A file that was dropped on serve's page, read as training reads its images, up to a size."""

from pathlib import Path
from typing import Any

import numpy as np

from segtrain.data.datasets.pixels import Header, read_header, read_image
from segtrain.data.datasets.tiff_pages import SUFFIXES, read_layout, read_pixels
from segtrain.errors import UserError


class Upload:
    """Reads an image file for a network of so many channels."""

    def __init__(self, channels: int, most_pixels: int) -> None:
        """Keep both."""
        self._channels, self._most = channels, most_pixels

    def read(self, path: Path) -> np.ndarray[Any, Any]:
        """The image (H, W, C) as stored; of a TIFF, pages are channels.

        Raises:
            UserError: a broken file, too many pixels, or another number of channels than the network's.
        """
        is_tiff = path.suffix.lower() in SUFFIXES
        header = Header(*read_layout(path, "channels")[1:]) if is_tiff else read_header(path)
        if header.height * header.width > self._most:
            raise UserError(
                f"'{path}' is {header.width} x {header.height} pixels; expected up to {self._most:,}; cut it into "
                "tiles, or start with max_pixels=…; `python -m segtrain predict` takes images of any size"
            )
        if header.channels != self._channels:
            raise UserError(
                f"'{path}' has {header.channels} channels; expected {self._channels}, as the network was trained on"
            )
        return read_pixels(path, "channels", 0) if is_tiff else read_image(path)
