"""Size and channels of the images, from their headers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from segtrain.app.new.readers import Reader
from segtrain.data.files.pixels import Header
from segtrain.errors import UserError
from segtrain.padding import STRIDE
from segtrain.spread import spread

HEADERS = 2000  # read at most
CROP = 96  # pixels a side: what train.yaml crops without being asked


class Sizes(NamedTuple):
    """Of images, and pairs whose sizes differ; sizes are height and width, `channels` counts images by them."""

    smallest: tuple[int, int]
    usual: int  # median of the shorter sides
    largest: tuple[int, int]
    channels: dict[int, int]
    unequal: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def words(self) -> str:
        """Such as `RGB, 120 x 120 pixels`."""
        kinds = {1: "grey", 3: "RGB"}
        (height, width), (high, wide) = self.smallest, self.largest
        size = f"{width} x {height}" + (f" to {wide} x {high}" if self.smallest != self.largest else "")
        return f"{' and '.join(kinds.get(n, f'{n} channels') for n in sorted(self.channels))}, {size} pixels"

    @property
    def fitting(self) -> tuple[str, ...]:
        """The overrides of crop and batch that small images call for; none for others."""
        if self.usual >= CROP:
            return ()
        crop = max(STRIDE, self.usual // STRIDE * STRIDE)
        return f"data.crop={crop}", f"data.batch_size={4 * min(4, (CROP // crop) ** 2)}"

    @property
    def advice(self) -> str:
        """What is said of crop and batch for small images; empty for others."""
        if not self.fitting:
            return ""
        return (
            f"most images are {self.usual} pixels high or wide, below the training crop of {CROP} to which they "
            f"are grown; {' '.join(self.fitting)} fits them better"
        )


def find_sizes(root: Path, pairs: Sequence[tuple[str, str]], reader: Reader) -> Sizes:
    """Of pairs of an image and a mask; evenly spread ones where there are many.

    Raises:
        UserError: no image can be read.
    """
    chosen = {image: mask for image, mask in pairs}
    read: dict[str, Header] = {}
    unequal, unreadable = [], []
    for image in spread(list(chosen), HEADERS):
        try:
            read[image], mask = reader.header(root / image), reader.header(root / chosen[image])
        except UserError as error:
            unreadable.append(str(error))
            continue
        if read[image][:2] != mask[:2]:
            unequal.append(image)
    if not read:
        raise UserError(unreadable[0])
    heights, widths = [h.height for h in read.values()], [h.width for h in read.values()]
    channels = Counter(header.channels for header in read.values())
    lowest, highest = (min(heights), min(widths)), (max(heights), max(widths))
    usual = int(median(min(header[:2]) for header in read.values()))
    return Sizes(lowest, usual, highest, dict(channels), tuple(unequal), tuple(unreadable))
