"""What a survey of the training images suggests: class weights, the side of the training crop."""

import math
from collections.abc import Sequence

import numpy as np

from segtrain.data.balance import Counts
from segtrain.data.survey import Seen
from segtrain.padding import STRIDE

LARGEST = 512  # pixels: beyond, memory and time of a step grow and few objects need the context


def counts(seen: Sequence[Seen], classes: int) -> Counts:
    """What class weights are made of, from masks that have been read."""
    holders = [[one.pixels for one in seen if label in one.pixels] for label in range(classes)]
    pixels = [sum(of[label] for of in some) for label, some in enumerate(holders)]
    where = [sum(number for of in some for label, number in of.items() if label < classes) for some in holders]
    return Counts(pixels, where, [len(some) for some in holders], len(seen))


def crop(seen: Sequence[Seen], foreground: Sequence[int]) -> tuple[int, str]:
    """A side for the square training crop, a multiple of 32, and the reason.

    Twice the size that nine of ten of the images' largest objects keep below, so that they fit with what is about
    them; at most the median short side of the images, and 512.
    """
    short = float(np.median([min(one.height, one.width) for one in seen]))
    sides = [one.extent[label] for one in seen for label in foreground if label in one.extent]
    limit = min(LARGEST, max(STRIDE, int(short) // STRIDE * STRIDE))
    if not sides:
        return limit, f"no object to size it by: the median short side of {short:g} px, at most {LARGEST}"
    largest = float(np.percentile(sides, 90))
    wanted = math.ceil(2 * largest / STRIDE) * STRIDE
    reason = f"twice the {largest:.0f} px that 9 of 10 images' largest objects keep below"
    cap = f"the median short side of {short:g} px" if limit < LARGEST else f"{LARGEST} px, for memory"
    return min(wanted, limit), reason if wanted <= limit else f"{reason} is more than {cap}, which limits it"
