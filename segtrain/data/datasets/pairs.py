"""Which image belongs to which mask: files of two folder trees matched by their path without extension."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SPLITS = ("train", "val", "test")
LOOKALIKES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}


class Pair(NamedTuple):
    """One sample's files; `split` is the train, val or test folder it lies in, None without one."""

    id: str
    image: Path
    mask: Path
    split: str | None


def find_pairs(root: Path, images: str, masks: str) -> list[Pair]:
    """The pairs below root, sorted by id, which is the path without extension from the images folder.

    Layouts: root/images with root/masks, in both of which folders train, val and test set the split; or
    root/train, root/val, root/test with those two folders in each, where ids begin with the split.

    Raises:
        UserError: a folder is missing or empty, an image or mask has no partner, two files share a name.
    """
    layout = f"{root / images} with {root / masks}, or {root / 'train' / images} with {root / 'train' / masks}"
    _need_folder(root, layout)
    _refuse_lookalikes([folder for folder in root.iterdir() if (folder / images).is_dir()])
    inner = [split for split in SPLITS if (root / split).is_dir()]
    if (root / images).is_dir():
        if any((root / split / images).is_dir() for split in inner):
            raise UserError(f"'{root}' is laid out twice; expected either {layout}; got both; move one away")
        _refuse_lookalikes([folder for folder in (root / images).iterdir() if folder.is_dir()])
        pairs = [Pair(*pair, _split_of(pair[0])) for pair in _match(root / images, root / masks, layout)]
    elif inner:
        pairs = [
            Pair(f"{split}/{name}", image, mask, split)
            for split in inner
            for name, image, mask in _match(root / split / images, root / split / masks, layout)
        ]
    else:
        _need_folder(root / images, layout)
    return sorted(pairs)


def some(names: Sequence[str]) -> str:
    """Up to five names, and how many there are in all when there are more."""
    shown = ", ".join(names[:5])
    return f"{shown}, … ({len(names)} in all)" if len(names) > 5 else shown


def _need_folder(folder: Path, layout: str) -> None:
    if not folder.is_dir():
        raise UserError(
            f"there is no folder '{folder}'; expected {layout}; relative paths start from the current "
            "directory, "
            f"{Path.cwd()}; give dataset.root, dataset.images and dataset.masks as they are"
        )


def _refuse_lookalikes(folders: Sequence[Path]) -> None:
    for folder in sorted(folders):
        name = folder.name.casefold()
        split = LOOKALIKES.get(name, name)
        if split in SPLITS and folder.name != split:
            raise UserError(
                f"folder '{folder}' would not be taken as a split; expected the names train, val and test; "
                f"rename it to '{split}'"
            )


def _split_of(name: str) -> str | None:
    first, slash, _ = name.partition("/")
    return first if slash and first in SPLITS else None


def _match(images: Path, masks: Path, layout: str) -> list[tuple[str, Path, Path]]:
    _need_folder(images, layout)
    _need_folder(masks, layout)
    image_of, mask_of = _files(images), _files(masks)
    for kind, have, folder, other in (
        ("mask", image_of, masks, mask_of),
        ("image", mask_of, images, image_of),
    ):
        alone = [str(path) for name, path in sorted(have.items()) if name not in other]
        if alone:
            raise UserError(
                f"{len(alone)} of {len(have)} files have no {kind}; expected one of the same name (the "
                "extension may "
                f"differ) in {folder}; got none for {some(alone)}; add the {kind}, or remove the file"
            )
    return [(name, image_of[name], mask_of[name]) for name in image_of]


def _files(folder: Path) -> dict[str, Path]:
    """Image files below folder, links followed, hidden ones left out: path without extension -> file."""
    paths = [Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names]
    visible = [p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    found: dict[str, Path] = {}
    for path in sorted(p for p in visible if p.suffix.lower() in SUFFIXES):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(
                f"two files are named '{name}'; expected one a name; got {found[name]} and {path}; remove or rename one"
            )
        found[name] = path
    if not found:
        kinds = sorted({p.suffix or p.name for p in visible})
        got = f"{len(visible)} other files ({some(kinds)})" if visible else "no file"
        raise UserError(
            f"'{folder}' holds no image; expected files ending in {', '.join(SUFFIXES)}; got {got}; "
            "put them there, or give another folder by dataset.root, dataset.images or dataset.masks"
        )
    return found
