"""Text files that say which sample trains, validates and tests."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segtrain.data.files.file_names import SPLITS
from segtrain.errors import UserError
from segtrain.files import text_opened

LINES = 50  # of a list that are compared with the names
LISTED = 0.9  # share of them that must name a sample


class Lists(NamedTuple):
    """Split -> list below root, and what its paths begin with that is not below root."""

    files: dict[str, str]
    prefix: str


def find_lists(root: Path, texts: Sequence[str], images: Mapping[str, str]) -> Lists | None:
    """The lists of the folder that has most of them, for images by id; None without a list of training samples.

    A list names a sample on each line: its id, its file, or paths of image and mask.
    """
    names = {spelling for name, path in images.items() for spelling in (name, path, name + PurePosixPath(path).suffix)}
    found: dict[str, dict[str, str]] = {}
    prefixes: dict[str, str] = {}
    for path in texts:
        pure = PurePosixPath(path)
        split = SPLITS.get(pure.stem.lower())
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
    """The first word of each of the first lines; the whole line where that is the name of a sample with blanks."""
    with suppress(UserError, OSError), text_opened(path, errors="replace") as file:
        for line, _ in zip(file, range(LINES), strict=False):
            if line.strip():
                yield line.split()[0]


def _prefix(words: Sequence[str], names: set[str]) -> str | None:
    """What must be cut from the words so that they are names; None when no cut does that."""
    if not words:
        return None
    pieces = words[0].split("/")
    for cut in range(len(pieces)):
        prefix = "/".join(pieces[:cut]) + ("/" if cut else "")
        hits = sum(word.startswith(prefix) and word[len(prefix) :] in names for word in words)
        if hits >= LISTED * len(words):
            return prefix
    return None
