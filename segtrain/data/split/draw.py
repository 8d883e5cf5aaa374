"""The seeded draw: groups in an order by hash, and those whose sizes come nearest to a share."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from segtrain.counted import counted
from segtrain.data.files.columns import Codes
from segtrain.data.split.parts import Indices
from segtrain.files import BEYOND_UTF8

Twins = Sequence[Sequence[int]]  # samples of the same image, which belong into one part


def drawn(groups: Codes, pool: Indices, seed: int, twins: Twins = ()) -> tuple[Indices, Indices]:
    """The groups of the pool in an order that hangs on seed and name alone; groups that share twins are one.

    Returns:
        The place of each pool sample's group in that order, and the number of pool samples of the group at each place.
    """
    codes = joined(groups.codes, twins)[pool]
    present = np.flatnonzero(np.bincount(codes))
    order = _order((groups.names[code] for code in present.tolist()), len(present), seed)
    place = np.empty(len(groups.names), np.int64)
    place[present[order]] = np.arange(len(order))
    places = place[codes]
    return places, np.bincount(places, minlength=len(order))


def in_words(sizes: Indices, samples: int, twins: Twins) -> str:
    """Returns what was drawn from, for messages."""
    copies = f", {sum(map(len, twins))} of them copies of others, which stay together" if twins else ""
    return f"{counted(len(sizes), 'group')} of {counted(samples, 'sample')}{copies}"


def joined(codes: Indices, twins: Twins) -> Indices:
    """Returns the codes of groups (n,), those of twins made equal: each to the first's."""
    found = codes.copy() if twins else codes
    for some in twins:
        for code in {int(found[index]) for index in some[1:]}:
            found[found == code] = found[some[0]]
    return found


def _order(names: Iterable[str], n: int, seed: int) -> Indices:
    """Positions of the names by BLAKE2b of seed and name, 16 bytes.

    A hash, not a generator: stable over library versions, and a new group leaves the others in order.
    """
    mark = f"{seed}\0"
    digests = (hashlib.blake2b(f"{mark}{name}".encode(errors=BEYOND_UTF8), digest_size=16).digest() for name in names)
    halves = np.fromiter(digests, "S16", n).view(">u8").reshape(-1, 2)
    return np.lexsort((halves[:, 1], halves[:, 0]))  # as bytes are ordered: the first eight, then the others


def nearest(sizes: Indices, target: int, leave: int) -> Indices:
    """Positions whose sizes sum nearest to target, early ones preferred, at least `leave` of them left over.

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


def _members(total: int, added: Indices, sizes: Indices) -> Indices:
    members: list[int] = []
    while total:
        members.append(int(added[total]))
        total -= int(sizes[added[total]])
    return np.array(members, np.int64)
