"""Slabs of neighbours with a gap between them."""

import re
from collections.abc import Sequence

import numpy as np

from segtrain.data.split.parts import Split, check_shares, check_sides, checked, count, grouping, sides
from segtrain.errors import UserError


class Blocks:
    """Contiguous slabs in id order, for slices that resemble their neighbours.

    At the end: train, gap, val, gap, test. Inside: train, gap, val, gap, train, gap, test, gap, train, with equal
    train slabs, so that nothing beyond the ends of what was trained on is asked.
    Numbers in ids count as numbers, so slice_10 follows slice_9.
    """

    def __init__(self, val: float, test: float, gap: int = 5, inside: bool = False) -> None:
        """Nothing is cut yet.

        Args:
            val: share of the samples that validate, 0..1.
            test: share of the samples that test, 0..1.
            gap: samples left unused at each border.
            inside: whether val and test lie between train slabs instead of behind them.

        Raises:
            UserError: shares that leave nothing to train on, or a negative gap.
        """
        check_shares(val, test)
        if type(gap) is not int or gap < 0:
            raise UserError(f"dataset.split.gap is {gap!r}; expected a whole number of samples from 0")
        self._shares = {"val": val, "test": test}
        self._gap, self._inside = gap, inside

    def assign(
        self, ids: Sequence[str], given: Sequence[str | None], groups: Sequence[str | None] | None = None
    ) -> Split:
        """The split of the samples `ids`.

        Args:
            ids: unique names.
            given: as for `Ratios.assign`; no gap is left around what the data itself says.
            groups: what the data says belongs together; the cuts do not look at it.

        Raises:
            UserError: a part ends empty, or a group on two sides.
        """
        parts, pool = sides(ids, given)
        rest = sorted(pool.tolist(), key=lambda i: _natural(ids[i]))
        cut = [part for part in ("val", "test") if not len(parts[part])]
        counts = {part: count(self._shares[part], len(pool)) for part in cut}
        taken = self._dealt(rest, counts)
        for part in (*cut, "train"):
            parts[part] = np.array(taken[part], np.int64)
        if groups is not None:
            check_sides(grouping(ids, groups, None), parts, parts["train"])
        return checked(parts, np.array(taken["unused"], np.int64), f"{len(ids)} samples with gaps of {self._gap}")

    def _dealt(self, rest: Sequence[int], counts: dict[str, int]) -> dict[str, list[int]]:
        slabs = len(counts) + 1 if self._inside else 1
        gaps = self._gap * len(counts) * (2 if self._inside else 1)
        train = max(0, len(rest) - sum(counts.values()) - gaps)
        layout: list[tuple[str, int]] = [("train", train // slabs)]
        for part, number in counts.items():
            layout += [("unused", self._gap), (part, number)]
            if self._inside:
                layout += [("unused", self._gap), ("train", train // slabs)]
        layout[-1 if self._inside else 0] = ("train", train - train // slabs * (slabs - 1))
        return _slabs(rest, layout)


def _slabs(samples: Sequence[int], layout: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    """The samples dealt out in order, so many to each part in turn; what is too many at the end is dropped."""
    taken: dict[str, list[int]] = {"train": [], "val": [], "test": [], "unused": []}
    start = 0
    for part, number in layout:
        taken[part] += samples[start : start + number]
        start += number
    return taken


def _natural(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name)  # text and digits in turn, so positions compare like with like
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], name
