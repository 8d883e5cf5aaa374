"""Whether images that are trained on together hold values of one scale: 12 bits beside 16, or 0..1 beside 0..255."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.data.pixel_meaning import NAMED, NARROW, Row, Span, is_scaled

FEWEST = 2  # images on either side: one alone may be anything
SHARE = 0.1  # of the images that must lie on either side
ADVICE = (
    "12 bits beside 16, or 0 to 1 beside 0 to 255? The same picture has other values in another scale, and a network "
    "takes values as they are: save all by one rule, unless these are of another exposure, or of nothing"
)


class Scales(NamedTuple):
    """Two groups of images that seem to be scaled differently."""

    fewer: tuple[int, ...]  # places of the images of the smaller group
    factor: float  # by which medians of the spans differ, above 1
    is_dim: bool  # whether the smaller group is that of lower values
    channel: int

    @property
    def words(self) -> str:
        """What the smaller group does."""
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


def _in_channel(channel: int, low: Row, widths: Row, tails: Row) -> Scales | None:
    order = [int(place) for place in np.argsort(widths, kind="stable") if widths[place] > 0]
    least = max(FEWEST, math.ceil(SHARE * len(order)))
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


def scales_caution(spans: Sequence[Span], names: Sequence[str]) -> str:
    """Returns what is to be said of training images of several scales, with some of their names; "" of others."""
    found = several_scales(spans)
    if found is None:
        return ""
    shown = ", ".join(f"'{names[place]}'" for place in found.fewer[:NAMED]) + ", …" * (len(found.fewer) > NAMED)
    return f"{len(found.fewer)} of {len(spans)} training images that were looked at {found.words}: {shown}; {ADVICE}"
