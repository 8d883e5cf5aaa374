"""Finds which image belongs to which mask, by names in two folder trees, or by two patterns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.counted import some_of
from segtrain.data.files.patterns import LOOKALIKES, SUFFIXES, Pattern, way_out
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError, refuse, remark
from segtrain.folders import files_below


class Pair(NamedTuple):
    """Holds one sample's files; `split` is the train, val or test it lies in, None without one.

    `region` is the picture whose black pixels count nowhere, None without one.
    """

    id: str
    image: Path
    mask: Path
    split: str | None
    region: Path | None = None


class Side(NamedTuple):
    """Holds the files of one kind by the sample's id; `place` says in messages where a sample's file should be."""

    kind: str
    files: Mapping[str, Path]
    place: str


class FileSides(NamedTuple):
    """Holds what was found before it is paired; `splits` has every id of the images."""

    images: Side
    masks: Side
    regions: Side | None
    splits: Mapping[str, str | None]


def find_file_sides(root: Path, images: str, masks: str, regions: str | None = None) -> list[FileSides]:
    """Returns the files of each side, in pieces whose ids differ: one for each split folder, else one.

    Each of `images`, `masks` and `regions` is a folder below root or a pattern. Folders: root/images with root/masks,
    in both of which folders train, val and test set the split and ids are the paths without extension; or
    root/train, root/val, root/test with those two folders in each, where ids begin with the split. Patterns: see
    `Pattern`; ids are what `{id}` stands for, behind the split where all patterns hold `{split}`. A folder beside a
    pattern is read as "FOLDER/{id}.*".

    Raises:
        UserError: a folder is missing, a side is empty, two files share a name.
    """
    texts = {"images": images, "masks": masks} | ({} if regions is None else {"regions": regions})
    if any("{" in text for text in texts.values()):
        return [_fitting(root, texts)]
    return _in_folders(root, texts)


def pair_files(sides: FileSides, orphans: str | None = None) -> list[Pair]:
    """Returns a pair for every id.

    Args:
        sides: as `find_file_sides` found them.
        orphans: what becomes of files without a partner: None refuses them, "leave_out" leaves them out.

    Raises:
        UserError: a file of one side has no partner on another; only noted inside `noting`, and left out.
    """
    images, masks, regions, splits = sides
    for one, other in ((images, masks), (images, regions)) if orphans is None else ():
        if other is not None:
            _refuse_alone(one, other)
            _refuse_alone(other, one)
    region_of = regions.files if regions else {}
    whole = [n for n in images.files if n in masks.files and (regions is None or n in region_of)]
    return [Pair(n, images.files[n], masks.files[n], splits[n], region_of.get(n)) for n in whole]


def find_left_out(pieces: Sequence[FileSides], orphans: str | None) -> tuple[str, ...]:
    """Returns the files that `orphans`="leave_out" leaves out as they lack a partner, sorted, and remarks on them.

    Raises:
        UserError: `orphans` is no such choice.
    """
    require_orphans(orphans)
    if orphans is None:
        return ()
    alone = []
    for images, masks, regions, _ in pieces:
        sides = [side for side in (images, masks, regions) if side is not None]
        whole = set.intersection(*({*side.files} for side in sides))
        alone += [str(path) for side in sides for name, path in side.files.items() if name not in whole]
    remark_left_out(alone)
    return tuple(sorted(alone))


def remark_left_out(files: Sequence[str]) -> None:
    """Says, as a remark, that these files have no partner and are left out."""
    if files:
        remark(
            "left out",
            "files without a partner are left out (dataset.orphans=leave_out): is each right?",
            sorted(files),
        )


def require_orphans(orphans: object) -> None:
    """Raises UserError unless the choice of what becomes of files without a partner is one."""
    if orphans not in (None, "leave_out"):
        raise UserError(
            f"dataset.orphans is {orphans!r}; expected leave_out, to go on without files that have no partner, or "
            "null, which refuses them"
        )


def _refuse_alone(have: Side, other: Side) -> None:
    alone = [str(path) for name, path in sorted(have.files.items()) if name not in other.files]
    if alone:
        refuse(
            f"{len(alone)} of {len(have.files)} files have no {other.kind}; expected one {other.place}; got none for "
            f"{some_of(alone)}; add the {other.kind}, remove the file, or leave such files out with "
            "dataset.orphans=leave_out",
            alone,
        )


def _in_folders(root: Path, texts: Mapping[str, str]) -> list[FileSides]:
    images, masks = texts["images"], texts["masks"]
    layout = f"{root / images} with {root / masks}, or {root / 'train' / images} with {root / 'train' / masks}"
    _need_folder(root, layout)
    _refuse_lookalikes([folder for folder in root.iterdir() if (folder / images).is_dir()])
    inner = [split for split in PARTS if (root / split).is_dir()]
    if (root / images).is_dir():
        if any((root / split / images).is_dir() for split in inner):
            raise UserError(f"'{root}' is laid out twice; expected either {layout}; got both; move one away")
        _refuse_lookalikes([folder for folder in (root / images).iterdir() if folder.is_dir()])
        return [_trees(root, texts, layout, lambda name: name, _split_of)]
    if not inner:
        _need_folder(root / images, layout)
    return [_trees(root / split, texts, layout, f"{split}/{{}}".format, _split_of) for split in inner]


def _trees(
    root: Path,
    texts: Mapping[str, str],
    layout: str,
    id_of: Callable[[str], str],
    split_of: Callable[[str], str | None],
) -> FileSides:
    for text in texts.values():
        _need_folder(root / text, layout)
    sides = [
        Side(
            option[:-1],
            {id_of(name): path for name, path in _files(root / text).items()},
            f"of the same name (the extension may differ) in {root / text}",
        )
        for option, text in texts.items()
    ]
    return _sides(sides, {name: split_of(name) for name in sides[0].files})


def _sides(sides: Sequence[Side], splits: Mapping[str, str | None]) -> FileSides:
    return FileSides(sides[0], sides[1], sides[2] if len(sides) > 2 else None, splits)


def _need_folder(folder: Path, layout: str) -> None:
    if not folder.is_dir():
        raise UserError(
            f"there is no folder '{folder}'; expected {layout}; relative paths start from the current directory, "
            f"{Path.cwd()}; give dataset.root, dataset.images and dataset.masks as they are"
        )


def _refuse_lookalikes(folders: Sequence[Path]) -> None:
    for folder in sorted(folders):
        name = folder.name.casefold()
        split = LOOKALIKES.get(name, name)
        if split in PARTS and folder.name != split:
            raise UserError(
                f"folder '{folder}' would not be taken as a split; expected the names train, val and test; "
                f"rename it to '{split}'"
            )


def _split_of(name: str) -> str | None:
    first, slash, _ = name.casefold().partition("/")
    split = LOOKALIKES.get(first, first)
    return split if slash and split in PARTS else None


def _files(folder: Path) -> dict[str, Path]:
    """Returns the image files below folder: path without extension -> file."""
    visible = list(files_below(folder))
    found: dict[str, Path] = {}
    for path in sorted(p for p in visible if p.suffix.lower() in SUFFIXES):
        _add(found, path.relative_to(folder).with_suffix("").as_posix(), path)
    if not found:
        kinds = sorted({p.suffix or p.name for p in visible})
        got = f"{len(visible)} other files ({some_of(kinds)})" if visible else "no file"
        raise UserError(
            f"'{folder}' holds no image; expected files ending in {', '.join(SUFFIXES)}; got {got}; "
            "put them there, or give another folder by dataset.root, dataset.images or dataset.masks"
            + way_out([p.name for p in visible], scans=True)
        )
    return found


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise UserError(
            f"two files are named '{name}'; expected one a name; got {found[name]} and {path}; remove or rename one"
        )
    found[name] = path


def _fitting(root: Path, texts: Mapping[str, str]) -> FileSides:
    patterns = [
        Pattern(text if "{" in text else f"{text.rstrip('/')}/{{id}}.*", f"dataset.{option}")
        for option, text in texts.items()
    ]
    whole = all(pattern.has_split for pattern in patterns)
    splits: dict[str, str] = {}
    sides = []
    for pattern in patterns:
        found: dict[str, Path] = {}
        for path, split, name in _fits(root, pattern, patterns):
            key = f"{split}/{name}" if whole else name
            _add(found, key, path)
            if split and splits.setdefault(key, split) != split:
                raise UserError(
                    f"'{path}' lies in the split {split}, its partner of the same name in {splits[key]}; expected both "
                    "in one; move one, or hold {split} in every pattern so that names count within a split"
                )
        sides.append(
            Side(pattern.option[8:-1], found, f"with the same {{id}} that fits {pattern.option}='{pattern.text}'")
        )
    return _sides(sides, {name: splits.get(name) or _split_of(name) for name in sides[0].files})


def _fits(root: Path, pattern: Pattern, patterns: Sequence[Pattern]) -> list[tuple[Path, str | None, str]]:
    """Returns path, split and id of the files that the pattern is meant for: one that says more of a file takes it."""
    folder = root / pattern.folder
    _need_folder(folder, f"the files that fit {pattern.option}='{pattern.text}'")
    found, others = [], []
    for path in files_below(folder):
        name = path.relative_to(root).as_posix()
        fits = pattern.fits(name)
        rivals = [other for other in patterns if other is not pattern and other.weight >= pattern.weight]
        taken = next((other for other in rivals if other.fits(name)), None) if fits else None
        if fits and taken and taken.weight == pattern.weight:
            raise UserError(
                f"'{path}' fits both {pattern.option}='{pattern.text}' and {taken.option}='{taken.text}'; expected "
                "patterns that tell the sides apart; give one of them a folder, an ending or an extension of its own"
            )
        if fits and not taken:
            found.append((path, *fits))
        elif path.suffix.lower() in SUFFIXES:
            others.append(name)
    if not found:
        every = [path.name for path in files_below(folder)]
        got = f"others, such as {some_of(others)}" if others else "no image at all"
        raise UserError(
            f"no file below '{folder}' fits {pattern.option}='{pattern.text}'; expected at least one; got {got}; mend "
            "the pattern (it begins at dataset.root), or give another dataset.root" + way_out(every, scans=True)
        )
    return found
