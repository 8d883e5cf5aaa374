"""Splits into slabs of neighbours with a gap between them."""

from collections.abc import Iterator, Sequence

import numpy as np

from segtrain.counted import counted
from segtrain.data.files.file_names import natural
from segtrain.data.split.parts import (
    Indices,
    Split,
    are_alone,
    given_parts,
    group_expression,
    require_shares,
    samples_for,
    split_of,
    whole_groups,
)
from segtrain.errors import UserError

Layout = list[tuple[str, int]]  # part, number of samples


class Blocks:
    """Cuts contiguous slabs in id order, for slices that resemble their neighbours.

    At the end: train, gap, val, gap, test. Inside: train, gap, val, gap, train, gap, test, gap, train, with equal
    train slabs, so that nothing beyond the ends of what was trained on is asked.
    Numbers in ids count as numbers, so slice_10 follows slice_9.

    Of several stacks each is cut so, with gaps of its own: no slab reaches over two, and every stack lies in all parts.
    What is measured is then how well new slices of known stacks are segmented; new stacks (patients) are asked for by
    `Ratios` and `Folds`, which keep stacks whole.
    """

    cuts_groups = True

    def __init__(self, val: float, test: float, gap: int = 5, inside: bool = False, group: str | None = None) -> None:
        """Takes the choices; nothing is cut yet.

        Args:
            val: share of the samples of each stack that validate, 0..1.
            test: share of them that test, 0..1.
            gap: samples left unused at each border.
            inside: whether val and test lie between train slabs instead of behind them.
            group: regular expression searched in each id, as for `Ratios`; samples that agree are a stack. None takes
                the data's own groups for stacks, and where it has none all samples for a single one.

        Raises:
            UserError: shares that leave nothing to train on, a negative gap, or no regular expression.
        """
        require_shares(val, test)
        if type(gap) is not int or gap < 0:
            raise UserError(f"dataset.split.gap is {gap!r}; expected a whole number of samples from 0")
        self._shares = {"val": val, "test": test}
        self._gap, self._inside, self._group = gap, inside, group_expression(group)

    def assign(
        self, ids: Sequence[str], given: Sequence[str | None], groups: Sequence[str | None] | None = None
    ) -> Split:
        """Returns the split of the samples `ids`.

        Args:
            ids: unique names.
            given: as for `Ratios.assign`; no gap is left around what the data itself says.
            groups: what the data says belongs together: each group is a stack that is cut by itself, unless all are of
                one sample.

        Raises:
            UserError: a part ends empty, a stack is too short for its slabs and gaps, or an id has no group.
        """
        parts, pool = given_parts(ids, given)
        cut = [part for part in ("val", "test") if not len(parts[part])]
        taken: dict[str, list[int]] = {"train": [], "val": [], "test": [], "unused": []}
        for name, stack in self._stacks(ids, groups, pool):
            layout = self._layout(len(stack), {part: samples_for(self._shares[part], len(stack)) for part in cut})
            if name is not None:
                _require_room(name, len(stack), layout)
            for part, samples in _slabs(sorted(stack, key=lambda i: (natural(ids[i]), ids[i])), layout).items():
                taken[part] += samples
        for part in (*cut, "train"):
            parts[part] = np.array(taken[part], np.int64)
        return split_of(
            parts, np.array(taken["unused"], np.int64), f"{counted(len(ids), 'sample')} with gaps of {self._gap}"
        )

    def _stacks(
        self, ids: Sequence[str], groups: Sequence[str | None] | None, pool: Indices
    ) -> Iterator[tuple[str | None, list[int]]]:
        """Yields name and samples of each stack in the pool; the name of a single one is None."""
        together = whole_groups(ids, groups, self._group)
        if groups is not None:
            together = whole_groups(ids, groups, None)  # an expression may join stacks, of a patient: each is cut
        sizes = np.bincount(together.codes[pool], minlength=len(together.names))
        if are_alone(together, pool) or np.count_nonzero(sizes) == 1:
            yield None, pool.tolist()
            return
        order = pool[np.argsort(together.codes[pool], kind="stable")]
        ends = np.cumsum(sizes)
        for code in np.flatnonzero(sizes).tolist():
            yield together.names[code], order[ends[code] - sizes[code] : ends[code]].tolist()

    def _layout(self, samples: int, counts: dict[str, int]) -> Layout:
        slabs = len(counts) + 1 if self._inside else 1
        gaps = self._gap * len(counts) * (2 if self._inside else 1)
        train = max(0, samples - sum(counts.values()) - gaps)
        layout: Layout = [("train", train // slabs)]
        for part, number in counts.items():
            layout += [("unused", self._gap), (part, number)]
            if self._inside:
                layout += [("unused", self._gap), ("train", train // slabs)]
        layout[-1 if self._inside else 0] = ("train", train - train // slabs * (slabs - 1))
        return layout


def _require_room(name: str, samples: int, layout: Layout) -> None:
    """Raises UserError unless every slab of a stack has a sample."""
    least = sum(max(1, number) if part == "train" else number for part, number in layout)
    if samples < least:
        raise UserError(
            f"'{name}' has {counted(samples, 'sample')}, too few to cut slabs of it; expected at least {least}: "
            f"{', '.join(f'{part} {max(1, number)}' for part, number in layout if number or part == 'train')}; lower "
            "dataset.split.gap or its shares, or keep such groups whole by split=ratios"
        )


def _slabs(samples: Sequence[int], layout: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    """Returns the samples dealt out in order, so many to each part in turn; what is too many at the end is dropped."""
    taken: dict[str, list[int]] = {"train": [], "val": [], "test": [], "unused": []}
    start = 0
    for part, number in layout:
        taken[part] += samples[start : start + number]
        start += number
    return taken
