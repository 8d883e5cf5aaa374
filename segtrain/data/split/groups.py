"""Which samples belong together: in one part of the split, and in one draw of a statistic."""

import re
from collections.abc import Sequence

import numpy as np

from segtrain.data.files.columns import Codes, coded
from segtrain.data.split.parts import Indices
from segtrain.errors import UserError

SEQUENCE = "one sequence"  # the group of all samples that are cut as one


def expression(group: str | None) -> re.Pattern[str] | None:
    """Returns the regular expression of an option `group`; None where there is none.

    Raises:
        UserError: it is no regular expression.
    """
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise UserError(f"dataset.split.group '{group}' is no regular expression: {error}; try '^(p\\d+)_'") from error


def grouping(ids: Sequence[str], groups: Sequence[str | None] | None, pattern: re.Pattern[str] | None) -> Codes:
    """Returns the group of each sample, for a split to keep whole.

    The data's own, and a sample of which the data says None by itself; without any, the pattern's first group (or whole
    match); without a pattern, each by itself. Where both are said, the pattern joins the data's groups to larger ones,
    such as the scans of a patient.

    Raises:
        UserError: an id has no match, or the pattern tears one of the data's groups apart.
    """
    own = None if groups is None else _filled(coded(groups), ids)
    if pattern is None:
        return Codes(np.arange(len(ids)), ids) if own is None else own
    found = coded([_found(pattern, name) for name in ids])
    if own is not None:
        _refuse_torn(own, found, pattern)
    return found


def groups_of(
    ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    pattern: re.Pattern[str] | None = None,
    cut: Indices | None = None,
) -> Codes:
    """Returns the group of each sample, for a statistic to draw together: samples of one group resemble each other.

    As `grouping`, but that a sample in which the pattern finds nothing stands for itself, and that samples which were
    cut as one sequence are one group; where nothing is said of groups, all samples are.

    Args:
        ids: unique names.
        groups: what the data says belongs together; None: nothing.
        pattern: the split's option `group`.
        cut: the samples among which the split cuts neighbours apart, as `Blocks` does, because they resemble each
            other; None: it cuts nothing.
    """
    said = _said(ids, groups, pattern)
    if cut is None or not all_alone(said, cut):
        return said
    codes = said.codes.astype(np.int64)
    codes[slice(None) if groups is None and pattern is None else cut] = len(said.names)
    return Codes(codes, (*said.names, SEQUENCE))


def all_alone(groups: Codes, samples: Indices) -> bool:
    """Returns whether no two of the samples are of one group: such samples are cut as one sequence."""
    return bool(np.bincount(groups.codes[samples]).max(initial=0) <= 1)


def _said(ids: Sequence[str], groups: Sequence[str | None] | None, pattern: re.Pattern[str] | None) -> Codes:
    """The group of each sample as pattern or data say it, else itself."""
    own = None if groups is None else _filled(coded(groups), ids)
    if pattern is not None:
        names = ids if own is None else [own.names[code] for code in own.codes.tolist()]
        return coded([_matched(pattern, name) or other for name, other in zip(ids, names, strict=True)])
    return Codes(np.arange(len(ids)), ids) if own is None else own


def _filled(own: Codes, ids: Sequence[str]) -> Codes:
    """The codes, with a group of its own for each sample that has none."""
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
