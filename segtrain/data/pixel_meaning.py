"""What the pixels of a data set are: depth, values and size in mm, taken once in training and asked of all use.

A network has seen numbers. A picture in another depth, or scaled in another way, looks the same to us and is another
one to it: it answers at once, and wrongly. So a run keeps what its training images were, and what comes later must fit.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.datasets import SegmentationDataset
from segtrain.errors import UserError
from segtrain.spread import spread

SAMPLED = 1 << 14  # pixels of an image of which percentiles are taken: they settle long before
PERCENTILES = (1, 99)  # what a few hot or dead pixels do not move
BEYOND = 3.0  # times the training's whole range: exposures of a camera stay within 1, 12 bits for 16 are 16
NARROW = 8.0  # times narrower than is usual in training: several images in all, as one alone may be of nothing
SEVERAL = 4  # images or slices from which on they are asked whether all are narrow
OTHER_SIZE = 1.5  # times the largest or below the smallest pixel of training, in mm
MOST_SPACINGS = 4096  # samples whose pixel sizes are looked at
LOOKED_AT = 16  # images of other data that are read before they are scored
WAY_OUT = {
    "uint8": "save it with 8 bits as those were made (values that fill 16 bits: divide by 257)",
    "uint16": "give the originals of 16 bits, scaled as those were",
    "float32": "give it as float32, scaled as those were",
}
ALLOW = "or give allow_other_pixels=true to have it taken as it is stored"


class Span(NamedTuple):
    """The dtype of an image as stored, and of each channel lowest and highest value, 1st and 99th percentile."""

    dtype: str
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def is_flat(self) -> bool:
        """Whether the image is of one value in every channel, such as one that is all black."""
        return self.lowest == self.highest


def span_of(image: np.ndarray[Any, Any]) -> Span:
    """Returns the span of an image (H, W, C)."""
    pixels = image.reshape(-1, image.shape[2])
    step = max(1, len(pixels) // SAMPLED) | 1  # odd, so that it does not keep to some of the columns
    low, high = np.percentile(pixels[::step], PERCENTILES, axis=0)
    return Span(image.dtype.name, *(_row(numbers) for numbers in (pixels.min(0), pixels.max(0), low, high)))


class PixelMeaning(NamedTuple):
    """What images are: those of a training, or those that a network is to be used on.

    `lowest` and `highest` are the extremes of each channel over the images, `low` and `high` the medians of the images'
    percentiles. Images of one value throughout count for none of the four, and `images` is the number of the others.
    """

    dtypes: tuple[str, ...]
    images: int
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    spacing: tuple[float, float] | None  # smallest and largest side of a pixel in mm; None: not known

    @classmethod
    def of(cls, spans: Sequence[Span], spacings: Sequence[tuple[float, float]] = ()) -> "PixelMeaning":
        """Returns the meaning of images by their spans, and by height and width of pixels in mm where known."""
        dtypes = tuple(sorted({span.dtype for span in spans}))
        sides = [side for pair in spacings for side in pair]
        spacing = (float(min(sides)), float(max(sides))) if sides else None
        told = [span for span in spans if not span.is_flat]
        if not told:
            return cls(dtypes, 0, (), (), (), (), spacing)
        lowest = _row(np.min([span.lowest for span in told], 0))
        highest = _row(np.max([span.highest for span in told], 0))
        low, high = (_row(np.median([getattr(span, side) for span in told], 0)) for side in ("low", "high"))
        return cls(dtypes, len(told), lowest, highest, low, high, spacing)

    @classmethod
    def from_json(cls, known: dict[str, Any] | None) -> "PixelMeaning | None":
        """Returns what `to_json` gave; None where a run or an export holds none, as those of earlier versions."""
        if known is None:
            return None
        rows = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
        values: list[Any] = [rows[field] for field in cls._fields]
        return cls(*values)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values by name."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._asdict().items()}

    def misfit(self, new: "PixelMeaning") -> str | None:
        """Returns what is wrong with new images for a network trained on these, and the way out; None: nothing.

        Another dtype; values (1st to 99th percentile) that lie beyond the range of all training images by more than
        `BEYOND` times that range; of `SEVERAL` images or more values that all together span less than a `NARROW`th of
        what is usual in training; pixels `OTHER_SIZE` times larger in mm than any of training's, or smaller. Among
        images of 8 bits values are not compared: a picture that is darker or brighter is no other kind of picture.
        """
        others = [dtype for dtype in new.dtypes if dtype not in self.dtypes]
        if others:
            return (
                f"has {' and '.join(others)} pixels; expected {' or '.join(self.dtypes)}, as the training's images "
                "have: the same picture has other values in another depth; "
                f"{WAY_OUT.get(self.dtypes[0], 'convert it')}, {ALLOW}"
            )
        return self._other_values(new) or self._other_size(new)

    def _other_values(self, new: "PixelMeaning") -> str | None:
        if new.dtypes == ("uint8",) or not (self.images and new.images):
            return None
        lowest, highest, low, high = (np.array(numbers) for numbers in (self.lowest, self.highest, new.low, new.high))
        far = BEYOND * (highest - lowest)
        beyond = (high > lowest + far) | (low < highest - far)
        usual, whole = np.subtract(self.high, self.low), np.subtract(new.highest, new.lowest)
        is_narrow = new.images >= SEVERAL and bool((whole < usual / NARROW).all())
        if not (beyond & (far > 0)).any() and not is_narrow:
            return None
        channel = 0 if is_narrow else int(np.argmax(beyond & (far > 0)))
        where = f" in channel {channel}" if len(low) > 1 else ""
        return (
            f"holds values from {low[channel]:.5g} to {high[channel]:.5g}{where} (1st and 99th percentile); expected "
            f"values as in the training's images, mostly {self.low[channel]:.5g} to {self.high[channel]:.5g}, all of "
            f"{lowest[channel]:.5g} to {highest[channel]:.5g}; scale it as those were, {ALLOW}"
        )

    def _other_size(self, new: "PixelMeaning") -> str | None:
        if self.spacing is None or new.spacing is None:
            return None
        (least, most), (smallest, largest) = self.spacing, new.spacing
        if smallest >= least / OTHER_SIZE and largest <= most * OTHER_SIZE:
            return None
        return (
            f"has pixels of {_between(smallest, largest)} mm; expected {_between(least, most)} mm, as in training, and "
            f"up to {OTHER_SIZE:g} times more or less: a network knows sizes in pixels; resample it to about "
            f"{_between(least, most)} mm, {ALLOW}"
        )


def require_fit(trained: Sequence[PixelMeaning], new: PixelMeaning, name: str) -> None:
    """Raises UserError unless the images, called `name`, fit what every one of the networks was trained on."""
    for one in trained:
        wrong = one.misfit(new)
        if wrong is not None:
            raise UserError(f"{name} {wrong}")


def meaning_of(dataset: SegmentationDataset, indices: Sequence[int]) -> PixelMeaning:
    """Returns what the pixels of these samples are by up to `LOOKED_AT` of them, evenly spread, which are read."""
    spans = [span_of(dataset.read(index).image) for index in spread(indices, LOOKED_AT)]
    return PixelMeaning.of(spans, spacings_of(dataset, indices))


def spacings_of(dataset: SegmentationDataset, indices: Sequence[int]) -> list[tuple[float, float]]:
    """Returns height and width in mm of pixels, of up to `MOST_SPACINGS` samples; none where the data say nothing."""
    spacing = getattr(dataset, "spacing", None)
    return [] if spacing is None else [spacing(index) for index in spread(indices, MOST_SPACINGS)]


def require_one_dtype(spans: Sequence[Span], names: Sequence[str]) -> None:
    """Raises UserError when training images, with their names, are of several dtypes."""
    first = spans[0].dtype
    others = [f"'{name}' ({span.dtype})" for span, name in zip(spans, names, strict=True) if span.dtype != first]
    if others:
        raise UserError(
            f"{len(others)} of {len(spans)} training images that were looked at have another depth than '{names[0]}'; "
            f"expected one depth, {first} as that has, because the same picture has other values in another; got "
            f"{', '.join(others[:5])}{', …' if len(others) > 5 else ''}; save all images in one depth, by one rule"
        )


def _between(least: float, most: float) -> str:
    return f"{least:.3g}" if f"{least:.3g}" == f"{most:.3g}" else f"{least:.3g} to {most:.3g}"


def _row(numbers: np.ndarray[Any, Any]) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)
