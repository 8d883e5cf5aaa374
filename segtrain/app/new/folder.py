"""A folder of images and masks as a config of the folder format, with a reason beside each guess."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from segtrain.app.new.class_names import find_names
from segtrain.app.new.classes import class_lines, class_questions, class_words
from segtrain.app.new.file_looks import FILES, label_channels
from segtrain.app.new.layout import Layout, find_layout
from segtrain.app.new.mask_values import Meaning, find_meaning
from segtrain.app.new.orphans import ORPHANS, left_out_words, orphan_words
from segtrain.app.new.readers import Reader, reader_of
from segtrain.app.new.sizes import Sizes, find_sizes
from segtrain.app.new.split_guess import PARTS, find_division
from segtrain.app.new.split_lists import Lists, find_lists
from segtrain.app.new.yaml_lines import Guess, Line, entry
from segtrain.counted import counted
from segtrain.data.files.file_names import Found
from segtrain.spread import spread


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
    names = find_names(root, found, masks)
    meaning = find_meaning(root, masks, reader, layout.mask_look.numbered, layout.mask_look.smeared, names)
    by_id = {"/".join(part for part in key if part): path for key, path in images.items()}
    texts = found.ending(".txt") if reader.format == "folder" and not layout.images.splits else []
    lists = find_lists(root, texts, by_id)
    division = find_division(
        root, by_id, layout.images.splits or set(lists.files if lists else ()), reader, meaning.rarest
    )
    doubtful = _label_channels(root, layout, reader)
    lines = [
        Line(f"defaults: [{reader.format}{division.override}]"),
        entry("root", str(root), "" if root.is_absolute() else "from the current directory"),
        *_side_lines(layout, sizes, reader, doubtful),
        *_list_lines(lists),
        *([entry("orphans", ORPHANS, orphan_words(layout.orphans))] if layout.orphans and not lists else []),
        *class_lines(meaning),
        *division.lines(),
        *([Line("", sizes.advice)] if sizes.advice else []),
    ]
    said = (*_found(layout, sizes), class_words(meaning), *division.found())
    asked = (*_asked(layout, sizes, meaning, lists), *_asked_of_channels(doubtful), *division.asked())
    return Guess(tuple(lines), said, asked, sizes.fitting)


def _label_channels(root: Path, layout: Layout, reader: Reader) -> list[int]:
    if reader.pages != "channels":
        return []
    return label_channels(root, spread([layout.images.files[key] for key in layout.keys], FILES), reader.image)


def _asked_of_channels(doubtful: Sequence[int]) -> Iterator[str]:
    if doubtful:
        yield (
            f"channels {', '.join(map(str, doubtful))} of the images (from 0) hold areas of few whole values, as "
            "labels "
            "do, and are no input; if they are one, add them to channels"
        )


def _side_lines(layout: Layout, sizes: Sizes, reader: Reader, doubtful: Sequence[int]) -> Iterator[Line]:
    looks = layout.image_look, layout.mask_look
    reason = (
        "numbers of objects"
        if looks[1].numbered and not looks[1].few
        else f"{counted(looks[1].distinct, 'value')} in a sample"
    )
    yield entry("images", layout.images.pattern, f"{counted(len(layout.images.files), 'file')}: {sizes.words}")
    also = f"; could be masks too: {', '.join(layout.rivals)}" if layout.rivals else ""
    yield entry("masks", layout.masks.pattern, f"{counted(len(layout.masks.files), 'file')}: {reason}{also}")
    if reader.pages:
        yield entry("pages", reader.pages, "what the pages of a file are")
        if doubtful:
            taken = [channel for channel in range(max(sizes.channels)) if channel not in doubtful]
            yield entry("channels", taken, "the others hold areas of few whole values, as labels do")
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


def _found(layout: Layout, sizes: Sizes) -> Iterator[str]:
    images = counted(len(layout.keys), "image")
    yield f"{images} ({layout.images.pattern}; {sizes.words}) with masks ({layout.masks.pattern})"
    if layout.regions:
        yield f"a field of view: {layout.regions.pattern}"


def _asked(layout: Layout, sizes: Sizes, meaning: Meaning, lists: Lists | None) -> Iterator[str]:
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
            f"labels do; are "
            f"these the images, and is {layout.masks.pattern} what is to be learned? Else exchange images and masks"
        )
    if layout.unlabelled:
        yield f"{' and '.join(layout.unlabelled)} has images without masks, which training cannot use"
    if sizes.unequal:
        yield f"{len(sizes.unequal)} images and masks differ in size, such as '{sizes.unequal[0]}'"
    if len(layout.keys) < len(PARTS):
        yield f"{counted(len(layout.keys), 'sample')} cannot be split into train, val and test; add more"
    if sizes.advice:
        yield sizes.advice
