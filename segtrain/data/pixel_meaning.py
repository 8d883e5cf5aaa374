"""Records what the pixels of a data set are, once in training, and asks it of all use: depth, values, size in mm.

A network has seen numbers. A picture in another depth, or scaled in another way, looks the same to us and is another
one to it: it answers at once, and wrongly. So a run keeps what its training images were, and what comes later must fit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from segtrain.errors import UserError
from segtrain.spread import spread

if TYPE_CHECKING:
    from segtrain.data.datasets import SegmentationDataset

SAMPLED = 1 << 14  # pixels of an image of which percentiles are taken: they settle long before
PERCENTILES = (1, 99)  # what a few hot or dead pixels do not move
TAILS = (0.1, 99.9)  # nor these, and they hold what is sparse, such as bright cells on a hundredth of an image
BEYOND = 3.0  # times the training's whole range: exposures of a camera stay within 1, 12 bits for 16 are 16
NARROW = 8.0  # times narrower than training's narrowest image: several images in all, as one alone may be of nothing
SEVERAL = 4  # images or slices from which on they are asked whether all are narrow
NAMED = 3  # images that a message names
OTHER_SIZE = 1.5  # times the largest or below the smallest pixel of training, in mm
MOST_SPACINGS = 4096  # samples whose pixel sizes are looked at
LOOKED_AT = 16  # images of other data that are read before they are scored
WAY_OUT = {
    "uint8": "save it with 8 bits as those were made (values that fill 16 bits: divide by 257)",
    "uint16": "give the originals of 16 bits, scaled as those were",
    "float32": "give it as float32, scaled as those were",
}
ALLOW = "or give allow_other_pixels=true to have it taken as it is stored"


Row = np.ndarray[Any, np.dtype[np.float64]]


class Span(NamedTuple):
    """Holds an image's dtype as stored, and of each channel extremes, 1st and 99th percentile, and tails."""

    dtype: str
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    bottom: tuple[float, ...]  # below `low` as far as `TAILS` say
    top: tuple[float, ...]

    @property
    def is_flat(self) -> bool:
        """Says whether all of the image but a few pixels is of one value in every channel, as where it is black."""
        return self.bottom == self.top


def span_of(image: np.ndarray[Any, Any]) -> Span:
    """Returns the span of an image (H, W, C)."""
    pixels = image.reshape(-1, image.shape[2])
    step = max(1, len(pixels) // SAMPLED) | 1  # odd, so that it does not keep to some of the columns
    some = pixels[::step]
    low, high = np.percentile(some, PERCENTILES, axis=0)
    bottom = np.minimum(low, np.percentile(some, TAILS[0], axis=0, method="higher"))  # inwards: one pixel is no tail
    top = np.maximum(high, np.percentile(some, TAILS[1], axis=0, method="lower"))
    return Span(image.dtype.name, *map(_row, (pixels.min(0), pixels.max(0), low, high, bottom, top)))


class PixelMeaning(NamedTuple):
    """Holds what the images of a training are, which those that its network is used on must fit.

    Images of one value but for a few pixels count for nothing but the dtypes; `images` is the number of the others.
    Records of versions before have nothing from `floor` on: the extremes stand in, and no images are too narrow for
    them.
    """

    dtypes: tuple[str, ...]
    images: int
    lowest: tuple[float, ...]  # of all pixels, each channel
    highest: tuple[float, ...]
    low: tuple[float, ...]  # medians of the images' percentiles
    high: tuple[float, ...]
    spacing: tuple[float, float] | None  # smallest and largest side of a pixel in mm; None: not known
    floor: tuple[float, ...] = ()  # lowest of the images' 1st percentiles
    narrowest: tuple[float, ...] = ()  # least distance of an image's percentiles, of those where it is not 0; else 0
    bottom: tuple[float, ...] = ()  # lowest and highest of the images' tails, which no hot or dead pixel moves
    top: tuple[float, ...] = ()

    @classmethod
    def of(cls, spans: Sequence[Span], spacings: Sequence[tuple[float, float]] = ()) -> "PixelMeaning":
        """Returns the meaning of images by their spans, and by height and width of pixels in mm where known."""
        dtypes = tuple(sorted({span.dtype for span in spans}))
        sides = [side for pair in spacings for side in pair]
        spacing = (float(min(sides)), float(max(sides))) if sides else None
        told = [span for span in spans if not span.is_flat]
        if not told:
            return cls(dtypes, 0, (), (), (), (), spacing)
        rows = [[getattr(span, side) for span in told] for side in Span._fields[1:]]
        lowest, highest, lows, highs, bottoms, tops = (np.array(numbers) for numbers in rows)
        widths = np.where(highs > lows, highs - lows, np.inf).min(0)
        medians = _row(np.median(lows, 0)), _row(np.median(highs, 0))
        levels = lows.min(0), np.where(np.isfinite(widths), widths, 0), bottoms.min(0), tops.max(0)
        return cls(dtypes, len(told), _row(lowest.min(0)), _row(highest.max(0)), *medians, spacing, *map(_row, levels))

    @classmethod
    def from_json(cls, known: dict[str, Any] | None) -> "PixelMeaning | None":
        """Returns what `to_json` gave; None where a run or an export holds none, as those of earlier versions."""
        if known is None:
            return None
        rows = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
        values: list[Any] = [
            rows.get(field, ()) if field in cls._field_defaults else rows[field] for field in cls._fields
        ]
        return cls(*values)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values by name."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._asdict().items()}

    def misfit(self, image: Span) -> str | None:
        """Returns what is wrong with an image for a network trained on these, and the way out; None: nothing.

        Another dtype; a channel full of values where training held one in all but a few pixels; and, of images of more
        than 8 bits, values (1st to 99th percentile) more than `BEYOND` times training's range (`bottom` to `top`) above
        its lowest or below its highest, or below its `floor` in every channel that is not of one value. Among images of
        8 bits values are not compared: a picture that is darker or brighter is no other kind of picture.
        """
        if image.dtype not in self.dtypes:
            return (
                f"has {image.dtype} pixels; expected {' or '.join(self.dtypes)}, as the training's images "
                "have: the same picture has other values in another depth; "
                f"{WAY_OUT.get(self.dtypes[0], 'convert it')}, {ALLOW}"
            )
        if not self.images or image.is_flat:
            return None
        lowest, highest = self._levels()
        low, high = np.array(image.low), np.array(image.high)
        filled = (lowest == highest) & (low < high)
        if filled.any():
            return self._filled(int(np.argmax(filled)), image)
        far = BEYOND * (highest - lowest)
        beyond = (far > 0) & ((high > lowest + far) | (low < highest - far))
        below, asked = self._below(image)
        wrong = beyond | (below & (below == asked).all())
        if image.dtype == "uint8" or not wrong.any():
            return None
        channel = int(np.argmax(wrong))
        return self._other_values(channel, low[channel], high[channel])

    def misfit_together(self, images: Sequence[Span]) -> str | None:
        """Returns what is wrong with images that fit one by one, and the way out; None: nothing.

        `SEVERAL` or more of more than 8 bits, in one channel: at least half of them lie below training's `floor`, as
        one alone may that shows water; or all span less together than a `NARROW`th of what the narrowest image of
        training does, and begin as low as a scale would bring them: a blank field begins where training's images do.
        """
        told = [span for span in images if span.dtype != "uint8" and not span.is_flat]
        if len(told) < SEVERAL or not self.images:
            return None
        below = np.array([self._below(span)[0] for span in told])
        for channel in range(len(self.low)):
            dark = [span for span, is_dark in zip(told, below[:, channel], strict=True) if is_dark]
            if len(dark) >= max(SEVERAL, len(told) / 2):
                return self._other_values(channel, dark[0].low[channel], dark[0].high[channel])
        for channel, width in enumerate(self.narrowest):
            seen = [span for span in told if span.low[channel] < span.high[channel]]
            if len(seen) < SEVERAL:
                continue
            whole = max(span.top[channel] for span in seen) - min(span.bottom[channel] for span in seen)
            low, high = min(span.low[channel] for span in seen), max(span.high[channel] for span in seen)
            if whole < width / NARROW and is_scaled(low, self.floor[channel], self.low[channel]):
                return self._other_values(channel, low, high)
        return None

    def _below(self, image: Span) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Returns in which channels an image lies below training's floor, and in which it could: not of one value."""
        lowest, highest = self._levels()
        asked = (np.array(self.narrowest or highest - lowest) > 0) & np.not_equal(image.bottom, image.top)
        return asked & np.less(image.high, self.floor or self.lowest), asked

    def _levels(self) -> tuple[Row, Row]:
        """Returns the lowest and highest value of each channel, by the tails where they are known."""
        return np.array(self.bottom or self.lowest), np.array(self.top or self.highest)

    def _filled(self, channel: int, image: Span) -> str:
        value = self._levels()[0][channel]
        return (
            f"holds values from {image.low[channel]:.5g} to {image.high[channel]:.5g} in channel {channel} (1st and "
            f"99th percentile); expected {value:.5g} there in all pixels but a few, as in all of the training's "
            f"images, of which no network learns what other values mean; leave the channel as it was there, {ALLOW}"
        )

    def _other_values(self, channel: int, low: float, high: float) -> str:
        lowest, highest = self._levels()
        where = f" in channel {channel}" if len(self.low) > 1 else ""
        return (
            f"holds values from {low:.5g} to {high:.5g}{where} (1st and 99th percentile); expected "
            f"values as in the training's images, mostly {self.low[channel]:.5g} to {self.high[channel]:.5g}, nearly "
            f"all of {lowest[channel]:.5g} to {highest[channel]:.5g}; scale it as those were, {ALLOW}"
        )

    def misfit_size(self, spacings: Sequence[tuple[float, float]]) -> str | None:
        """Returns what is wrong with sizes of pixels in mm, and the way out; None: nothing, or it is not known.

        One is more than `OTHER_SIZE` times larger than the largest of training's, or smaller than the smallest.
        """
        if self.spacing is None or not spacings:
            return None
        (least, most), sides = self.spacing, [side for pair in spacings for side in pair]
        smallest, largest = float(min(sides)), float(max(sides))
        if smallest >= least / OTHER_SIZE and largest <= most * OTHER_SIZE:
            return None
        return (
            f"has pixels of {_between(smallest, largest)} mm; expected {_between(least, most)} mm, as in training, and "
            f"up to {OTHER_SIZE:g} times more or less: a network knows sizes in pixels; resample it to about "
            f"{_between(least, most)} mm, {ALLOW}"
        )


def is_scaled(low: float, floor: float, usual: float) -> bool:
    """Returns whether a 1st percentile is as near to 0 as those of images become that are divided by `NARROW` or more.

    Args:
        low: the 1st percentile that is asked about.
        floor: lowest 1st percentile of the images that it is compared with.
        usual: the median of theirs.
    """
    return min(0.0, floor) / NARROW <= low <= max(0.0, usual) / NARROW


def require_fit(
    trained: Sequence[PixelMeaning],
    images: Sequence[Span],
    name: str,
    spacings: Sequence[tuple[float, float]] = (),
    names: Sequence[object] = (),
) -> None:
    """Raises UserError unless each of the images, and all together, fit what every one of the networks was trained on.

    Args:
        trained: of each network.
        images: that were looked at.
        name: what they are called as a whole.
        spacings: height and width of pixels in mm, where known.
        names: of the images, for a message that is not about all of them.
    """
    for one in trained:
        wrong = {place: said for place, span in enumerate(images) if (said := one.misfit(span)) is not None}
        if wrong:
            raise UserError(_of_some(wrong, len(images), name, names))
        said = one.misfit_together(images) or one.misfit_size(spacings)
        if said is not None:
            raise UserError(f"{name} {said}")


def _of_some(wrong: dict[int, str], looked_at: int, name: str, names: Sequence[object]) -> str:
    """Returns what is wrong with the first of them, and how many and which there are unless it is all."""
    places, said = list(wrong), next(iter(wrong.values()))
    if len(wrong) == looked_at:
        return f"{name} {said}"
    shown = ", ".join(f"'{names[place]}'" for place in places[:NAMED]) if names else ""
    which = f", {shown}{', …' * (len(places) > NAMED)}" if shown else ""
    return f"{name} does not fit in {len(wrong)} of {looked_at} images that were looked at{which}: the first {said}"


def require_data_fit(trained: Sequence[PixelMeaning], dataset: "SegmentationDataset", indices: Sequence[int]) -> None:
    """Raises UserError unless these samples fit, by up to `LOOKED_AT` of them, evenly spread, which are read."""
    chosen = spread(indices, LOOKED_AT)
    spans = [span_of(dataset.read(index).image) for index in chosen]
    names = [dataset.ids[index] for index in chosen]
    require_fit(trained, spans, "the data set", spacings_of(dataset, indices), names)


def spacings_of(dataset: "SegmentationDataset", indices: Sequence[int]) -> list[tuple[float, float]]:
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
