"""Says which arms of a race run next: all that are left up to a mark, after that the best of them first.

Up to the first mark every arm that is left gets a seed before any arm gets the next. There those left are put in order
by their means, and the first of them run on abreast, up to the next mark; the others wait. They stay in the race with
what is known of them. Where one of the first is dropped, the next that waits joins, and catches up alone; where all of
the first have their seeds, the next as many run. So runs are spent where they decide which arm is named, and an order
that depends on nothing but the scores leaves every look at two arms as it was: both have the same seeds.

Without this a race of nearly equal arms spends its budget on eight seeds of each, as a grid does, and names an arm as
far behind the best as a grid's (scripts/validate_find.py).
"""

import math

import numpy as np

TOGETHER = 6  # seeds of every arm left before some of them wait
LEAST_ABREAST, SHARE_ABREAST = 4, 1 / 3  # how many run on: so many, or that share of all arms where it is more


def count_abreast(arms: int) -> int:
    """Returns how many of so many arms run on before the others."""
    return max(LEAST_ABREAST, math.ceil(arms * SHARE_ABREAST))


def choose_next(
    left: np.ndarray, taken: np.ndarray, place: np.ndarray, mark: np.ndarray, abreast: np.ndarray
) -> np.ndarray:
    """Returns the arms that run the next seed, (B, K) bool: all with the same number of seeds, none where all are done.

    Args:
        left: (B, K) bool.
        taken: (B, K) seeds that each arm has.
        place: (B, K) of each arm in the order; 0 is the first.
        mark: (B,) seeds up to which arms run.
        abreast: (B,) how many run before the others.
    """
    arms = left.shape[1]
    order = np.argsort(np.where(left, place, arms), axis=1, kind="stable")
    among = np.empty_like(order)  # place among those left
    np.put_along_axis(among, order, np.arange(arms)[None], axis=1)
    able = left & (taken < mark[:, None])
    first = np.where(able, among, arms).min(1)
    able &= among < ((first // abreast + 1) * abreast)[:, None]
    level = np.where(able, taken, np.iinfo(taken.dtype).max).min(1)
    return np.asarray(able & (taken == level[:, None]))
