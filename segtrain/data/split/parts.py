"""Holds what every way to split shares: the parts, what the data says of them, groups of samples, the seeded draw.

A group is samples that belong together: in one part of the split, and in one draw of a statistic. They are drawn in an
order by hash, those first whose sizes come nearest to a share.
"""

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.counted import counted
from segtrain.data.files.columns import Codes, as_codes
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError
from segtrain.files import BEYOND_UTF8

Indices = np.ndarray[Any, np.dtype[np.int64]]
SEQUENCE = "one sequence"  # the group of all samples that are cut as one
Twins = Sequence[Sequence[int]]  # samples of the same image, which belong into one part


class Split(NamedTuple):
    """Holds the indices of the samples of each part, ascending; `unused` lie in a gap. Every sample is in just one.

    Arrays of 8 bytes a sample, not tuples: a million samples take 8 MB.
    """

    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]
    unused: Sequence[int]


def require_shares(val: float, test: float) -> None:
    """Raises UserError unless the two shares leave something to train on.

    Raises:
        UserError: they do not.
    """
    if val < 0 or test < 0 or not val + test < 1:
        raise UserError(
            f"dataset.split.val {val} and dataset.split.test {test} leave nothing to train on; expected shares from 0 "
            "that sum to less than 1, such as 0.15 and 0.15"
        )


def given_parts(ids: Sequence[str], given: Sequence[str | None]) -> tuple[dict[str, Indices], Indices]:
    """Returns what the data says: part -> samples, none yet for train; and the pool of train and open ones.

    Raises:
        UserError: it says something else than train, val, test or None.
    """
    said = as_codes(given)
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


def samples_for(share: float, n: int) -> int:
    """Returns the share of n as a whole number, rounded half up; at least 1, unless the share is 0."""
    return max(1, int(share * n + 0.5)) if share else 0


def split_of(parts: Mapping[str, Indices], unused: Indices, got: str) -> Split:
    """Returns the split of the parts.

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


def group_expression(group: str | None) -> re.Pattern[str] | None:
    """Returns the regular expression of an option `group`; None where there is none.

    Raises:
        UserError: it is no regular expression.
    """
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise UserError(f"dataset.split.group '{group}' is no regular expression: {error}; try '^(p\\d+)_'") from error


def whole_groups(ids: Sequence[str], groups: Sequence[str | None] | None, pattern: re.Pattern[str] | None) -> Codes:
    """Returns the group of each sample, for a split to keep whole.

    The data's own, and a sample of which the data says None by itself; without any, the pattern's first group (or whole
    match); without a pattern, each by itself. Where both are said, the pattern joins the data's groups to larger ones,
    such as the scans of a patient.

    Raises:
        UserError: an id has no match, or the pattern tears one of the data's groups apart.
    """
    own = None if groups is None else _filled(as_codes(groups), ids)
    if pattern is None:
        return Codes(np.arange(len(ids)), ids) if own is None else own
    found = as_codes([_found(pattern, name) for name in ids])
    if own is not None:
        _refuse_torn(own, found, pattern)
    return found


def statistic_groups(
    ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    pattern: re.Pattern[str] | None = None,
    cut: Indices | None = None,
) -> Codes:
    """Returns the group of each sample, for a statistic to draw together: samples of one group resemble each other.

    As `whole_groups`, but that a sample in which the pattern finds nothing stands for itself, and that samples which
    were cut as one sequence are one group; where nothing is said of groups, all samples are.

    Args:
        ids: unique names.
        groups: what the data says belongs together; None: nothing.
        pattern: the split's option `group`.
        cut: the samples among which the split cuts neighbours apart, as `Blocks` does, because they resemble each
            other; None: it cuts nothing.
    """
    said = _said(ids, groups, pattern)
    if cut is None or not are_alone(said, cut):
        return said
    codes = said.codes.astype(np.int64)
    codes[slice(None) if groups is None and pattern is None else cut] = len(said.names)
    return Codes(codes, (*said.names, SEQUENCE))


def are_alone(groups: Codes, samples: Indices) -> bool:
    """Returns whether no two of the samples are of one group: such samples are cut as one sequence."""
    return bool(np.bincount(groups.codes[samples]).max(initial=0) <= 1)


def draw_groups(groups: Codes, pool: Indices, seed: int, twins: Twins = ()) -> tuple[Indices, Indices]:
    """Returns the pool's groups in an order that hangs on seed and name alone; groups that share twins are one.

    Returns:
        The place of each pool sample's group in that order, and the number of pool samples of the group at each place.
    """
    codes = join_twins(groups.codes, twins)[pool]
    present = np.flatnonzero(np.bincount(codes))
    order = _order((groups.names[code] for code in present.tolist()), len(present), seed)
    place = np.empty(len(groups.names), np.int64)
    place[present[order]] = np.arange(len(order))
    places = place[codes]
    return places, np.bincount(places, minlength=len(order))


def say_groups(sizes: Indices, samples: int, twins: Twins) -> str:
    """Returns what was drawn from, for messages."""
    copies = f", {sum(map(len, twins))} of them copies of others, which stay together" if twins else ""
    return f"{counted(len(sizes), 'group')} of {counted(samples, 'sample')}{copies}"


def join_twins(codes: Indices, twins: Twins) -> Indices:
    """Returns the codes of groups (n,), those of twins made equal: each to the first's."""
    found = codes.copy() if twins else codes
    for some in twins:
        for code in {int(found[index]) for index in some[1:]}:
            found[found == code] = found[some[0]]
    return found


def nearest_groups(sizes: Indices, target: int, leave: int) -> Indices:
    """Returns positions whose sizes sum nearest to target, early ones preferred, at least `leave` of them left over.

    Subset sums by dynamic programming: `reach[s]` says whether sum s can be made, first by adding `added[s]`.
    """
    if not target or len(sizes) <= leave:
        return np.empty(0, np.int64)
    if sizes.max() == 1:
        return np.arange(min(target, len(sizes) - leave))  # what follows comes to the same, in quadratic time
    most = max(2 * target, int(sizes.min()))  # no sum beyond twice the target is nearest
    reach, added, top = np.zeros(most + 1, bool), np.full(most + 1, -1), 0
    reach[0] = True
    for position, size in enumerate(sizes.tolist()):
        if size > most:
            continue
        top = min(top + size, most)
        new = np.flatnonzero(reach[: top - size + 1] & ~reach[size : top + 1]) + size
        reach[new], added[new] = True, position
        if added[target] == position and len(sizes) - len(_members(target, added, sizes)) >= leave:
            break
    totals = np.flatnonzero(added >= 0)
    totals = totals[np.lexsort((totals, abs(totals - target)))]
    fits = (_members(total, added, sizes) for total in totals.tolist())
    return np.sort(next(members for members in fits if len(sizes) - len(members) >= leave))


def _compact(samples: Indices) -> Sequence[int]:
    return array("q", np.sort(samples).astype(np.int64).tobytes())


def _said(ids: Sequence[str], groups: Sequence[str | None] | None, pattern: re.Pattern[str] | None) -> Codes:
    """Returns the group of each sample as pattern or data say it, else itself."""
    own = None if groups is None else _filled(as_codes(groups), ids)
    if pattern is not None:
        names = ids if own is None else [own.names[code] for code in own.codes.tolist()]
        return as_codes([_matched(pattern, name) or other for name, other in zip(ids, names, strict=True)])
    return Codes(np.arange(len(ids)), ids) if own is None else own


def _filled(own: Codes, ids: Sequence[str]) -> Codes:
    """Returns the codes, with a group of its own for each sample that has none."""
    alone = np.flatnonzero(own.codes < 0)
    if not len(alone):
        return own
    codes = own.codes.astype(np.int64)
    codes[alone] = len(own.names) + np.arange(len(alone))
    return Codes(codes, (*own.names, *(ids[i] for i in alone.tolist())))


def _matched(pattern: re.Pattern[str], sample: str) -> str | None:
    found = pattern.search(sample)
    return found and found[1 if pattern.groups else 0]


def _found(pattern: re.Pattern[str], sample: str) -> str:
    name = _matched(pattern, sample)
    if name is None:
        raise UserError(
            f"dataset.split.group '{pattern.pattern}' finds no group in sample '{sample}'; expected a match in every "
            "id (its path without extension); mend the expression, or give dataset.split.group=null"
        )
    return name


def _refuse_torn(own: Codes, found: Codes, pattern: re.Pattern[str]) -> None:
    first = np.full(len(own.names), -1)
    first[own.codes[::-1]] = found.codes[::-1]  # of the first sample of each
    torn = np.flatnonzero(first[own.codes] != found.codes)
    if len(torn):
        code = int(own.codes[torn[0]])
        one, other = found.names[int(first[code])], found[int(torn[0])]
        raise UserError(
            f"dataset.split.group '{pattern.pattern}' tears apart '{own.names[code]}', which the data says belongs "
            f"together: into '{one}' and '{other}'; expected an expression that joins the data's groups to larger "
            "ones; mend it, or give dataset.split.group=null"
        )


def _order(names: Iterable[str], n: int, seed: int) -> Indices:
    """Returns the positions of the names by BLAKE2b of seed and name, 16 bytes.

    A hash, not a generator: stable over library versions, and a new group leaves the others in order.
    """
    mark = f"{seed}\0"
    digests = (hashlib.blake2b(f"{mark}{name}".encode(errors=BEYOND_UTF8), digest_size=16).digest() for name in names)
    halves = np.fromiter(digests, "S16", n).view(">u8").reshape(-1, 2)
    return np.lexsort((halves[:, 1], halves[:, 0]))  # as bytes are ordered: the first eight, then the others


def _members(total: int, added: Indices, sizes: Indices) -> Indices:
    members: list[int] = []
    while total:
        members.append(int(added[total]))
        total -= int(sizes[added[total]])
    return np.array(members, np.int64)
