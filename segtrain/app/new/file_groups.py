"""Files of one kind, such as all images or all masks: a folder, a suffix, or what their names begin or end with."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from segtrain.data.files.file_names import SPLIT_OF, Name, split_names, taken_apart

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


class Part(NamedTuple):
    """Files that a pattern takes, by key; `folder` may hold `{split}`, `{folder}`, `*`; `suffix` is empty for several.

    `{folder}` are the folders above, as of the image so of its mask: they come before the name in the key.
    """

    folder: str
    before: str
    after: str
    suffix: str
    files: dict[Key, str]

    @property
    def pattern(self) -> str:
        """As `images` and `masks` of the folder format take it."""
        plain = self.folder and not re.search(r"[{*]", self.folder)
        if plain and not (self.before or self.after or self.suffix):
            return self.folder
        suffix = self.suffix or one_suffix(list(self.files.values())) or ".*"
        return "/".join(part for part in (self.folder, f"{self.before}{{id}}{self.after}{suffix}") if part)

    @property
    def says(self) -> str:
        """What of the names may say what is in the files."""
        return f"{self.folder}/{self.before}/{self.after}"

    @property
    def splits(self) -> set[str]:
        """The splits that the folders name."""
        return {split for split, _ in self.files if split}

    def within(self, splits: set[str]) -> "Part":
        """The files of these splits; of a single one, whose folder then is written out and no split any more."""
        files = {key: path for key, path in self.files.items() if key[0] in splits}
        if len(splits) > 1 or not files or splits == {""}:
            return self._replace(files=files)
        first = next(iter(files.values()))
        word = taken_apart(first).split or ""
        files = {("", name): path for (_, name), path in files.items()}
        before, after = (text.replace("{split}", word) for text in (self.before, self.after))
        return self._replace(folder=_written_out(self.folder, first), before=before, after=after, files=files)


def _written_out(folder: str, path: str) -> str:
    """The folder with the names that the path has in it, but for what stands for several."""
    parts = folder.split("/") if folder else []
    fixed = parts.index("{folder}") if "{folder}" in parts else len(parts)
    named = [part if part == "*" else name for part, name in zip(parts[:fixed], path.split("/"), strict=False)]
    return "/".join([*named, *parts[fixed:]])


def one_suffix(paths: Sequence[str]) -> str | None:
    """The suffix that all paths share, None when there are several."""
    found = {f".{path.rpartition('.')[2]}" for path in paths}
    return found.pop() if len(found) == 1 else None


def parts_of(paths: Sequence[str]) -> list[Part]:
    """Every kind that the names of the files allow, the whole of a folder before its parts."""
    names = split_names(paths)
    trees = _trees(names)
    largest = max(map(len, trees.values()), default=0)
    # a folder whose files all lie in one folder below it says nothing that this one does not
    outer = {tree[:-1] for tree, inside in trees.items() if tree and len(trees.get(tree[:-1], ())) == len(inside)}
    kept = {t: inside for t, inside in trees.items() if t not in outer and len(inside) >= LEAST * largest}
    return [part for tree, inside in kept.items() for part in _kinds(tree, {p: names[p] for p in inside})]


def _trees(names: Mapping[str, Name]) -> dict[Tree, list[str]]:
    """Each folder with the files below it; `*` or `{folder}` for folders of one name in each of several."""
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


def _kinds(tree: Tree, names: dict[str, Name]) -> Iterator[Part]:
    """The whole of a folder; its files of each suffix; those that begin or end alike, and those that do not."""
    inner = {path: _inner(tree, name) for path, name in names.items()}
    yield from _part(tree, names, inner)
    for suffix, count in Counter(name.suffix for name in names.values()).items():
        if COMMON * len(names) <= count < len(names):
            here = {path: text for path, text in inner.items() if names[path].suffix == suffix}
            yield from _part(tree, names, here, suffix=suffix)
    direct = {path: text for path, text in inner.items() if "/" not in text}
    if direct and len(direct) < len(inner):
        yield from _part(tree, names, direct, suffix=one_suffix(list(direct)) or ".*")
    for found, side in ((TAIL, "after"), (WHOLE, "after"), (HEAD, "before")):
        fits = str.startswith if found is HEAD else str.endswith
        common = _common(list(inner.values()), found)
        for affix in common:
            here = {path: text for path, text in inner.items() if fits(text, affix)}
            yield from _part(tree, names, here, **{side: affix})
        plain = {path: text for path, text in inner.items() if not any(fits(text, affix) for affix in common)}
        if common and plain:
            yield from _part(tree, names, plain, suffix=one_suffix(list(plain)) or ".*")


def _inner(tree: Tree, name: Name) -> str:
    """The path below a tree without suffix, behind the folders that `{folder}` stands for."""
    if "{folder}" in tree:
        first = tree.index("{folder}")
        last = len(name.folders) - (len(tree) - first - 1)
        return "/".join([*name.folders[first:last], name.stem])
    return "/".join([*name.folders[len(tree) :], name.stem])


def _common(inner: Sequence[str], affix: re.Pattern[str]) -> list[str]:
    """What many of the names begin or end with."""
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
) -> Iterator[Part]:
    """The part, unless two of its files would go by one name, or a split lies where the pattern does not say it."""
    files: dict[Key, str] = {}
    for path, text in inner.items():
        split = names[path].split
        if split and not any("{split}" in folder for folder in tree):
            return
        name = text[len(before) : len(text) - len(after)]
        files[SPLIT_OF[split.lower()] if split else "", name.replace("{split}", split or "")] = path
    if len(files) == len(inner) and files:
        yield Part("/".join(tree), before, after, suffix, files)


def orphan_words(paths: Sequence[str]) -> str:
    """Returns how many there are, and the first of them."""
    shown = ", ".join(f"'{path}'" for path in paths[:NAMED]) + (", …" if len(paths) > NAMED else "")
    return f"{len(paths)} file{'s have' if len(paths) > 1 else ' has'} no partner: {shown}"


def left_out_words(paths: Sequence[str]) -> str:
    """Returns what the user is asked about them."""
    return f"{orphan_words(paths)}; left out (orphans: {ORPHANS}): is that right? Else add what is missing"
