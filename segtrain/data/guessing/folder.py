"""A folder of images and masks as a config of the folder format, with a reason beside each guess."""

from collections.abc import Iterator
from pathlib import Path

from segtrain.data.guessing.classes import NAME_THEM, class_lines, class_words
from segtrain.data.guessing.files import Found
from segtrain.data.guessing.groups import Groups, Stack, find_groups, find_stack
from segtrain.data.guessing.layout import Layout, find_layout
from segtrain.data.guessing.lists import Lists, find_lists
from segtrain.data.guessing.meaning import Meaning, find_meaning
from segtrain.data.guessing.readers import Reader, reader_of
from segtrain.data.guessing.sizes import Sizes, find_sizes
from segtrain.data.guessing.yaml import Guess, Line, entry

PARTS = ("train", "val", "test")
SHARE = 0.15  # of val and of test, as conf/split/ratios.yaml has it


def guess_folder(root: Path, found: Found) -> Guess:
    """How the folder format, or for TIFF of many channels that one, reads what is below root.

    Raises:
        UserError: no images, none that look like masks, or files of which none can be read.
    """
    reader = reader_of(root, found.pictures)
    layout = find_layout(root, found, reader)
    images = {key: layout.images.files[key] for key in layout.keys}
    masks = [layout.masks.files[key] for key in layout.keys]
    sizes = find_sizes(root, list(zip(images.values(), masks, strict=True)), reader)
    meaning = find_meaning(root, masks, reader, layout.mask_look.numbered, layout.mask_look.smeared)
    by_id = {"/".join(part for part in key if part): path for key, path in images.items()}
    pictures = reader.format == "folder"
    lists = find_lists(root, found.ending(".txt"), by_id) if pictures and not layout.images.splits else None
    given = layout.images.splits or set(lists.files if lists else ())
    draws = not {*PARTS} <= given and reader.pages != "samples"  # whose pages are groups already
    groups = find_groups(list(by_id), bool(layout.images.splits)) if draws else None
    stack = find_stack(root, by_id) if draws and pictures and not given and not groups else None
    split = "blocks" if stack else "given" if {*PARTS} <= given else None
    override = f", override /split@_global_.split: {split}" if split else ""
    lines = [
        Line(f"defaults: [{reader.format}{override}]"),
        entry("root", str(root), "" if root.is_absolute() else "from the current directory"),
        *_side_lines(layout, sizes, reader),
        *_list_lines(lists),
        *class_lines(meaning),
        *_split_lines(given, groups, stack),
        *([Line("", sizes.advice)] if sizes.advice else []),
    ]
    asked = list(_asked(layout, sizes, meaning, lists))
    return Guess(tuple(lines), tuple(_found(layout, sizes, meaning, given, groups, stack)), tuple(asked))


def _side_lines(layout: Layout, sizes: Sizes, reader: Reader) -> Iterator[Line]:
    looks = layout.image_look, layout.mask_look
    reason = (
        "numbers of objects" if looks[1].numbered and not looks[1].few else f"{looks[1].distinct} values in a sample"
    )
    yield entry("images", layout.images.pattern, f"{len(layout.images.files)} files: {sizes.words}")
    also = f"; could be masks too: {', '.join(layout.rivals)}" if layout.rivals else ""
    yield entry("masks", layout.masks.pattern, f"{len(layout.masks.files)} files: {reason}{also}")
    if reader.pages:
        yield entry("pages", reader.pages, "what the pages of a file are")
        return
    if layout.regions:
        yield entry("regions", layout.regions.pattern, "a field of view: what is black in it counts nowhere")
    if len(sizes.channels) > 1:
        yield entry("channels", 3, f"{sizes.channels[1]} images looked at are grey, {sizes.channels[3]} RGB")


def _list_lines(lists: Lists | None) -> Iterator[Line]:
    if lists:
        yield entry("lists", lists.files, "names of the samples of each part, a line each; others are left out")
        if lists.prefix:
            yield entry("prefix", lists.prefix, "what the lists' paths begin with and the folder lacks")


def _split_lines(given: set[str], groups: Groups | None, stack: Stack | None) -> Iterator[Line]:
    """What differs from conf/split/ratios.yaml, so that another split= may be chosen beside the rest."""
    if stack:
        yield Line("split:", f"slabs: neighbours look alike (correlation {stack.near:.2f}, far apart {stack.far:.2f})")
        yield entry("gap", stack.gap, "samples left unused between the slabs", 2)
    elif groups:
        yield Line("split:", _drawn(given))
        yield entry("group", groups.expression, _group_words(groups), 2)
    elif not {*PARTS} <= given:
        yield Line("", f"{_drawn(given)}; other shares: split: {{val: 0.2, test: 0.2}}, other ways: split=folds")


def _drawn(given: set[str]) -> str:
    drawn = " and ".join(part for part in ("val", "test") if part not in given)
    return f"{drawn} are drawn, {SHARE:.0%} each{f'; {_and(given)} are what the data says' if given else ''}"


def _and(parts: set[str]) -> str:
    return " and ".join(part for part in PARTS if part in parts)


def _group_words(groups: Groups) -> str:
    size = f"{groups.smallest}" if groups.smallest == groups.largest else f"{groups.smallest} to {groups.largest}"
    return f"{groups.count} groups of {size} samples by their names, such as '{groups.example}', which stay together"


def _found(
    layout: Layout, sizes: Sizes, meaning: Meaning, given: set[str], groups: Groups | None, stack: Stack | None
) -> Iterator[str]:
    yield f"{len(layout.keys)} images ({layout.images.pattern}; {sizes.words}) with masks ({layout.masks.pattern})"
    yield class_words(meaning)
    if layout.regions:
        yield f"a field of view: {layout.regions.pattern}"
    if given:
        yield f"parts that the data names: {_and(given)}"
    if groups:
        yield f"{_group_words(groups)} (split.group)"
    if stack:
        yield f"slices of one stack: neighbours look alike, so the split is in slabs with a gap of {stack.gap}"


def _asked(layout: Layout, sizes: Sizes, meaning: Meaning, lists: Lists | None) -> Iterator[str]:
    if meaning.unnamed:
        yield NAME_THEM.format(", ".join(meaning.unnamed))
    if layout.rivals:
        yield f"are the masks right? these could be masks too: {', '.join(layout.rivals)}"
    alone = {
        "mask": layout.images.files.keys() - layout.masks.files.keys(),
        "image": layout.masks.files.keys() - layout.images.files.keys(),
    }
    for kind, keys in alone.items():
        if keys and not lists:
            example = "/".join(min(keys)).lstrip("/")
            yield f"{len(keys)} files have no {kind}, such as '{example}': add it or move them away"
    if layout.unlabelled:
        yield f"{' and '.join(layout.unlabelled)} has images without masks, which training cannot use"
    if sizes.unequal:
        yield f"{len(sizes.unequal)} images and masks differ in size, such as '{sizes.unequal[0]}'"
    if len(layout.keys) < len(PARTS):
        yield f"{len(layout.keys)} samples cannot be split into train, val and test; add more"
    if sizes.advice:
        yield sizes.advice
