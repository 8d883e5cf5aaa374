"""What every way to split shares: what the data says, which samples belong together, the parts in the end."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.files.columns import coded
from segtrain.errors import UserError

PARTS = ("train", "val", "test")

Indices = np.ndarray[Any, np.dtype[np.int64]]


class Split(NamedTuple):
    """Indices of the samples of each part, ascending; `unused` lie in a gap. Every sample is in just one.

    Arrays of 8 bytes a sample, not tuples: a million samples take 8 MB.
    """

    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]
    unused: Sequence[int]


def check_shares(val: float, test: float) -> None:
    """Nothing, when the two shares leave something to train on.

    Raises:
        UserError: they do not.
    """
    if val < 0 or test < 0 or not val + test < 1:
        raise UserError(
            f"dataset.split.val {val} and dataset.split.test {test} leave nothing to train on; expected shares from 0 "
            "that sum to less than 1, such as 0.15 and 0.15"
        )


def sides(ids: Sequence[str], given: Sequence[str | None]) -> tuple[dict[str, Indices], Indices]:
    """What the data says: part -> samples for val and test, none yet for train; and the pool of train and open ones.

    Raises:
        UserError: it says something else than train, val, test or None.
    """
    said = coded(given)
    for code, part in enumerate(said.names):
        if part not in PARTS:
            name = ids[int(np.flatnonzero(said.codes == code)[0])]
            raise UserError(f"the dataset says split '{part}' of sample '{name}'; expected {', '.join(PARTS)} or None")
    side = np.zeros(len(ids), np.int8)  # position in PARTS
    for code, part in enumerate(said.names):
        side[said.codes == code] = PARTS.index(part)
    parts = {part: np.flatnonzero(side == number) for number, part in enumerate(PARTS)}
    pool, parts["train"] = parts["train"], np.empty(0, np.int64)
    return parts, pool


def count(share: float, n: int) -> int:
    """Share of n as a whole number, rounded half up; at least 1, unless the share is 0."""
    return max(1, int(share * n + 0.5)) if share else 0


def checked(parts: Mapping[str, Indices], unused: Indices, got: str) -> Split:
    """The split of the parts.

    Raises:
        UserError: one of train, val and test is empty; says what was `got`.
    """
    for part in PARTS:
        if not len(parts[part]):
            raise UserError(
                f"the split leaves {part} empty; expected at least one sample in each of train, val and test; got "
                f"{got}; add samples, or change dataset.split ({part}'s share, gap or group), or choose another split=…"
            )
    return Split(*(_compact(samples) for samples in (*(parts[part] for part in PARTS), unused)))


def _compact(samples: Indices) -> Sequence[int]:
    return array("q", np.sort(samples).astype(np.int64).tobytes())
