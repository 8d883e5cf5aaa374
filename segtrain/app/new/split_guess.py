"""How samples are divided into train, val and test."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from segtrain.app.new.readers import Reader
from segtrain.app.new.yaml_lines import Line, entry
from segtrain.counted import counted
from segtrain.data.likely_groups import Groups, Stack, find_groups, find_prefixes, find_stack

PARTS = ("train", "val", "test")
FEW = 20  # images with a class, from which on a draw by shares alone nearly always has it in every part
SHARE = 0.15  # of val and of test, as conf/split/ratios.yaml has it


class Division(NamedTuple):
    """What the data says itself, and what else must not be torn apart: groups, neighbours in a stack."""

    given: frozenset[str]
    groups: Groups | None
    stack: Stack | None
    prefixes: dict[str, int]  # words that many names begin with, where there are no groups
    rare: int  # images with the rarest class, where they are so few that a draw may have none of it in a part; else 0
    example: str  # the first sample's id where groups were looked for and there are none; else empty

    @property
    def override(self) -> str:
        """What the file's defaults list has behind the format, where conf/split/ratios.yaml is not meant."""
        split = "blocks" if self.stack else "given" if self.given == {*PARTS} else "stratified" if self.rare else ""
        return f", override /split@_global_.split: {split}" if split else ""

    def lines(self) -> Iterator[Line]:
        """What differs from the split's own file, so that another split= may be chosen beside the rest."""
        if self.stack:
            near, far = self.stack.near, self.stack.far
            yield Line("split:", f"slabs: neighbours look alike (correlation {near:.2f}, far apart {far:.2f})")
            yield entry("gap", self.stack.gap, "samples left unused between the slabs", 2)
        elif self.groups:
            yield Line("split:", self._drawn)
            yield entry("group", self.groups.expression, self._group_words, 2)
        elif self.given != {*PARTS}:
            yield Line("", f"{self._drawn}; other shares: split: {{val: 0.2, test: 0.2}}, other ways: split=folds")
            if self.example:
                yield Line("", "no patients are seen in the names; images of one stay together with, say,")
                yield Line(
                    "", "split: {group: '^(p\\d+)_'}, whose brackets take what is the patient in a sample's name"
                )

    def found(self) -> Iterator[str]:
        """What was found, a sentence each."""
        if self.given:
            yield f"parts that the data names: {self._named}"
        if self.groups:
            yield f"{self._group_words} (split.group)"
        if self.stack:
            yield f"slices of one stack: neighbours look alike, so the split is slabs with a gap of {self.stack.gap}"

    def asked(self) -> Iterator[str]:
        """Yields what the names leave open, a sentence each."""
        if self.groups and self.groups.doubtful:
            yield (
                f"{self._group_words}: are these patients, stacks or the like? Else drop split.group, or write an "
                "expression that finds the patient"
            )
        elif self.prefixes:
            shown = ", ".join(f"'{word}' ({count})" for word, count in self.prefixes.items())
            yield (
                f"the names begin with {shown}: what are these? If several images are of one patient or stack, write "
                "split: {group: '^(p\\d+)'} with an expression whose brackets take that in names such as "
                f"'{self.example}'"
            )
        elif self.example:
            yield (
                "are several images of one patient, stack or object? None are seen in the names (looked for: folders, "
                "and what stands before _ - # or a blank and comes again); if there are, write "
                "split: {group: '^(p\\d+)'} with an expression whose brackets take what is the patient in names such "
                "as "
                f"'{self.example}'"
            )

    @property
    def _named(self) -> str:
        return " and ".join(part for part in PARTS if part in self.given)

    @property
    def _drawn(self) -> str:
        drawn = " and ".join(part for part in ("val", "test") if part not in self.given)
        how = (
            f", so that each has its share of each class: about {counted(self.rare, 'image')} "
            f"{'holds' if self.rare == 1 else 'hold'} the rarest"
            if self.rare
            else ""
        )
        return f"{drawn} are drawn, {SHARE:.0%} each{how}{f'; {self._named} the data names' if self.given else ''}"

    @property
    def _group_words(self) -> str:
        found = self.groups
        if found is None:
            return ""
        size = f"{found.smallest}" if found.smallest == found.largest else f"{found.smallest} to {found.largest}"
        return f"{found.number} groups of {size} samples by their names, such as '{found.example}', which stay together"


def find_division(
    root: Path, images: Mapping[str, str], given: set[str], reader: Reader, rarest: float = 1.0
) -> Division:
    """How images, id -> path, are divided.

    Args:
        root: what paths start from.
        images: ids as the dataset has them.
        given: the parts that the data itself names.
        reader: the format; samples that are pages are kept together by it.
        rarest: share of the images that hold the class that fewest hold.
    """
    draws = given != {*PARTS} and reader.pages != "samples"
    groups = find_groups(list(images), any("/" in name for name in images) and bool(given)) if draws else None
    stack = find_stack(root, images) if draws and not given and not groups and not reader.pages else None
    alone = draws and not groups and not stack and not reader.pages
    prefixes = find_prefixes(list(images)) if alone else {}
    holders = max(1, round(rarest * len(images)))
    rare = holders if draws and not stack and rarest < 1 and 1 < holders < FEW else 0
    return Division(frozenset(given), groups, stack, prefixes, rare, min(images, default="") if alone else "")
