"""Which files are the images and which the masks."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.app.new.file_groups import Key, Part, parts_of
from segtrain.app.new.file_samples import FILES, Look, Reader, look
from segtrain.counted import counted
from segtrain.data.files.file_names import IMAGE_WORDS, MASK_WORDS, Found, says
from segtrain.errors import UserError
from segtrain.spread import spread

NEAR = 0.8  # share of the largest number of pairs from which other pairings are weighed against it
RIVALS = 200  # pairings weighed, largest and simplest first
Seen = Callable[[Part], Look]  # what the files of a kind look like, looked at once
SHOWN = ("colou?r", "vis", "overlay", "preview", "instance", "object", "boundar", "contour", "edge", "inst")


class Layout(NamedTuple):
    """Images and masks, with what was left out; `regions` is a field of view, None where there is none."""

    images: Part
    masks: Part
    regions: Part | None
    image_look: Look
    mask_look: Look
    rivals: tuple[str, ...]  # patterns of other files that could be masks too
    unlabelled: tuple[str, ...]  # splits that have images and no mask

    @property
    def keys(self) -> list[Key]:
        """The pairs."""
        return sorted(set.intersection(*({*part.files} for part in self._sides)))

    @property
    def orphans(self) -> list[str]:
        """Files that lack a partner."""
        keys = {*self.keys}
        return sorted(path for part in self._sides for key, path in part.files.items() if key not in keys)

    @property
    def _sides(self) -> list[Part]:
        return [part for part in (self.images, self.masks, self.regions) if part is not None]


def find_layout(root: Path, found: Found, reader: Reader) -> Layout:
    """The most fitting pairing of two kinds of files.

    Raises:
        UserError: there are no pictures, or none that look like masks of others.
    """
    if not found.pictures:
        kinds = sorted({f".{name.rpartition('.')[2]}" if "." in name else name for name in found.others})
        raise UserError(
            f"'{root}' holds no image; expected PNG, JPEG, TIFF, BMP or GIF files, and a mask for each, or "
            "scans in NIfTI or DICOM, and labels in NIfTI for each; got "
            f"{len(found.others)} other files ({', '.join(kinds[:5])})"
        )
    parts = parts_of(found.pictures)
    looks: dict[tuple[str, ...], Look] = {}

    def seen(part: Part) -> Look:
        sample = tuple(spread(sorted(part.files.values()), FILES))
        if sample not in looks:
            looks[sample] = look(root, sample, reader.codes)
        return looks[sample]

    pairs = _likely(_pairings(parts), seen)
    if not pairs:
        raise _no_mask(root, found, parts, seen)
    images, masks = max(pairs, key=lambda pair: (not seen(pair[1]).is_view, _score(pair[0], pair[1], seen)))
    others = [other for one, other in pairs if one.files == images.files and other.pattern != masks.pattern]
    others = [o for o in others if not o.files.keys().isdisjoint(images.files) and _apart(o, masks)]
    regions = next((o for o in others if seen(o).is_view and not seen(masks).is_view), None)
    rivals = tuple(sorted({o.pattern for o in others if o is not regions}))
    looked = seen(images), seen(masks)
    bare = tuple(sorted(images.splits - masks.splits)) if masks.splits else ()
    left = (images.splits & masks.splits) or {""}
    if bare or (len(left) == 1 and left != {""}):
        images, masks = images.within(left), masks.within(left)
        regions = regions and regions.within(left)
    return Layout(images, masks, regions, *looked, rivals, bare)


def _pairings(parts: Sequence[Part]) -> list[tuple[int, Part, Part]]:
    """Pairs of kinds that share names and no file, and how many names; the most and the plainest first."""
    shared = []
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            keys = one.files.keys() & other.files.keys()
            if 2 * len(keys) > min(len(one.files), len(other.files)) and _apart(one, other):
                shared.append((len(keys), -_oddity(one, other), one, other))
    shared.sort(key=lambda entry: entry[:2], reverse=True)
    return [(count, one, other) for count, _, one, other in shared[:RIVALS]]


def _likely(pairings: Sequence[tuple[int, Part, Part]], seen: Seen) -> list[tuple[Part, Part]]:
    """Images and masks, nearly as many as the best; fields of view only where nothing else looks like masks."""
    most: dict[bool, int] = {}
    found: dict[bool, list[tuple[Part, Part]]] = {False: [], True: []}
    for count, one, other in pairings:
        for images, masks in ((one, other), (other, one)):
            looks = seen(masks) if count >= NEAR * most.get(False, 0) else None
            if looks and (looks.few or _excused(masks, looks)) and count >= NEAR * most.get(looks.is_view, 0):
                most.setdefault(looks.is_view, count)
                found[looks.is_view].append((images, masks))
    return [*found[False], *found[True]] if found[False] else found[True]


def _apart(one: Part, other: Part) -> bool:
    return set(one.files.values()).isdisjoint(other.files.values())


def _oddity(one: Part, other: Part) -> float:
    """How much the pairing rests on: files without partner first, then affixes and folders left open."""
    alone = len(one.files.keys() ^ other.files.keys()) / (len(one.files) + len(other.files))
    open_folders = 2 * sum("{folder}" in p.folder for p in (one, other))
    return alone + 0.01 * (open_folders + sum(len(p.before) + len(p.after) + bool(p.suffix) for p in (one, other)))


def _excused(part: Part, seen: Look) -> bool:
    """Many values, and yet called a mask: instance numbers, or labels that went through JPEG."""
    return (seen.numbered or seen.smeared) and says(part.says, MASK_WORDS)


def _score(images: Part, masks: Part, seen: Seen) -> float:
    of_image, of_mask = seen(images), seen(masks)
    names = 3 * (says(masks.says, MASK_WORDS) - says(masks.says, IMAGE_WORDS) - says(masks.says, SHOWN))
    names += 3 * (says(images.says, IMAGE_WORDS) - says(images.says, MASK_WORDS))
    pixels = math.log2(of_image.distinct + 1) - math.log2(of_mask.distinct + 1)
    return names + pixels / 2 - 4 * of_mask.is_view - 2 * _oddity(images, masks)


def _no_mask(root: Path, found: Found, parts: Sequence[Part], seen: Seen) -> UserError:
    whole = [part for part in parts if not (part.before or part.after or part.suffix)]
    lines = [f"{part.pattern} ({counted(len(part.files), 'file')}, {_words(seen(part))})" for part in whole[:6]]
    named = [part for part in parts if says(part.says, MASK_WORDS)]
    jpeg = any(path.lower().endswith((".jpg", ".jpeg")) for part in named for path in part.files.values())
    return UserError(
        f"'{root}' has {counted(len(found.pictures), 'picture')} and none that look like masks of others; "
        f"expected for each "
        "image a mask of the same name in another folder, or beside it with another ending (a.png and a_mask.png), "
        f"of few values; got {'; '.join(lines) or 'pictures of the same name in one folder'}; add the masks"
        + ("; JPEG changes their values: save them as PNG" if jpeg else "")
    )


def _words(seen: Look) -> str:
    return f"unreadable: {seen.error}" if seen.error else counted(seen.distinct, "value")
