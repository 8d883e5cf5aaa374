"""Finds which files are the images and which the masks, by their folders, their names and how their pixels look."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.app.new.file_samples import FILES, Appearance, Reader, see_files
from segtrain.counted import counted
from segtrain.data.files.file_names import (
    IMAGE_WORDS,
    MASK_WORDS,
    SPLIT_OF,
    Found,
    Name,
    says,
    split_names,
    taken_apart,
)
from segtrain.errors import UserError
from segtrain.spread import spread

DEPTH = 4  # folders below root in which images and masks may part ways
LEAST = 0.05  # share of the largest tree's files below which a folder is not looked at by itself
COMMON = 0.1  # share of a folder's files that must begin or end alike to be a kind
ALIKE = 3  # folders that hold the same folders, such as one a patient, from which `*` stands for them
TAIL = re.compile(
    r"(?:[_\-. ](?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|\{split\})){1,2}$|(?<=\d)[A-Za-z]+$|_0\d{3}$"
)  # _0000: nnU-Net's channel
WHOLE = re.compile(r"/[^/]+$")
HEAD = re.compile(r"^[A-Za-z]+[_\-. ]?(?=\d)|^[A-Za-z]+[_\-. ]")
Key = tuple[str, str]  # split, or "" without one, and the name within it: what an image and its mask share
Tree = tuple[str, ...]
ORPHANS = "leave_out"  # of the formats that pair files
NAMED = 3
NEAR = 0.8  # share of the largest number of pairs from which other pairings are weighed against it
RIVALS = 200  # pairings weighed, largest and simplest first
SHOWN = ("colou?r", "vis", "overlay", "preview", "instance", "object", "boundar", "contour", "edge", "inst")


class FileGroup(NamedTuple):
    """Holds the files that a pattern takes, by key; `folder` may hold `{split}`, `{folder}`, `*`.

    `{folder}` are the folders above, as of the image so of its mask: they come before the name in the key.
    """

    folder: str
    before: str
    after: str
    suffix: str
    files: dict[Key, str]

    @property
    def pattern(self) -> str:
        """Returns the pattern as `images` and `masks` of the folder format take it."""
        plain = self.folder and not re.search(r"[{*]", self.folder)
        if plain and not (self.before or self.after or self.suffix):
            return self.folder
        suffix = self.suffix or _one_suffix(list(self.files.values())) or ".*"
        return "/".join(part for part in (self.folder, f"{self.before}{{id}}{self.after}{suffix}") if part)

    @property
    def says(self) -> str:
        """Returns the pieces of the names that may say what is in the files."""
        return f"{self.folder}/{self.before}/{self.after}"

    @property
    def splits(self) -> set[str]:
        """Returns the splits that the folders name."""
        return {split for split, _ in self.files if split}

    def within(self, splits: set[str]) -> "FileGroup":
        """Returns the group of these splits; a single one's folder is written out and no split any more."""
        files = {key: path for key, path in self.files.items() if key[0] in splits}
        if len(splits) > 1 or not files or splits == {""}:
            return self._replace(files=files)
        first = next(iter(files.values()))
        word = taken_apart(first).split or ""
        files = {("", name): path for (_, name), path in files.items()}
        before, after = (text.replace("{split}", word) for text in (self.before, self.after))
        return self._replace(folder=_written_out(self.folder, first), before=before, after=after, files=files)


Seen = Callable[[FileGroup], Appearance]  # what the files of a kind look like, looked at once


def _written_out(folder: str, path: str) -> str:
    """Returns the folder with the names that the path has in it, but for what stands for several."""
    parts = folder.split("/") if folder else []
    fixed = parts.index("{folder}") if "{folder}" in parts else len(parts)
    named = [part if part == "*" else name for part, name in zip(parts[:fixed], path.split("/"), strict=False)]
    return "/".join([*named, *parts[fixed:]])


def _one_suffix(paths: Sequence[str]) -> str | None:
    """Returns the suffix that all paths share, None when there are several."""
    found = {f".{path.rpartition('.')[2]}" for path in paths}
    return found.pop() if len(found) == 1 else None


def group_files(paths: Sequence[str]) -> list[FileGroup]:
    """Returns every group that the names of the files allow, the whole of a folder before its parts."""
    names = split_names(paths)
    trees = _trees(names)
    largest = max(map(len, trees.values()), default=0)
    # a folder whose files all lie in one folder below it says nothing that this one does not
    outer = {tree[:-1] for tree, inside in trees.items() if tree and len(trees.get(tree[:-1], ())) == len(inside)}
    kept = {t: inside for t, inside in trees.items() if t not in outer and len(inside) >= LEAST * largest}
    return [part for tree, inside in kept.items() for part in _kinds(tree, {p: names[p] for p in inside})]


def _trees(names: Mapping[str, Name]) -> dict[Tree, list[str]]:
    """Returns each folder with the files below it; `*` or `{folder}` for folders of one name in each of several."""
    trees: dict[Tree, list[str]] = defaultdict(list)
    starred: dict[Tree, list[str]] = defaultdict(list)
    stars: dict[Tree, set[str]] = defaultdict(set)
    for path, name in names.items():
        for depth in range(min(len(name.folders), DEPTH) + 1):
            trees[name.folders[:depth]].append(path)
        for depth in range(min(2, len(name.folders) - 1)):
            tree = (*name.folders[:depth], "*", *name.folders[depth + 1 :])
            starred[tree].append(path)
            stars[tree].add(name.folders[depth])
        splits = next((i + 1 for i, folder in enumerate(name.folders) if "{split}" in folder), 0)
        for last in range(max(splits + 1, len(name.folders) - 2), len(name.folders)):
            tree = (*name.folders[:splits], "{folder}", *name.folders[last:])
            starred[tree].append(path)
            stars[tree].add("/".join(name.folders[splits:last]))
    return trees | {tree: inside for tree, inside in starred.items() if len(stars[tree]) >= ALIKE}


def _kinds(tree: Tree, names: dict[str, Name]) -> Iterator[FileGroup]:
    """Yields the whole of a folder, its files of each suffix, those that begin or end alike, and those that do not."""
    inner = {path: _inner(tree, name) for path, name in names.items()}
    yield from _part(tree, names, inner)
    for suffix, count in Counter(name.suffix for name in names.values()).items():
        if COMMON * len(names) <= count < len(names):
            here = {path: text for path, text in inner.items() if names[path].suffix == suffix}
            yield from _part(tree, names, here, suffix=suffix)
    direct = {path: text for path, text in inner.items() if "/" not in text}
    if direct and len(direct) < len(inner):
        yield from _part(tree, names, direct, suffix=_one_suffix(list(direct)) or ".*")
    for found, side in ((TAIL, "after"), (WHOLE, "after"), (HEAD, "before")):
        fits = str.startswith if found is HEAD else str.endswith
        common = _common(list(inner.values()), found)
        for affix in common:
            here = {path: text for path, text in inner.items() if fits(text, affix)}
            yield from _part(tree, names, here, **{side: affix})
        plain = {path: text for path, text in inner.items() if not any(fits(text, affix) for affix in common)}
        if common and plain:
            yield from _part(tree, names, plain, suffix=_one_suffix(list(plain)) or ".*")


def _inner(tree: Tree, name: Name) -> str:
    """Returns the path below a tree without suffix, behind the folders that `{folder}` stands for."""
    if "{folder}" in tree:
        first = tree.index("{folder}")
        last = len(name.folders) - (len(tree) - first - 1)
        return "/".join([*name.folders[first:last], name.stem])
    return "/".join([*name.folders[len(tree) :], name.stem])


def _common(inner: Sequence[str], affix: re.Pattern[str]) -> list[str]:
    """Returns what many of the names begin or end with."""
    counts: Counter[str] = Counter()
    for text in inner:
        found = affix.search(text)
        if found and found[0] != text:
            last = re.split(r"(?=[_\-. ])", found[0])[-1]  # of `_training_mask` also `_mask`
            counts.update({found[0], last} if affix is TAIL else {found[0]})
    least = max(COMMON * len(inner), 1 if len(inner) < ALIKE else 2)
    return [text for text, count in counts.items() if count >= least]


def _part(
    tree: Tree, names: Mapping[str, Name], inner: Mapping[str, str], before: str = "", after: str = "", suffix: str = ""
) -> Iterator[FileGroup]:
    """Yields the group, unless two of its files share a name, or the pattern does not say where a split lies."""
    files: dict[Key, str] = {}
    for path, text in inner.items():
        split = names[path].split
        if split and not any("{split}" in folder for folder in tree):
            return
        name = text[len(before) : len(text) - len(after)]
        files[SPLIT_OF[split.lower()] if split else "", name.replace("{split}", split or "")] = path
    if len(files) == len(inner) and files:
        yield FileGroup("/".join(tree), before, after, suffix, files)


def orphan_words(paths: Sequence[str]) -> str:
    """Returns how many there are, and the first of them."""
    shown = ", ".join(f"'{path}'" for path in paths[:NAMED]) + (", …" if len(paths) > NAMED else "")
    return f"{len(paths)} file{'s have' if len(paths) > 1 else ' has'} no partner: {shown}"


def left_out_words(paths: Sequence[str]) -> str:
    """Returns what the user is asked about them."""
    return f"{orphan_words(paths)}; left out (orphans: {ORPHANS}): is that right? Else add what is missing"


class FolderLayout(NamedTuple):
    """Holds images and masks, with what was left out; `regions` is a field of view, None where there is none."""

    images: FileGroup
    masks: FileGroup
    regions: FileGroup | None
    image_look: Appearance
    mask_look: Appearance
    rivals: tuple[str, ...]  # patterns of other files that could be masks too
    unlabelled: tuple[str, ...]  # splits that have images and no mask

    @property
    def keys(self) -> list[Key]:
        """Returns the keys of the pairs."""
        return sorted(set.intersection(*({*part.files} for part in self._sides)))

    @property
    def orphans(self) -> list[str]:
        """Returns the files that lack a partner."""
        keys = {*self.keys}
        return sorted(path for part in self._sides for key, path in part.files.items() if key not in keys)

    @property
    def _sides(self) -> list[FileGroup]:
        return [part for part in (self.images, self.masks, self.regions) if part is not None]


def find_layout(root: Path, found: Found, reader: Reader) -> FolderLayout:
    """Returns the most fitting pairing of two groups of files.

    Raises:
        UserError: there are no pictures, or none that look like masks of others.
    """
    if not found.pictures:
        kinds = sorted({f".{name.rpartition('.')[2]}" if "." in name else name for name in found.others})
        raise UserError(
            f"'{root}' holds no image; expected PNG, JPEG, TIFF, BMP or GIF files, and a mask for each, or scans in "
            f"NIfTI or DICOM, and labels in NIfTI for each; got {len(found.others)} other files "
            f"({', '.join(kinds[:5])})"
        )
    parts = group_files(found.pictures)
    looks: dict[tuple[str, ...], Appearance] = {}

    def seen(part: FileGroup) -> Appearance:
        sample = tuple(spread(sorted(part.files.values()), FILES))
        if sample not in looks:
            looks[sample] = see_files(root, sample, reader.codes)
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
    return FolderLayout(images, masks, regions, *looked, rivals, bare)


def _pairings(parts: Sequence[FileGroup]) -> list[tuple[int, FileGroup, FileGroup]]:
    """Returns pairs of groups that share names and no file, and how many names; the most and the plainest first."""
    shared = []
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            keys = one.files.keys() & other.files.keys()
            if 2 * len(keys) > min(len(one.files), len(other.files)) and _apart(one, other):
                shared.append((len(keys), -_oddity(one, other), one, other))
    shared.sort(key=lambda entry: entry[:2], reverse=True)
    return [(count, one, other) for count, _, one, other in shared[:RIVALS]]


def _likely(pairings: Sequence[tuple[int, FileGroup, FileGroup]], seen: Seen) -> list[tuple[FileGroup, FileGroup]]:
    """Returns images and masks, nearly as many as the best; fields of view only where nothing else looks like masks."""
    most: dict[bool, int] = {}
    found: dict[bool, list[tuple[FileGroup, FileGroup]]] = {False: [], True: []}
    for count, one, other in pairings:
        for images, masks in ((one, other), (other, one)):
            looks = seen(masks) if count >= NEAR * most.get(False, 0) else None
            if looks and (looks.few or _excused(masks, looks)) and count >= NEAR * most.get(looks.is_view, 0):
                most.setdefault(looks.is_view, count)
                found[looks.is_view].append((images, masks))
    return [*found[False], *found[True]] if found[False] else found[True]


def _apart(one: FileGroup, other: FileGroup) -> bool:
    return set(one.files.values()).isdisjoint(other.files.values())


def _oddity(one: FileGroup, other: FileGroup) -> float:
    """Returns how much the pairing rests on: files without partner first, then affixes and folders left open."""
    alone = len(one.files.keys() ^ other.files.keys()) / (len(one.files) + len(other.files))
    open_folders = 2 * sum("{folder}" in p.folder for p in (one, other))
    return alone + 0.01 * (open_folders + sum(len(p.before) + len(p.after) + bool(p.suffix) for p in (one, other)))


def _excused(part: FileGroup, seen: Appearance) -> bool:
    """Says whether files of many values are yet masks by name: instance numbers, or labels that went through JPEG."""
    return (seen.numbered or seen.smeared) and says(part.says, MASK_WORDS)


def _score(images: FileGroup, masks: FileGroup, seen: Seen) -> float:
    of_image, of_mask = seen(images), seen(masks)
    names = 3 * (says(masks.says, MASK_WORDS) - says(masks.says, IMAGE_WORDS) - says(masks.says, SHOWN))
    names += 3 * (says(images.says, IMAGE_WORDS) - says(images.says, MASK_WORDS))
    pixels = math.log2(of_image.distinct + 1) - math.log2(of_mask.distinct + 1)
    return names + pixels / 2 - 4 * of_mask.is_view - 2 * _oddity(images, masks)


def _no_mask(root: Path, found: Found, parts: Sequence[FileGroup], seen: Seen) -> UserError:
    whole = [part for part in parts if not (part.before or part.after or part.suffix)]
    lines = [f"{part.pattern} ({counted(len(part.files), 'file')}, {_words(seen(part))})" for part in whole[:6]]
    named = [part for part in parts if says(part.says, MASK_WORDS)]
    jpeg = any(path.lower().endswith((".jpg", ".jpeg")) for part in named for path in part.files.values())
    return UserError(
        f"'{root}' has {counted(len(found.pictures), 'picture')} and none that look like masks of others; expected "
        "for each image a mask of the same name in another folder, or beside it with another ending (a.png and "
        f"a_mask.png), of few values; got {'; '.join(lines) or 'pictures of the same name in one folder'}; add the "
        "masks" + ("; JPEG changes their values: save them as PNG" if jpeg else "")
    )


def _words(seen: Appearance) -> str:
    return f"unreadable: {seen.error}" if seen.error else counted(seen.distinct, "value")
