"""Finds which images are the same, to the bit or to the eye, and what lies on both sides of a split.

Near-identical images are searched by perceptual hash and confirmed by the correlation of small grey copies. On two
real sets (300 stained cells, 30 microscopy slices) recompression as JPEG of quality 30, halved size, noise of 10 grey
levels and gamma change a hash by at most 8 of its 64 bits, all but one in twenty by 4, while a pair of different images
in ten thousand is as near as 7; of those near pairs only true copies correlate above .98.

Copies, or samples of one group, on both sides of a split mean that what is judged on was trained on.
"""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segtrain.data.datasets import SegmentationDataset
from segtrain.data.files.columns import Codes
from segtrain.data.files.digest import hash_pixels, is_flat
from segtrain.data.files.samples import Pixels
from segtrain.data.split import PARTS, Split
from segtrain.errors import UserError

SIDE = 32  # pixels of the grey copy: the hash's transform asks for it, and the correlation takes it too
WITHIN = 7  # bits of 64: above, and the largest at which one of four 16-bit blocks differs by no more than one bit
ALIKE = 0.98  # correlation of the grey copies
BLOCKS, BITS = 4, 16  # of a hash, for the search
AT_ONCE = 1 << 22  # candidate pairs compared at a time: 100 MB
SHOWN = 5  # groups that the message names


class Mark(NamedTuple):
    """Holds what is kept of an image: `exact`, its pixels' hash, `near`, its perceptual hash, `sketch`, a grey copy."""

    exact: bytes
    near: int
    sketch: bytes  # SIDE x SIDE uint8, stretched to 0..255
    flat: bool  # one value throughout: such an image resembles every other that is


def mark(image: Pixels) -> Mark:
    """Returns the mark of an image (H, W, C) of any dtype.

    The perceptual hash: signs of the 8 x 8 lowest frequencies of a 32 x 32 grey copy against their median.
    Source: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.1.1.
    """
    grey = _grey(image)
    low, high = float(grey.min()), float(grey.max())
    waves = np.asarray(cv2.dct(grey))[:8, :8].ravel()
    bits = np.packbits(waves > np.median(waves[1:]))  # without the mean, which only says how bright it is
    stretched = ((grey - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8)
    return Mark(hash_pixels(image), int.from_bytes(bits.tobytes(), "big"), stretched.tobytes(), is_flat(image))


def copies_of(dataset: SegmentationDataset) -> list[list[int]]:
    """Returns the groups of samples that show the same image, as far as the data set knows: see the contract."""
    hashes = getattr(dataset, "hashes", lambda: None)()
    return [] if hashes is None else group_same(hashes)


def group_same(marks: Sequence[Hashable]) -> list[list[int]]:
    """Returns the groups of positions, two or more each, whose marks are equal; None is equal to nothing."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position, one in enumerate(marks):
        if one is not None:
            groups[one].append(position)
    return [group for group in groups.values() if len(group) > 1]


def group_near(marks: Sequence[Mark]) -> list[list[int]]:
    """Returns groups of positions, two or more each, chained by pairs that look alike; flat images are in none."""
    kept = np.array([i for i, one in enumerate(marks) if not one.flat], np.int64)
    if len(kept) < 2:
        return []
    hashes = np.array([marks[i].near for i in kept], np.uint64)
    known, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    pairs = [first[np.array(found)] for found in _close(known)]
    others = np.flatnonzero(first[which] != np.arange(len(kept)))  # equal hashes: each with the first of them
    pairs.append(np.stack([first[which[others]], others]))
    left, right = np.concatenate(pairs, axis=1)
    alike = _alike(marks, kept[left], kept[right])
    graph = coo_array((np.ones(alike.sum()), (left[alike], right[alike])), shape=(len(kept), len(kept)))
    groups = connected_components(graph, directed=False)[1]
    return [kept[group].tolist() for group in group_same(groups.tolist())]


def find_leaks(split: Split, groups: Sequence[Sequence[int]]) -> list[list[tuple[str, int]]]:
    """Returns the groups of alike samples that lie in more than one of train, val and test: (part, index) of each."""
    part_of = {index: part for part in PARTS for index in getattr(split, part)}
    placed = [[(part_of[i], i) for i in group if i in part_of] for group in groups]
    return [group for group in placed if len({part for part, _ in group}) > 1]


def find_torn(groups: Codes, split: Split) -> dict[str, tuple[str, str]]:
    """Returns the groups that lie in more than one of train, val and test, by name: the first two parts of each."""
    lying = [
        np.bincount(groups.codes[np.asarray(part, np.int64)], minlength=len(groups.names)) > 0 for part in split[:3]
    ]
    found: dict[str, tuple[str, str]] = {}
    for (one, these), (other, those) in itertools.combinations(zip(PARTS, lying, strict=True), 2):
        for code in np.flatnonzero(these & those).tolist():
            found.setdefault(groups.names[code], (one, other))
    return found


def refuse_torn(groups: Codes, split: Split, allow: bool) -> None:
    """Raises UserError unless every group lies in one part of the split, or that is allowed; names the first.

    Args:
        groups: of each sample.
        split: which sample is in which part; unused samples count for nothing.
        allow: split.allow_leak.
    """
    found = {} if allow else find_torn(groups, split)
    if found:
        first = min(found)
        one, other = found[first]
        raise UserError(
            f"group '{first}' lies in {one} and in {other} as the data is split, {len(found)} such "
            f"group{'s' * (len(found) > 1)}; expected each on one side, or what is measured has been trained on; "
            "move its samples, or draw the split anew (split=ratios, where the data does not give it); "
            "dataset.split.allow_leak=true trains all the same"
        )


def refuse_leaks(ids: Sequence[str], split: Split, hashes: Sequence[Hashable], allow: bool) -> None:
    """Raises UserError when two samples of equal hash lie in different parts of the split, unless that is allowed.

    Args:
        ids: names of the samples.
        split: which sample is in which part; unused samples leak nothing.
        hashes: of each sample's image, in the order of ids; None is equal to nothing.
        allow: split.allow_leak.

    Raises:
        UserError: names the samples and their parts.
    """
    found = [] if allow else find_leaks(split, group_same(hashes))
    if not found:
        return
    shown = "; ".join(say_copies(ids, group) for group in found[:SHOWN])
    more = f"; … ({len(found)} such images in all)" if len(found) > SHOWN else ""
    raise UserError(
        f"the split leaks: the same image lies in more than one of train, val and test; expected each in one part, or "
        f"what is measured has been trained on; got {shown}{more}; remove the copies, or keep them together with "
        "dataset.split.group; dataset.split.allow_leak=true trains all the same"
    )


def say_copies(ids: Sequence[str], group: Sequence[tuple[str, int]]) -> str:
    """Returns a group of (part, index) in words, three samples of it."""
    shown = " = ".join(
        f"'{ids[index]}'" + (f" ({part})" if part else "") for part, index in _one_a_part_first(group)[:3]
    )
    return f"{shown} and {len(group) - 3} more" if len(group) > 3 else shown


def _grey(image: Pixels) -> Pixels:
    plain = image if image.dtype in (np.uint8, np.uint16) else np.nan_to_num(image.astype(np.float32))
    if plain.shape[2] > 4:  # more than OpenCV resizes at once
        plain = plain.mean(2, dtype=np.float32, keepdims=True)
    small = np.asarray(cv2.resize(plain, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).astype(np.float32)
    return small if small.ndim == 2 else small.mean(2)


def _close(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Yields pairs of positions of different hashes within WITHIN bits, by multi-index hashing; some come twice.

    Of four blocks one differs by at most one bit, or all would add up to more: only hashes that agree so in a block are
    compared. Source: Norouzi, Punjani and Fleet 2012, Fast Search in Hamming Space with Multi-Index Hashing.
    """
    for block in range(BLOCKS):
        keys = (hashes >> np.uint64(BITS * block)).astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        for flip in (0, *(1 << bit for bit in range(BITS))):
            wanted = keys ^ np.uint16(flip)
            begins = np.searchsorted(ordered, wanted, "left")
            counts = np.searchsorted(ordered, wanted, "right") - begins
            for some in _portions(counts):
                left = np.repeat(some, counts[some])
                step = np.arange(len(left)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
                right = order[np.repeat(begins[some], counts[some]) + step]
                good = (left < right) & (np.bitwise_count(hashes[left] ^ hashes[right]) <= WITHIN)
                yield left[good], right[good]


def _portions(counts: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Returns positions with a count, in portions whose counts sum to about AT_ONCE."""
    some = np.flatnonzero(counts)
    ends = np.cumsum(counts[some])
    return np.split(some, np.searchsorted(ends, np.arange(AT_ONCE, ends[-1], AT_ONCE))) if len(some) else []


def _alike(marks: Sequence[Mark], left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns whether the grey copies of each pair correlate."""
    found = np.zeros(len(left), bool)
    for begin in range(0, len(left), 1 << 12):
        part = slice(begin, begin + (1 << 12))
        one, other = (_standard(marks, side[part]) for side in (left, right))
        found[part] = (one * other).sum(1) >= ALIKE
    return found


def _standard(marks: Sequence[Mark], positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    copies = np.frombuffer(b"".join(marks[i].sketch for i in positions), np.uint8).reshape(len(positions), -1)
    values = copies.astype(np.float32) - copies.mean(1, dtype=np.float32, keepdims=True)
    standard: Pixels = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    return standard


def _one_a_part_first(group: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    firsts = list({part: (part, index) for part, index in reversed(group)}.values())[::-1]
    return [*firsts, *(one for one in group if one not in firsts)]
