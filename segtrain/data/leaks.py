"""Identical images on both sides of a split: what is judged on was trained on."""

from collections.abc import Hashable, Sequence

from segtrain.data.duplicates import same
from segtrain.data.split import Split
from segtrain.errors import UserError

SHOWN = 5  # groups that the message names


def leaks(split: Split, groups: Sequence[Sequence[int]]) -> list[list[tuple[str, int]]]:
    """Of groups of alike samples those that lie in more than one of train, val and test: (part, index) of each."""
    part_of = {index: part for part in ("train", "val", "test") for index in getattr(split, part)}
    placed = [[(part_of[i], i) for i in group if i in part_of] for group in groups]
    return [group for group in placed if len({part for part, _ in group}) > 1]


def refuse_leaks(ids: Sequence[str], split: Split, hashes: Sequence[Hashable], allow: bool) -> None:
    """Nothing, when no two samples of equal hash lie in different parts of the split, or when that is allowed.

    Args:
        ids: names of the samples.
        split: which sample is in which part; unused samples leak nothing.
        hashes: of each sample's image, in the order of ids.
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
