"""What is legal and most likely not meant: crops larger than the images, batches larger than the data, one group."""

from collections.abc import Iterable, Iterator, Sequence

from segtrain.data.datasets import SegmentationDataset
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.spread import spread

Size = tuple[int, int]  # height and width in pixels

LOOKED_AT = 64  # training images, evenly spread, until one is as large as the crop
ABSURD = 8  # times the largest image, in both directions: an image is then a 64th of what is computed, or less


def crop_caution(crop: int | Sequence[int] | None, sizes: Iterable[Size]) -> str:
    """Returns what is to be said of a training crop that is larger than every image; "" where one is as large.

    Args:
        crop: data.crop.
        sizes: of training images, which are looked at until one is as large.

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
    shown = str(crop) if isinstance(crop, int) else f"[{rows},{columns}]"
    of = f"of {looked} training images none is as large: the largest sides are {height} × {width} pixels"
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
    """Returns what is to be said of a batch with more samples than there are training images; "" of others."""
    if batch_size <= train:
        return ""
    often = batch_size / train
    return (
        f"data.batch_size is {batch_size}, and there are {train} training images: each is {often:.3g} times in a "
        f"batch, and a pass over the data is less than a step; data.batch_size={max(1, train // 4)} makes steps of a "
        "fourth of them"
    )


def group_caution(groups: Sequence[str], part: str = "test") -> str:
    """Returns what is to be said of a part of several images that are all of one group; "" of others.

    Args:
        groups: of each image of the part.
        part: its name.
    """
    if len(groups) < 2 or len({*groups}) > 1:
        return ""
    return (
        f"the {len(groups)} images of {part} are of one group ({groups[0]}): the scores say how well it is done on "
        "that one, and nothing of how much others differ; split=folds tests every group, dataset.split.test takes more"
    )


def cautions(
    dataset: SegmentationDataset,
    split: Split,
    groups: Sequence[str],
    *,
    crop: int | Sequence[int] | None,
    batch_size: int,
) -> list[str]:
    """Returns what is to be said before a training.

    Args:
        dataset, split: the data.
        groups: of each test image.
        crop, batch_size: of data.

    Raises:
        UserError: what cannot be meant.
    """
    found = [
        crop_caution(crop, sizes_of(dataset, split.train)),
        batch_caution(batch_size, len(split.train)),
        group_caution(groups),
    ]
    return [sentence for sentence in found if sentence]
