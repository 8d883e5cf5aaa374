"""Paths by a pattern that a user typed: what is there by that very name is meant, and only the rest is a pattern."""

import glob
from pathlib import Path


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


def fitting(text: str) -> list[Path]:
    """Returns the paths that fit, in order; ** is any number of folders.

    The beginning that is there by that very name is taken as it stands, so that `outputs/exp [1]/*` means the folder
    "exp [1]". Where nothing fits, brackets further on are taken as they stand too.
    """
    beginning = literal_part(text)
    rest = str(Path(text).relative_to(beginning)) if Path(text) != beginning else ""
    if not rest:
        return [beginning] if beginning.exists() else []
    for tried in (rest, rest.replace("[", "[[]")):
        pattern = Path(glob.escape(str(beginning))) / tried
        if fits := glob.glob(str(pattern), recursive=True):
            return sorted(Path(path) for path in fits)
    return []
