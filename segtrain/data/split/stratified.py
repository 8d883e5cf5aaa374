"""Splits by shares of the samples in which every class has its share too."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from segtrain.data.split.parts import (
    Indices,
    Split,
    Twins,
    draw_groups,
    given_parts,
    group_expression,
    require_shares,
    say_groups,
    split_of,
    whole_groups,
)

LABELS = 256  # of a mask, uint8

Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Stratified:
    """Deals whole groups out so that the samples that hold a class lie in each part by its share.

    Iterative stratification: the class that the fewest groups left hold goes first, and each of its groups to the part
    that lacks that class most. It reads every mask that the data does not give to val or test, once.

    Source: Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-label Data" (2011), algorithm 1; a group
    counts as one example with as many of each label as it has samples with that class. Ties, which are random there,
    follow the hash of seed and name.
    """

    reads_masks, keeps_twins = True, True

    def __init__(self, val: float, test: float, seed: int = 0, group: str | None = None) -> None:
        """Takes the choices, which are those of `Ratios`, and raise as there; nothing is dealt yet."""
        require_shares(val, test)
        self._shares, self._seed, self._group = {"val": val, "test": test}, seed, group_expression(group)

    def assign(
        self,
        ids: Sequence[str],
        given: Sequence[str | None],
        groups: Sequence[str | None] | None = None,
        twins: Twins = (),
        *,
        read: Callable[[int], Any],
        ignore_index: int,
    ) -> Split:
        """Returns the split of the samples `ids`; `given`, `groups` and `twins` as for `Ratios.assign`.

        Args:
            ids, given, groups, twins: as there.
            read: index -> image and mask (H, W) uint8.
            ignore_index: the label that is no class.

        Raises:
            UserError: a part ends empty, an id has no group, or the expression tears a group of the data's.
        """
        parts, pool = given_parts(ids, given)
        together = whole_groups(ids, groups, self._group)
        places, sizes = draw_groups(together, pool, self._seed, twins)
        holding = np.zeros((len(sizes), LABELS))  # samples of each group that hold a label
        for place, index in zip(places.tolist(), pool.tolist(), strict=True):
            holding[place] += np.bincount(read(index)[1].ravel(), minlength=LABELS) > 0
        holding[:, ignore_index] = 0
        shares = {part: self._shares[part] for part in ("val", "test") if not len(parts[part])}
        shares["train"] = 1 - sum(shares.values())
        dealt = _stratified(holding, sizes, np.array([*shares.values()]))
        parts |= {part: pool[dealt[places] == number] for number, part in enumerate(shares)}
        return split_of(parts, np.empty(0, np.int64), say_groups(sizes, len(ids), twins))


def _stratified(holding: Matrix, sizes: Indices, shares: Matrix) -> Indices:
    """Returns the part of each group, by number: `holding` (groups, labels), `sizes` (groups,), `shares` (parts,)."""
    lacking = shares[:, None] * holding.sum(0)  # samples with each label that each part still lacks
    room = shares * sizes.sum()  # samples that each part still lacks
    dealt = np.full(len(sizes), -1)
    while (left := dealt < 0).any():
        holders = (holding[left] > 0).sum(0)
        rarest = int(np.argmin(np.where(holders > 0, holders, len(sizes) + 1)))
        wanted = lacking[:, rarest] if holders[rarest] else np.zeros(len(shares))
        members = np.flatnonzero(left & (holding[:, rarest] > 0)) if holders[rarest] else np.flatnonzero(left)
        for group in members[np.argsort(-holding[members, rarest], kind="stable")].tolist():  # the largest first
            part = int(np.lexsort((room, wanted))[-1])
            dealt[group] = part
            lacking[part] -= holding[group]
            room[part] -= sizes[group]
    return dealt
