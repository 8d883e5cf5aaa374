"""Images that are there more than once: in two parts of a split they would leak."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

PIECE = 4096  # bytes in the middle of a file by which nearly all different files of one size differ
FILES = 20_000  # images up to which copies are looked for; the check looks among any number
MOST = 24  # names that an expression lists; with more, copies are the user's to remove
SHARE = 0.2  # of the samples that may lie in the one group of all copies


def find_same(root: Path, images: Mapping[str, str]) -> list[list[str]]:
    """Groups of ids, of images id -> path, whose files are the same to the byte; of too many images, none."""
    paths = {name: root / path for name, path in images.items()}
    groups = [list(paths)] if len(paths) <= FILES else []
    for key in KEYS:  # each reads only what the one before left together
        groups = [group for one in groups for group in _alike(paths, one, key)]
    return groups


def together(groups: Sequence[Sequence[str]], count: int) -> str | None:
    """An expression for `split.group` that puts all copies into one group, and every other of `count` samples apart.

    It matches the whole id of the others, and of copies the empty text before it. None when there are too many.
    """
    names = [name for group in groups for name in group]
    if not names or len(names) > min(MOST, max(2, SHARE * count)):
        return None
    return f"^(?!(?:{'|'.join(map(re.escape, names))})$).+|^"


def _alike(paths: Mapping[str, Path], names: Iterable[str], key: Callable[[Path], Hashable]) -> list[list[str]]:
    found: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        found[key(paths[name])].append(name)
    return [group for group in found.values() if len(group) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _middle(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(path.stat().st_size // 2)
        return file.read(PIECE)


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()


KEYS: tuple[Callable[[Path], Hashable], ...] = (_size, _middle, _whole)
