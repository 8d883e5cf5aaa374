"""Guesses the config of a folder of images and masks, with a reason beside each guess."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segtrain.app.new.class_names import find_names
from segtrain.app.new.config_lines import ConfigLine, Guess, key_line
from segtrain.app.new.file_samples import FILES, Reader, Sizes, choose_reader, find_label_channels, find_sizes
from segtrain.app.new.layout import ORPHANS, FolderLayout, find_layout, left_out_words, orphan_words
from segtrain.app.new.mask_values import Meaning, class_lines, class_questions, class_words, find_meaning
from segtrain.counted import counted
from segtrain.data.files.file_names import SPLIT_OF, Found
from segtrain.data.files.samples import PARTS
from segtrain.data.likely_groups import Groups, Stack, find_groups, find_prefixes, find_stack
from segtrain.errors import UserError
from segtrain.files import text_opened
from segtrain.spread import spread

LINES = 50  # of a list that are compared with the names
LISTED = 0.9  # share of them that must name a sample
FEW = 20  # images with a class, from which on a draw by shares alone nearly always has it in every part
SHARE = 0.15  # of val and of test, as conf/split/ratios.yaml has it


class Lists(NamedTuple):
    """Holds split -> list below root, and what its paths begin with that is not below root."""

    files: dict[str, str]
    prefix: str


def guess_folder(root: Path, found: Found) -> Guess:
    """Returns how the folder format, or the one for TIFF of many channels, reads what is below root.

    Raises:
        UserError: no images, none that look like masks, or files of which none can be read.
    """
    reader = choose_reader(root, found.pictures)
    layout = find_layout(root, found, reader)
    images = {key: layout.images.files[key] for key in layout.keys}
    masks = [layout.masks.files[key] for key in layout.keys]
    sizes = find_sizes(root, list(zip(images.values(), masks, strict=True)), reader)
    names = find_names(root, found, masks)
    meaning = find_meaning(root, masks, reader, layout.mask_look.numbered, layout.mask_look.smeared, names)
    by_id = {"/".join(part for part in key if part): path for key, path in images.items()}
    texts = found.ending(".txt") if reader.format == "folder" and not layout.images.splits else []
    lists = _find_lists(root, texts, by_id)
    division = _find_division(
        root, by_id, layout.images.splits or set(lists.files if lists else ()), reader, meaning.rarest
    )
    doubtful = _label_channels(root, layout, reader)
    lines = [
        ConfigLine(f"defaults: [{reader.format}{division.override}]"),
        key_line("root", str(root), "" if root.is_absolute() else "from the current directory"),
        *_side_lines(layout, sizes, reader, doubtful),
        *_list_lines(lists),
        *([key_line("orphans", ORPHANS, orphan_words(layout.orphans))] if layout.orphans and not lists else []),
        *class_lines(meaning),
        *division.lines(),
        *([ConfigLine("", sizes.advice)] if sizes.advice else []),
    ]
    said = (*_found(layout, sizes), class_words(meaning), *division.found())
    asked = (*_asked(layout, sizes, meaning, lists), *_asked_of_channels(doubtful), *division.asked())
    return Guess(tuple(lines), said, asked, sizes.fitting, division.units(len(layout.keys)))


def _label_channels(root: Path, layout: FolderLayout, reader: Reader) -> list[int]:
    if reader.pages != "channels":
        return []
    return find_label_channels(root, spread([layout.images.files[key] for key in layout.keys], FILES), reader.image)


def _asked_of_channels(doubtful: Sequence[int]) -> Iterator[str]:
    if doubtful:
        yield (
            f"channels {', '.join(map(str, doubtful))} of the images (from 0) hold areas of few whole values, as "
            "labels do, and are no input; if they are one, add them to channels"
        )


def _side_lines(layout: FolderLayout, sizes: Sizes, reader: Reader, doubtful: Sequence[int]) -> Iterator[ConfigLine]:
    looks = layout.image_look, layout.mask_look
    reason = (
        "numbers of objects"
        if looks[1].numbered and not looks[1].few
        else f"{counted(looks[1].distinct, 'value')} in a sample"
    )
    yield key_line("images", layout.images.pattern, f"{counted(len(layout.images.files), 'file')}: {sizes.words}")
    also = f"; could be masks too: {', '.join(layout.rivals)}" if layout.rivals else ""
    yield key_line("masks", layout.masks.pattern, f"{counted(len(layout.masks.files), 'file')}: {reason}{also}")
    if reader.pages:
        yield key_line("pages", reader.pages, "what the pages of a file are")
        if doubtful:
            taken = [channel for channel in range(max(sizes.channels)) if channel not in doubtful]
            yield key_line("channels", taken, "the others hold areas of few whole values, as labels do")
        return
    if layout.regions:
        yield key_line("regions", layout.regions.pattern, "a field of view: what is black in it counts nowhere")
    if len(sizes.channels) > 1:
        yield key_line("channels", 3, f"{sizes.channels[1]} images looked at are grey, {sizes.channels[3]} RGB")


def _list_lines(lists: Lists | None) -> Iterator[ConfigLine]:
    if lists:
        yield key_line("lists", lists.files, "names of the samples of each part, a line each; others are left out")
        if lists.prefix:
            yield key_line("prefix", lists.prefix, "what the lists' paths begin with and the folder lacks")


def _found(layout: FolderLayout, sizes: Sizes) -> Iterator[str]:
    images = counted(len(layout.keys), "image")
    yield f"{images} ({layout.images.pattern}; {sizes.words}) with masks ({layout.masks.pattern})"
    if layout.regions:
        yield f"a field of view: {layout.regions.pattern}"


def _asked(layout: FolderLayout, sizes: Sizes, meaning: Meaning, lists: Lists | None) -> Iterator[str]:
    yield from class_questions(meaning)
    if layout.rivals:
        yield f"are the masks right? these could be masks too: {', '.join(layout.rivals)}"
    if layout.orphans and not lists:
        yield left_out_words(layout.orphans)
    if layout.mask_look.is_view:
        yield (
            f"{layout.masks.pattern} is one region of a third or more of every picture, as a field of view is; if so, "
            "it is no mask: write it as regions, and name the folder of the masks"
        )
    if layout.image_look.few and not layout.mask_look.numbered:
        yield (
            f"{layout.images.pattern} holds only {counted(layout.image_look.distinct, 'value')} in a sample, as "
            f"labels do; are these the images, and is {layout.masks.pattern} what is to be learned? Else exchange "
            "images and masks"
        )
    if layout.unlabelled:
        yield f"{' and '.join(layout.unlabelled)} has images without masks, which training cannot use"
    if sizes.unequal:
        yield f"{len(sizes.unequal)} images and masks differ in size, such as '{sizes.unequal[0]}'"
    if len(layout.keys) < len(PARTS):
        yield f"{counted(len(layout.keys), 'sample')} cannot be split into train, val and test; add more"
    if sizes.advice:
        yield sizes.advice


def _find_lists(root: Path, texts: Sequence[str], images: Mapping[str, str]) -> Lists | None:
    """Returns the lists of the folder that has most, for images by id; None without a list of training samples.

    A list names a sample on each line: its id, its file, or paths of image and mask.
    """
    names = {spelling for name, path in images.items() for spelling in (name, path, name + PurePosixPath(path).suffix)}
    found: dict[str, dict[str, str]] = {}
    prefixes: dict[str, str] = {}
    for path in texts:
        pure = PurePosixPath(path)
        split = SPLIT_OF.get(pure.stem.lower())
        prefix = _prefix(list(_first_words(root / path)), names) if split and pure.suffix.lower() == ".txt" else None
        if split and prefix is not None:
            found.setdefault(str(pure.parent), {})[split] = path
            prefixes[str(pure.parent)] = prefix
    best = max(found, key=lambda folder: len(found[folder]), default="")
    if "train" not in found.get(best, {}):
        return None
    return Lists(
        {split: found[best][split] for split in ("train", "val", "test") if split in found[best]}, prefixes[best]
    )


def _first_words(path: Path) -> Iterator[str]:
    """Yields the first word of each of the first lines."""
    with suppress(UserError, OSError), text_opened(path, errors="replace") as file:
        for line, _ in zip(file, range(LINES), strict=False):
            if line.strip():
                yield line.split()[0]


def _prefix(words: Sequence[str], names: set[str]) -> str | None:
    """Returns what must be cut from the words so that they are names; None when no cut does that."""
    if not words:
        return None
    pieces = words[0].split("/")
    for cut in range(len(pieces)):
        prefix = "/".join(pieces[:cut]) + ("/" if cut else "")
        hits = sum(word.startswith(prefix) and word[len(prefix) :] in names for word in words)
        if hits >= LISTED * len(words):
            return prefix
    return None


class Division(NamedTuple):
    """Holds what the data says itself, and what else must not be torn apart: groups, neighbours in a stack."""

    given: frozenset[str]
    groups: Groups | None
    stack: Stack | None
    prefixes: dict[str, int]  # words that many names begin with, where there are no groups
    rare: int  # images with the rarest class, where they are so few that a draw may have none of it in a part; else 0
    example: str  # the first sample's id where groups were looked for and there are none; else empty

    @property
    def override(self) -> str:
        """Returns what stands in the defaults list behind the format, where conf/split/ratios.yaml is not meant."""
        split = "blocks" if self.stack else "given" if self.given == {*PARTS} else "stratified" if self.rare else ""
        return f", override /split@_global_.split: {split}" if split else ""

    def units(self, images: int) -> int:
        """Returns how many of so many images are independent: the groups, and one of a stack."""
        return 1 if self.stack else self.groups.number if self.groups else images

    def lines(self) -> Iterator[ConfigLine]:
        """Yields what differs from the split's own file, so that another split= may be chosen beside the rest."""
        if self.stack:
            near, far = self.stack.near, self.stack.far
            yield ConfigLine("split:", f"slabs: neighbours look alike (correlation {near:.2f}, far apart {far:.2f})")
            yield key_line("gap", self.stack.gap, "samples left unused between the slabs", 2)
        elif self.groups:
            yield ConfigLine("split:", self._drawn)
            yield key_line("group", self.groups.expression, self._group_words, 2)
        elif self.given != {*PARTS}:
            yield ConfigLine(
                "", f"{self._drawn}; other shares: split: {{val: 0.2, test: 0.2}}, other ways: split=folds"
            )
            if self.example:
                yield ConfigLine("", "no patients are seen in the names; images of one stay together with, say,")
                yield ConfigLine(
                    "", "split: {group: '^(p\\d+)_'}, whose brackets take what is the patient in a sample's name"
                )

    def found(self) -> Iterator[str]:
        """Yields what was found, a sentence each."""
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
                "and what stands before _ - # or a blank and comes again); if there are, write split: {group: "
                "'^(p\\d+)'} with an expression whose brackets take what is the patient in names such as "
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


def _find_division(
    root: Path, images: Mapping[str, str], given: set[str], reader: Reader, rarest: float = 1.0
) -> Division:
    """Returns how images, id -> path, are divided.

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
