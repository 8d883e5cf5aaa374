"""Lines about images that are the same, to the bit or to the eye, within a part of the split and across."""

from collections.abc import Callable, Sequence

from segtrain.app.check.findings import Facts, Finding
from segtrain.data.duplicates import ALIKE, WITHIN, near, same
from segtrain.data.leaks import named

Groups = list[list[str]]
SHOWN = 3  # groups that a line names


def copies(facts: Facts, *, allow_leak: bool) -> list[Finding]:
    """Leaks, duplicates, contradicting masks and near-identical images.

    Args:
        facts: of all samples.
        allow_leak: identical images across the parts of the split warn only.
    """
    names = list(facts.seen)
    counted = [name for name in names if not facts.seen[name].mark.flat]
    equal = _named(counted, same([facts.seen[name].mark.exact for name in counted]))
    other = [group for group in equal if len({facts.seen[name].mask_hash for name in group}) > 1]
    known = {frozenset(group) for group in equal}
    placed = [name for name in names if name in facts.part_of or not facts.part_of]
    # samples that no part holds would chain what they lie between: slices across a gap, of which no two are alike
    alike = _named(placed, near([facts.seen[name].mark for name in placed]))
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
    return named(group, [(facts.part_of.get(name, ""), i) for i, name in enumerate(group)])
