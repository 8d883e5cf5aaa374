"""Finds paths by a pattern that a user typed: what is there by that very name is meant, the rest is a pattern."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from segtrain.folders import walk_folders


def is_pattern(text: str) -> bool:
    """Returns whether the text is no path that is there and has one of the signs *, ? and [."""
    return glob.has_magic(text) and not Path(text).exists()


def literal_part(text: str) -> Path:
    """Returns the longest beginning of the path that is there by that very name, or has none of a pattern's signs."""
    found = Path()
    for part in Path(text).parts:
        if glob.has_magic(part) and not (found / part).exists():
            break
        found /= part
    return found


def find_paths(text: str) -> list[Path]:
    """Returns the paths that fit, in order; ** is any number of folders.

    The beginning that is there by that very name is taken as it stands, so that `outputs/exp [1]/*` means the folder
    "exp [1]". Where nothing fits, brackets further on are taken as they stand too.
    """
    beginning = literal_part(text)
    rest = str(Path(text).relative_to(beginning)) if Path(text) != beginning else ""
    if not rest:
        return [beginning] if beginning.exists() else []
    for tried in (rest, rest.replace("[", "[[]")):
        if fits := _fits([beginning], Path(tried).parts):
            return sorted(fits)
    return []


def _fits(folders: Iterable[Path], parts: Sequence[str]) -> set[Path]:
    """Returns what fits the parts of a pattern below the folders; links are followed, and never without end."""
    if "**" not in parts:
        patterns = [os.path.join(glob.escape(str(folder)), *parts) for folder in folders]
        return {Path(path) for pattern in patterns for path in glob.glob(pattern)}
    first = parts.index("**")
    begun = _fits(folders, parts[:first]) if first else set(folders)
    walked = [found for folder in begun if folder.is_dir() for found in walk_folders(folder)]
    below = [folder for folder, _ in walked]
    if parts[first + 1 :]:
        return _fits(below, parts[first + 1 :])
    return {*below, *(folder / name for folder, names in walked for name in names)}
