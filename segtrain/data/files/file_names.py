"""Finds the files below a folder, and takes their names apart."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segtrain.data.files.patterns import LOOKALIKES, SUFFIXES
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError
from segtrain.folders import walk_folders

SPLIT_OF = {part: part for part in PARTS} | LOOKALIKES  # a word in a name -> the split that it says

# What names of folders and files say of what is in them.
MASK_WORDS = ("mask", "label", "annot", "gt", "groundtruth", "ground_truth", "truth", "seg", "manual", "target")
IMAGE_WORDS = ("image", "img", "photo", "picture", "scan", "raw", "input", "original", "tissue")
SPLIT_FOLDER = re.compile(
    rf"^(?P<before>.*?)(?P<split>{'|'.join(sorted(SPLIT_OF, key=len, reverse=True))})"
    rf"(?P<after>[_\-. ].*|\d{{4}}|s?|(?:{'|'.join((*MASK_WORDS, *IMAGE_WORDS))}).*)$",
    re.IGNORECASE,
)
MOST_NAMED = 8  # names of folders with one split in them, such as images_train and train_masks; more name patients


class Found(NamedTuple):
    """Holds paths below a folder, sorted, with `/` between their parts."""

    pictures: tuple[str, ...]
    others: tuple[str, ...]

    def ending(self, *suffixes: str) -> list[str]:
        """Returns those of all files that end so, in any case."""
        return [name for name in (*self.pictures, *self.others) if name.lower().endswith(suffixes)]


class Name(NamedTuple):
    """Holds a path taken apart: folders with `{split}` for a split's name, the split that it was, stem and suffix."""

    folders: tuple[str, ...]
    split: str | None
    stem: str
    suffix: str


def find_files(root: Path) -> Found:
    """Returns the files below root, links followed, hidden ones left out.

    Raises:
        UserError: there is no such folder, no file in it, or links in it that lead on without end.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(
            f"'{root}' {what}; expected the folder of the data, images with their masks somewhere below it; give its "
            "path from the current directory: python -m segtrain new NAME ROOT"
        )
    pictures: list[str] = []
    others: list[str] = []
    for folder, names in walk_folders(root):
        where = folder.relative_to(root)
        for name in names if "__MACOSX" not in where.parts else ():
            (pictures if name.lower().endswith(SUFFIXES) else others).append((where / name).as_posix())
    if not pictures and not others:
        raise UserError(f"'{root}' holds no file; expected images with their masks somewhere below it; put them there")
    return Found(tuple(sorted(pictures)), tuple(sorted(others)))


def split_names(paths: Sequence[str]) -> dict[str, Name]:
    """Returns the paths taken apart; what names patients (BraTS20_Training_001, train_0, train_1, …) is no split."""
    names = {path: taken_apart(path) for path in paths}
    numbered: dict[str, set[str]] = defaultdict(set)
    for name in names.values():
        for folder in name.folders:
            if "{split}" in folder:
                numbered[re.sub(r"\d+", "#", folder)].add(folder)
    several = len(set().union(*numbered.values())) > MOST_NAMED if numbered else False
    no_split = {folder for alike in numbered.values() if len(alike) > 1 or several for folder in alike}
    return {
        path: taken_apart(path, splits=False) if no_split & {*name.folders} else name for path, name in names.items()
    }


def taken_apart(path: str, splits: bool = True) -> Name:
    """Returns the parts of a path; a folder such as `train`, `trainannot` or `images_val` has the split in it.

    A name below it may end in the split's word too (training/images/21_training.tif): `{split}` stands for it there.
    """
    pure = PurePosixPath(path)
    folders, split = [], None
    for folder in pure.parts[:-1]:
        found = SPLIT_FOLDER.match(folder) if splits and split is None else None
        if found and (not found["before"] or found["before"][-1] in "_-. "):
            split = found["split"]
            folders.append(f"{found['before']}{{split}}{found['after']}")
        else:
            folders.append(folder)
    stem = re.sub(rf"(?<=[_\-. ]){split}(?![A-Za-z])", "{split}", pure.stem) if split else pure.stem
    return Name(tuple(folders), split, stem, pure.suffix)


def says(name: str, words: Iterable[str]) -> bool:
    """Returns whether one of the words begins a part of the name: `cells_GT`, `SegmentationClass`, `trainannot`."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("{split}", "_")
    return any(re.search(rf"(?:^|[_\-. /\d]){word}", parts) for word in words)


def natural(name: str) -> list[str | int]:
    """Returns a key that sorts slice_9 before slice_10."""
    return [int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"(\d+)", name))]
