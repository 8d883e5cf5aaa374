"""What a survey of the data finds, a line each: counts, sizes, values, classes, and what is wrong with which sample."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segtrain.counted import counted
from segtrain.data.cautions import ADVICE, several_scales
from segtrain.data.duplicates import ALIKE, WITHIN, group_near, group_same, say_copies
from segtrain.data.pixel_meaning import NARROW
from segtrain.data.survey import Seen, Survey, Unread
from segtrain.errors import Remark, summed

OUTSIDE = "values outside the classes"
QUOTED = re.compile(r"'[^']*'|\d+")  # what differs between messages that say the same
NAMED = 5  # samples that a line names
FAR = 8.0  # scaled median deviations that a mean intensity may lie off: beyond is no tail of any usual distribution
ODD = 4.0  # times the median side, or a fourth of it
MOSTLY = 0.5  # share of empty masks that is worth a warning
DARK = 16  # of 255: below, nothing of an image can be seen
Groups = list[list[str]]
SHOWN = 3  # groups that a line names


class Finding(NamedTuple):
    """One line: as a line of the audit of augmentation, and the samples that it is about."""

    check: str
    value: float | None
    shown: str
    threshold: str
    verdict: str  # unmeasured, ok, warn or fail
    meaning: str
    samples: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()  # of samples that belong together, such as duplicates

    def to_json(self) -> dict[str, Any]:
        """The line as a JSON-ready dict; what it has no samples for is left out."""
        return {key: value for key, value in self._asdict().items() if value != ()}


@dataclass(frozen=True)
class Facts:
    """What the lines are made from; samples that could be read, and those that could not, by id in order."""

    seen: Mapping[str, Seen]
    unread: Mapping[str, Unread]
    part_of: Mapping[str, str]  # train, val or test; empty where there is no split
    classes: Sequence[str]
    ignore_index: int

    @classmethod
    def of(
        cls, found: Survey, ids: Sequence[str], part_of: Mapping[str, str], classes: Sequence[str], ignore_index: int
    ) -> "Facts":
        """The facts of a survey."""
        seen = {ids[i]: one for i, one in found.items() if isinstance(one, Seen)}
        unread = {ids[i]: one for i, one in found.items() if isinstance(one, Unread)}
        return cls(seen, unread, part_of, classes, ignore_index)

    def those(self, holds: Callable[[Seen], bool]) -> list[str]:
        """Ids of the samples for which it holds."""
        return [name for name, one in self.seen.items() if holds(one)]

    def of_part(self, part: str) -> list[Seen]:
        """The samples of train, val or test; all where there is no split and train is asked for."""
        if not self.part_of:
            return list(self.seen.values()) if part == "train" else []
        return [one for name, one in self.seen.items() if self.part_of.get(name) == part]


def said(check: str, shown: str, meaning: str, value: float | None = None) -> Finding:
    """A line that only informs."""
    return Finding(check, value, shown, "none", "ok", meaning)


def bad(check: str, samples: Sequence[str], total: int, meaning: str, verdict: str = "fail", note: str = "") -> Finding:
    """A line that is not ok when there are such samples."""
    shown = f"{len(samples)} of {total}{note}" if samples else "none"
    shown += f": {some(samples)}" if samples else ""
    outcome = verdict if samples else "ok"
    return Finding(check, len(samples), shown, f"{verdict} > 0", outcome, meaning, tuple(samples))


def some(names: Sequence[str]) -> str:
    """The first names."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def reading(facts: Facts) -> list[Finding]:
    """How many samples there are, and which cannot be read: a line for each kind of reason."""
    counts = Counter(facts.part_of.get(name, "unused") for name in [*facts.seen, *facts.unread])
    total = len(facts.seen) + len(facts.unread)
    parts = ", ".join(f"{part} {counts[part]}" for part in ("train", "val", "test", "unused") if counts[part])
    lines = [said("samples", f"{total}" + (f": {parts}" if facts.part_of else ""), "pairs of image and mask", total)]
    coded = {name: one for name, one in facts.unread.items() if one.codes}
    kinds: dict[str, list[str]] = {}
    for name, one in facts.unread.items():
        if not one.codes:
            kinds.setdefault(QUOTED.sub("…", one.reason), []).append(name)
    lines += [bad("unreadable", names, total, facts.unread[names[0]].reason) for names in kinds.values()]
    if not kinds:
        lines.append(bad("unreadable", [], total, "all files are whole, masks as large as their images"))
    return [*lines, values(coded, total)]


def values(coded: Mapping[str, Unread], total: int) -> Finding:
    """Values or colours in masks that are no class, summed up over all masks."""
    pixels, masks = Counter[str](), Counter[str]()
    for one in coded.values():
        pixels.update(one.codes)
        masks.update(one.codes.keys())
    shown = ", ".join(
        f"{code} ({counted(masks[code], 'mask')}, {pixels[code]} px)" for code in sorted(pixels, key=_order)[:NAMED]
    )
    more = f", … ({len(pixels)} values)" if len(pixels) > NAMED else ""
    line = bad(OUTSIDE, list(coded), total, "every value in every mask is a class")
    return (
        line._replace(shown=f"{shown}{more} in {line.shown}", meaning=next(iter(coded.values())).reason)
        if coded
        else line
    )


def codes(facts: Facts) -> list[str]:
    """The values or colours "#rrggbb" found in masks that are no class, in their order."""
    return sorted({code for one in facts.unread.values() for code in one.codes}, key=_order)


def _order(code: str) -> tuple[int, str]:
    return (int(code), "") if code.lstrip("-").isdecimal() else (1 << 30, code)


def pictures(facts: Facts) -> list[Finding]:
    """Sizes, channels, depth and values of the images."""
    if not facts.seen:
        return []
    every, total = list(facts.seen.values()), len(facts.seen)
    heights, widths = (np.array([getattr(one, side) for one in every]) for side in ("height", "width"))
    distinct = len({(one.height, one.width) for one in every})
    least, middle, most = (f"{f(widths):g} x {f(heights):g}" for f in (np.min, np.median, np.max))
    size = f"{least} in all" if distinct == 1 else f"{distinct} sizes, from {least} over {middle} (median) to {most}"
    sides = np.sqrt(heights * widths)
    off = np.abs(np.log(sides / np.median(sides))) > np.log(ODD)
    odd = [name for name, is_off in zip(facts.seen, off, strict=True) if is_off]
    return [
        said("sizes", size, "width x height in pixels", distinct),
        bad("odd sizes", odd, total, f"sides {ODD:g} times the median or a {ODD:g}th: other magnification?", "warn"),
        *_kinds(facts, "channels", [str(one.channels) for one in every], "warn"),
        *_kinds(facts, "depth", [one.dtype for one in every], "fail"),
        said("values", f"{min(o.low for o in every):g} to {max(o.high for o in every):g}", "of the pixels as stored"),
        bad(
            "not finite", facts.those(lambda one: not one.finite), total, "NaN or infinity in an image spoils training"
        ),
        bad("constant images", facts.those(lambda one: one.mark.flat), total, "one value throughout", "warn"),
        bad("dark images", facts.those(_dark), total, f"no value of {DARK} or more: a mask, or wrongly saved?", "warn"),
        bad("odd intensities", _odd_means(facts), total, f"mean more than {FAR:g} deviations off the median", "warn"),
    ]


def remarked(facts: Facts, opening: Sequence[Remark]) -> list[Finding]:
    """What readers do that their user may not expect, as they opened the data and as they read them: a line a kind."""
    read = (one._replace(names=(name,)) for name, seen in facts.seen.items() for one in seen.remarks)
    of_all = f" of {len(facts.seen) + len(facts.unread)}"
    return [
        Finding(
            one.kind,
            len(one.names),
            f"{len(one.names)}{total}: {some(one.names)}",
            "none" if one.is_fine else "warn > 0",
            "ok" if one.is_fine else "warn",
            one.message,
            one.names,
        )
        for remarks, total in ((opening, ""), (read, of_all))
        for one in summed(remarks)
    ]


def _kinds(facts: Facts, what: str, kinds: Sequence[str], verdict: str) -> list[Finding]:
    counts = Counter(kinds)
    usual = counts.most_common(1)[0][0]
    if len(counts) == 1:
        return [said(what, usual, "of every image")]
    others = [name for name, kind in zip(facts.seen, kinds, strict=True) if kind != usual]
    note = f" ({', '.join(f'{kind} in {count}' for kind, count in counts.most_common())})"
    return [bad(what, others, len(kinds), "images that differ from most: two sources?", verdict, note)]


def scales(facts: Facts) -> list[Finding]:
    """Whether the values of the images, of more than 8 bits, are of one scale; no line where nobody could tell."""
    spans = {name: one.span for name, one in facts.seen.items() if one.span is not None}
    if not spans:
        return []
    found, names = several_scales([*spans.values()]), [*spans]
    fewer = [] if found is None else [names[place] for place in found.fewer]
    line = bad("value scales", fewer, len(spans), "spans of values without a gap" if found is None else ADVICE, "warn")
    shown = line.shown if found is None else f"{len(fewer)} of {len(spans)} {found.words}: {some(fewer)}"
    return [line._replace(shown=shown, threshold=f"warn: a gap of {NARROW:g} times or more")]


def _dark(one: Seen) -> bool:
    return one.dtype == "uint8" and not one.mark.flat and one.high < DARK


def _odd_means(facts: Facts) -> list[str]:
    means = np.array([sum(one.total) / (one.height * one.width * one.channels) for one in facts.seen.values()])
    off = np.abs(means - np.median(means))
    spread = 1.4826 * np.median(off)  # equals the standard deviation of a normal distribution
    return [name for name, far in zip(facts.seen, off, strict=True) if spread and far > FAR * spread]


def labels(facts: Facts) -> list[Finding]:
    """Pixels and presence of each class, empty and ignored masks."""
    if not facts.seen:
        return []
    total, every = len(facts.seen), list(facts.seen.values())
    counted = sum(n for one in every for label, n in one.pixels.items() if label != facts.ignore_index)
    lines = [_class(facts, label, name, counted) for label, name in enumerate(facts.classes)]
    ground = facts.classes.index("background") if "background" in facts.classes else None
    things = [label for label in range(len(facts.classes)) if label != ground]
    ignored = sum(one.pixels.get(facts.ignore_index, 0) for one in every)
    share = ignored / max(1, ignored + counted)
    nothing = facts.those(lambda one: set(one.pixels) <= {facts.ignore_index})
    lines.append(said("ignored pixels", _percent(share), "count in no loss and no metric", share))
    lines.append(bad("wholly ignored masks", nothing, total, "such a sample teaches nothing", "warn"))
    if ground is not None and things:
        empty = [name for name in facts.those(lambda o: not any(t in o.pixels for t in things)) if name not in nothing]
        line = bad("empty masks", empty, total, "background alone; many of them teach to predict nothing", "warn")
        verdict = "warn" if len(empty) > MOSTLY * total else "ok"
        lines.append(line._replace(threshold=f"warn > {100 * MOSTLY:g} %", verdict=verdict))
    return lines


def _class(facts: Facts, label: int, name: str, counted: int) -> Finding:
    holders = facts.those(lambda one: label in one.pixels)
    share = sum(facts.seen[holder].pixels[label] for holder in holders) / max(1, counted)
    shown = f"{_percent(share)} of pixels, in {len(holders)} of {len(facts.seen)} masks"
    by_part, lacking = [], []
    for part in ("train", "val", "test") if facts.part_of else ():
        some = facts.of_part(part)
        have = sum(label in one.pixels for one in some)
        pixels = sum(one.pixels.get(label, 0) for one in some) / max(1, sum(one.height * one.width for one in some))
        by_part.append(f"{part} {_percent(pixels)} in {have}")
        lacking += [] if have else [part]
    shown += f" ({', '.join(by_part)})" if by_part else ""
    if not holders or "train" in lacking:
        verdict, meaning = "fail", "a class that training never sees: is its value right, is it split away?"
    elif lacking:
        unread = (
            " (where files could not be read)" if any(facts.part_of.get(one) in lacking for one in facts.unread) else ""
        )
        verdict, meaning = (
            "warn",
            f"no pixel of it in {' and '.join(lacking)}{unread}: its score cannot be measured there",
        )
    else:
        verdict, meaning = "ok", "share of the pixels that count, masks that hold it"
    return Finding(f"pixels of {name}", share, shown, "fail 0 in train, warn 0 in a part", verdict, meaning)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def copies(facts: Facts, *, allow_leak: bool) -> list[Finding]:
    """Leaks, duplicates, contradicting masks and near-identical images.

    Args:
        facts: of all samples.
        allow_leak: identical images across the parts of the split warn only.
    """
    names = list(facts.seen)
    counted = [name for name in names if not facts.seen[name].mark.flat]
    equal = _named(counted, group_same([facts.seen[name].mark.exact for name in counted]))
    other = [group for group in equal if len({facts.seen[name].mask_hash for name in group}) > 1]
    known = {frozenset(group) for group in equal}
    placed = [name for name in names if name in facts.part_of or not facts.part_of]
    # samples that no part holds would chain what they lie between: slices across a gap, of which no two are alike
    alike = _named(placed, group_near([facts.seen[name].mark for name in placed]))
    alike = [group for group in alike if frozenset(group) not in known]
    across, within = _sides(facts, equal)
    near_across, near_within = _sides(facts, alike)
    seen_alike = f"within {WITHIN} of 64 bits of a perceptual hash, correlation from {ALIKE:g}"
    line = _lines(facts)
    return [
        line(
            "leaks", across, "warn" if allow_leak else "fail", "one image in two parts: judged on what was trained on"
        ),
        line("duplicates", within, "warn", "the same image twice in a part: it counts twice"),
        line("contradicting masks", other, "warn", "the same image with different masks: which one is right?"),
        line("near-identical across parts", near_across, "warn", f"{seen_alike}: a leak, if they show the same"),
        line("near-identical in a part", near_within, "ok", f"{seen_alike}: less variety than it seems"),
    ]


def _named(names: Sequence[str], groups: Sequence[Sequence[int]]) -> Groups:
    return [[names[i] for i in group] for group in groups]


def _sides(facts: Facts, groups: Groups) -> tuple[Groups, Groups]:
    """Groups that lie in more than one part, and the others."""
    parts = [{facts.part_of[name] for name in group if name in facts.part_of} for group in groups]
    across = [group for group, of in zip(groups, parts, strict=True) if len(of) > 1]
    return across, [group for group in groups if group not in across]


def _lines(facts: Facts) -> Callable[[str, Groups, str, str], Finding]:
    def line(check: str, groups: Groups, verdict: str, meaning: str) -> Finding:
        shown = "; ".join(_shown(facts, group) for group in groups[:SHOWN]) + ("; …" if len(groups) > SHOWN else "")
        count = f"{len(groups)} group{'s' if len(groups) > 1 else ''}: " if groups else "none"
        threshold = "none" if verdict == "ok" else f"{verdict} > 0"
        samples = tuple(name for group in groups for name in group)
        outcome = verdict if groups else "ok"
        return Finding(
            check, len(groups), count + shown, threshold, outcome, meaning, samples, tuple(map(tuple, groups))
        )

    return line


def _shown(facts: Facts, group: Sequence[str]) -> str:
    return say_copies(group, [(facts.part_of.get(name, ""), i) for i, name in enumerate(group)])
