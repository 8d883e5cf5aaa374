"""Says what is legal and most likely not meant, such as a crop larger than the images, or images of two scales.

Others are a batch larger than the data, and test images that are all of one group.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from segtrain.counted import counted
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.files.columns import Codes
from segtrain.data.pixel_meaning import NAMED, NARROW, Row, Span, is_scaled
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.spread import spread

Size = tuple[int, int]  # height and width in pixels
LOOKED_AT = 64  # training images, evenly spread, until one is as large as the crop
ABSURD = 8  # times the largest image, in both directions: an image is then a 64th of what is computed, or less
REPEATED = 8  # times that an image is in a batch, on average, from which on it cannot be meant
FOLDS, LEAST_FOLDS = 5, 3  # the default of dataset.split.k, and how few there may be
FEWEST = 2  # images on either side: one alone may be anything
LEAST_SHARE = 0.1  # of the images that must lie on either side
ADVICE = (
    "12 bits beside 16, or 0 to 1 beside 0 to 255? The same picture has other values in another scale, and a network "
    "takes values as they are: save all by one rule, unless these are of another exposure, or of nothing"
)


def crop_caution(crop: int | Sequence[int] | None, sizes: Iterable[Size], *, is_typed: bool = True) -> str:
    """Returns what is to be said of a training crop that is larger than every image; "" where one is as large.

    Args:
        crop: data.crop.
        sizes: of training images, which are looked at until one is as large.
        is_typed: whether somebody chose it; the default is told from twice the largest image on, as it fits no data.

    Raises:
        UserError: the crop is `ABSURD` times the largest image or more, in both directions.
    """
    if crop is None:
        return ""
    rows, columns = (crop, crop) if isinstance(crop, int) else (int(crop[0]), int(crop[1]))
    height, width, looked = 0, 0, 0
    for one in sizes:
        if one[0] >= rows and one[1] >= columns:
            return ""
        height, width, looked = max(height, one[0]), max(width, one[1]), looked + 1
    if not looked:
        return ""
    if not is_typed and rows <= 2 * height and columns <= 2 * width:
        return ""
    shown = str(crop) if isinstance(crop, int) else f"[{rows},{columns}]"
    of = f"of {counted(looked, 'training image')} none is as large: the largest sides are {height} × {width} pixels"
    way = f"data.crop={max(height, width)} holds them, data.crop=null takes whole images"
    if rows >= ABSURD * height and columns >= ABSURD * width:
        raise UserError(
            f"data.crop is {shown}, and {of}, so that {rows * columns / (height * width):.0f} times their area would "
            f"be computed, nearly all of it padding; expected a crop that an image fills; {way}"
        )
    return f"data.crop is {shown}, and {of}; each is padded to the crop, which costs time; {way}"


def sizes_of(dataset: SegmentationDataset, train: Sequence[int]) -> Iterator[Size]:
    """Yields height and width of training images, read one after the other."""
    for index in spread(train, LOOKED_AT):
        height, width = dataset.read(int(index)).mask.shape
        yield height, width


def batch_caution(batch_size: int, train: int) -> str:
    """Returns what is to be said of a batch with more samples than there are training images; "" of others.

    Raises:
        UserError: a batch of more than `REPEATED` times the training images.
    """
    if batch_size <= train:
        return ""
    images = f"there {'is' if train == 1 else 'are'} {counted(train, 'training image')}"
    said = f"data.batch_size is {batch_size}, and {images}: each is {batch_size / train:.3g} times in a batch"
    way = f"data.batch_size={max(1, train // 4)} makes steps of a fourth of them"
    if batch_size > REPEATED * train:
        raise UserError(
            f"{said}, which takes the memory and the time of {batch_size} images and shows the network no more than "
            f"{train}; expected at most {REPEATED * train}; {way}"
        )
    return f"{said}, and a pass over the data is less than a step; {way}"


def group_caution(groups: Codes, test: Sequence[int], way: str = "") -> str:
    """Returns what is to be said of several test images that are all of one group; "" of others.

    Args:
        groups: of every sample.
        test: indices of the test images.
        way: how to test more groups, as `more_groups`.
    """
    tested = {int(groups.codes[index]) for index in test}
    if len(test) < 2 or len(tested) > 1:
        return ""
    name = groups.names[next(iter(tested))]
    if len({*groups.codes.tolist()}) == 1:
        return f"all images are of one group ({name}): the scores say nothing of how well others are done"
    return (
        f"the {len(test)} images of test are of one group ({name}): the scores say how well it is done on "
        f"that one, and nothing of how much others differ{'; ' * bool(way)}{way}"
    )


def more_groups(apart: int, *, is_drawn: bool, folds: int | None = None) -> str:
    """Returns how more groups than one are tested; "" where no other choice of the split does that.

    Args:
        apart: number of groups that a split can part.
        is_drawn: whether the split deals out whole groups, and the data itself says of none that it validates or tests.
        folds: dataset.split.k where it is cross-validation already.
    """
    if not is_drawn or apart < LEAST_FOLDS:
        return ""
    if folds is not None:
        return f"-m 'dataset.split.fold=range({folds})' tests every group, a fold a run"
    fewer = f" dataset.split.k={apart}" if apart < FOLDS else ""
    return f"split=folds{fewer} dataset.split.fold=0 tests others, and all its folds test every group"


def cautions(
    dataset: SegmentationDataset,
    split: Split,
    groups: str,
    *,
    crop: int | Sequence[int] | None,
    is_typed: bool,
    batch_size: int,
) -> list[str]:
    """Returns what is to be said before a training.

    Args:
        dataset, split: the data.
        groups: what is to be said of those of the test images, as `group_caution`.
        crop, batch_size: of data.
        is_typed: whether the crop was chosen for this run.

    Raises:
        UserError: what cannot be meant.
    """
    found = [
        batch_caution(batch_size, len(split.train)),
        crop_caution(crop, sizes_of(dataset, split.train), is_typed=is_typed),
        groups,
    ]
    return [sentence for sentence in found if sentence]


class Scales(NamedTuple):
    """Holds two groups of images that seem to be scaled differently."""

    fewer: tuple[int, ...]  # places of the images of the smaller group
    factor: float  # by which medians of the spans differ, above 1
    is_dim: bool  # whether the smaller group is that of lower values
    channel: int

    @property
    def words(self) -> str:
        """Says what the smaller group does."""
        return f"span {self.factor:.3g} times {'less' if self.is_dim else 'more'} than the others"


def several_scales(spans: Sequence[Span]) -> Scales | None:
    """Returns the groups into which images fall by value; None: they are of one scale, or of 8 bits, or of many kinds.

    In a channel the spans (1st to 99th percentile) of the images, sorted, have a gap of `NARROW` times or more, which
    their tails mostly have too, as those of fields with few bright spots have not; and the narrow ones begin near 0 as
    a scale would bring them: blank fields begin where the others do. Spans of 0 are left out.
    """
    if len({(span.dtype, len(span.low)) for span in spans}) != 1 or spans[0].dtype == "uint8":
        return None
    lows, highs, bottoms, tops = (
        np.array([getattr(span, side) for span in spans]) for side in ("low", "high", "bottom", "top")
    )
    rows = zip(lows.T, (highs - lows).T, (tops - bottoms).T, strict=True)
    found = (_in_channel(channel, *numbers) for channel, numbers in enumerate(rows))
    return next((one for one in found if one is not None), None)


def scales_caution(spans: Sequence[Span], names: Sequence[str]) -> str:
    """Returns what is to be said of training images of several scales, with some of their names; "" of others."""
    found = several_scales(spans)
    if found is None:
        return ""
    shown = ", ".join(f"'{names[place]}'" for place in found.fewer[:NAMED]) + ", …" * (len(found.fewer) > NAMED)
    return f"{len(found.fewer)} of {len(spans)} training images that were looked at {found.words}: {shown}; {ADVICE}"


def _in_channel(channel: int, low: Row, widths: Row, tails: Row) -> Scales | None:
    order = [int(place) for place in np.argsort(widths, kind="stable") if widths[place] > 0]
    least = max(FEWEST, math.ceil(LEAST_SHARE * len(order)))
    if len(order) < 2 * least:
        return None
    cuts = range(least, len(order) - least + 1)
    cut = max(cuts, key=lambda at: float(widths[order[at]] / widths[order[at - 1]]))
    dim, bright = order[:cut], order[cut:]
    if widths[bright[0]] < NARROW * widths[dim[-1]] or np.median(tails[bright]) < NARROW * np.median(tails[dim]):
        return None
    if not is_scaled(float(np.median(low[dim])), float(low[bright].min()), float(np.median(low[bright]))):
        return None
    fewer = dim if len(dim) <= len(bright) else bright
    factor = float(np.median(widths[bright]) / np.median(widths[dim]))
    return Scales(tuple(sorted(fewer)), factor, fewer is dim, channel)
