"""Identical images, or samples of one group, on both sides of a split: what is judged on was trained on."""

import itertools
from collections.abc import Hashable, Sequence

import numpy as np

from segtrain.data.duplicates import same
from segtrain.data.files.columns import Codes
from segtrain.data.split import PARTS, Split
from segtrain.errors import UserError

SHOWN = 5  # groups that the message names


def leaks(split: Split, groups: Sequence[Sequence[int]]) -> list[list[tuple[str, int]]]:
    """Of groups of alike samples those that lie in more than one of train, val and test: (part, index) of each."""
    part_of = {index: part for part in ("train", "val", "test") for index in getattr(split, part)}
    placed = [[(part_of[i], i) for i in group if i in part_of] for group in groups]
    return [group for group in placed if len({part for part, _ in group}) > 1]


def torn(groups: Codes, split: Split) -> dict[str, tuple[str, str]]:
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
    found = {} if allow else torn(groups, split)
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
    found = [] if allow else leaks(split, same(hashes))
    if not found:
        return
    shown = "; ".join(named(ids, group) for group in found[:SHOWN])
    more = f"; … ({len(found)} such images in all)" if len(found) > SHOWN else ""
    raise UserError(
        f"the split leaks: the same image lies in more than one of train, val and test; expected each in one part, or "
        f"what is measured has been trained on; got {shown}{more}; remove the copies, or keep them together with "
        "dataset.split.group; dataset.split.allow_leak=true trains all the same"
    )


def named(ids: Sequence[str], group: Sequence[tuple[str, int]]) -> str:
    """A group of (part, index) in words, three samples of it."""
    shown = " = ".join(
        f"'{ids[index]}'" + (f" ({part})" if part else "") for part, index in _one_a_part_first(group)[:3]
    )
    return f"{shown} and {len(group) - 3} more" if len(group) > 3 else shown


def _one_a_part_first(group: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    firsts = list({part: (part, index) for part, index in reversed(group)}.values())[::-1]
    return [*firsts, *(one for one in group if one not in firsts)]
