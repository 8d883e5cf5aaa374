"""Which sample trains, which chooses, which judges: train, val and test."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segtrain.errors import UserError

PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """Indices of the samples of each part, ascending; `unused` lie in a gap. Every sample is in just one."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    unused: tuple[int, ...]


class Ratios:
    """A seeded draw of whole groups.

    The draw depends on the seed and the names of the samples, not on their order. Val and then test take the
    groups whose total is nearest to their share, at least one; train keeps the rest.
    """

    def __init__(self, val: float, test: float, seed: int = 0, group: str | None = None) -> None:
        r"""Nothing is drawn yet.

        Args:
            val: share of the samples that validate, 0..1.
            test: share of the samples that test, 0..1.
            seed: another seed, another draw.
            group: regular expression searched in each id; samples that agree in its first group (without one,
                in the whole match) stay together, such as '^(p\d+)_' for patients; None draws each sample by
                itself.

        Raises:
            UserError: shares that leave nothing to train on, or no regular expression.
        """
        _check_shares(val, test)
        try:
            self._group = None if group is None else re.compile(group)
        except re.error as error:
            raise UserError(f"split.group '{group}' is no regular expression: {error}; try '^(p\\d+)_'") from error
        self._shares = {"val": val, "test": test}
        self._seed = seed

    def assign(self, ids: Sequence[str], given: Sequence[str | None]) -> Split:
        """The split of the samples `ids`.

        Args:
            ids: unique names.
            given: what the data says of each: val and test stay so; where it names no val (or test) sample,
                that part is drawn from those given as train or left open (None). Shares count these alone.

        Raises:
            UserError: a part ends empty, an id has no group, or the data puts a group on two sides.
        """
        parts, pool = _sides(ids, given)
        names = [self._name(name) for name in ids]
        _check_sides(names, parts, pool)
        groups = _shuffled(names, pool, self._seed)
        open_parts = [part for part in ("val", "test") if not parts[part]]
        for number, part in enumerate(open_parts):
            share = _count(self._shares[part], len(pool))
            chosen = _nearest([len(group) for group in groups], share, leave=len(open_parts) - number)
            parts[part] = [i for position in chosen for i in groups[position]]
            groups = [group for position, group in enumerate(groups) if position not in chosen]
        parts["train"] = [i for group in groups for i in group]
        return _checked(parts, [], f"{len(set(names))} groups of {len(ids)} samples")

    def _name(self, sample: str) -> str:
        if self._group is None:
            return sample
        found = self._group.search(sample)
        name = found and found[1 if self._group.groups else 0]
        if name is None:
            raise UserError(
                f"split.group '{self._group.pattern}' finds no group in sample '{sample}'; expected a match "
                "in every "
                "id (its path without extension); mend the expression, or give split.group=null"
            )
        return name


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
        _check_shares(val, test)
        if type(gap) is not int or gap < 0:
            raise UserError(f"split.gap is {gap!r}; expected a whole number of samples from 0")
        self._shares = {"val": val, "test": test}
        self._gap, self._inside = gap, inside

    def assign(self, ids: Sequence[str], given: Sequence[str | None]) -> Split:
        """The split of the samples `ids`.

        Args:
            ids: unique names.
            given: as for `Ratios.assign`; no gap is left around what the data itself says.

        Raises:
            UserError: a part ends empty.
        """
        parts, pool = _sides(ids, given)
        rest = sorted(pool, key=lambda i: _natural(ids[i]))
        cut = [part for part in ("val", "test") if not parts[part]]
        counts = {part: _count(self._shares[part], len(pool)) for part in cut}
        slabs = len(cut) + 1 if self._inside else 1
        gaps = self._gap * len(cut) * (2 if self._inside else 1)
        train = max(0, len(rest) - sum(counts.values()) - gaps)
        layout: list[tuple[str, int]] = [("train", train // slabs)]
        for part in cut:
            layout += [("unused", self._gap), (part, counts[part])]
            if self._inside:
                layout += [("unused", self._gap), ("train", train // slabs)]
        layout[-1 if self._inside else 0] = ("train", train - train // slabs * (slabs - 1))
        taken = _slabs(rest, layout)
        parts |= {part: taken[part] for part in (*cut, "train")}
        return _checked(parts, taken["unused"], f"{len(ids)} samples with gaps of {self._gap}")


def _slabs(samples: Sequence[int], layout: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    """The samples dealt out in order, so many to each part in turn; what is too many at the end is dropped."""
    taken: dict[str, list[int]] = {"train": [], "val": [], "test": [], "unused": []}
    start = 0
    for part, count in layout:
        taken[part] += samples[start : start + count]
        start += count
    return taken


def _check_shares(val: float, test: float) -> None:
    if val < 0 or test < 0 or not val + test < 1:
        raise UserError(
            f"split.val {val} and split.test {test} leave nothing to train on; expected shares from 0 that "
            "sum to "
            "less than 1, such as 0.15 and 0.15"
        )


def _sides(ids: Sequence[str], given: Sequence[str | None]) -> tuple[dict[str, list[int]], list[int]]:
    """What the data says: part -> samples for val and test, and the samples that are train or open."""
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    pool: list[int] = []
    for i, (name, part) in enumerate(zip(ids, given, strict=True)):
        if part not in (None, *PARTS):
            raise UserError(f"the dataset says split '{part}' of sample '{name}'; expected {', '.join(PARTS)} or None")
        (parts[part] if part in ("val", "test") else pool).append(i)
    return parts, pool


def _check_sides(names: Sequence[str], parts: Mapping[str, Sequence[int]], pool: Sequence[int]) -> None:
    sides = {"train": {names[i] for i in pool}} | {part: {names[i] for i in parts[part]} for part in ("val", "test")}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        both = sorted(sides[one] & sides[other])
        if both:
            raise UserError(
                f"group '{both[0]}' lies in {one} and in {other} by the data's own folders, {len(both)} such "
                "groups; "
                "expected each on one side; move its files, or give split.group=null to accept it"
            )


def _shuffled(names: Sequence[str], pool: Sequence[int], seed: int) -> list[list[int]]:
    """The samples of the pool by group, groups in an order that hangs on seed and name alone."""
    groups: dict[str, list[int]] = {}
    for i in pool:
        groups.setdefault(names[i], []).append(i)
    # a hash, not a generator: stable over library versions, and a new group leaves the others in order
    ranks = {name: hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest() for name in groups}
    return [groups[name] for name in sorted(groups, key=ranks.__getitem__)]


def _count(share: float, n: int) -> int:
    """Share of n as a whole number, rounded half up; at least 1, unless the share is 0."""
    return max(1, int(share * n + 0.5)) if share else 0


def _nearest(sizes: Sequence[int], target: int, leave: int) -> frozenset[int]:
    """Positions whose sizes sum nearest to target, early ones preferred, at least `leave` of them left over.

    Subset sums by dynamic programming: bit s of `reach` is set when sum s can be made, first by adding
    `added[s]`.
    """
    if not target or len(sizes) <= leave:
        return frozenset()
    limit = (1 << max(2 * target, min(sizes)) + 1) - 1  # no sum beyond twice the target is nearest
    reach, added = 1, dict[int, int]()
    for position, size in enumerate(sizes):
        new = (reach << size) & limit & ~reach
        reach |= new
        while new:
            bit = new & -new
            added[bit.bit_length() - 1] = position
            new ^= bit
        if target in added and added[target] == position and len(sizes) - len(_members(target, added, sizes)) >= leave:
            break
    fits = (_members(total, added, sizes) for total in sorted(added, key=lambda total: (abs(total - target), total)))
    return next(members for members in fits if len(sizes) - len(members) >= leave)


def _members(total: int, added: Mapping[int, int], sizes: Sequence[int]) -> frozenset[int]:
    members = set[int]()
    while total:
        members.add(added[total])
        total -= sizes[added[total]]
    return frozenset(members)


def _natural(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name)  # text and digits in turn, so positions compare like with like
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], name


def _checked(parts: Mapping[str, Sequence[int]], unused: Sequence[int], got: str) -> Split:
    for part in PARTS:
        if not parts[part]:
            raise UserError(
                f"the split leaves {part} empty; expected at least one sample in each of train, val and "
                "test; "
                f"got {got}; add samples, or change split.val, split.test, split.gap or split.group"
            )
    train, val, test = (tuple(sorted(parts[part])) for part in PARTS)
    return Split(train, val, test, tuple(sorted(unused)))
