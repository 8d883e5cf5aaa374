"""Walks the folders below one that may come from a stranger: links are followed, and never without end.

A link that leads back, to a folder that it lies in or by way of another link, would be walked for ever; folders that
hold several links to the next one stand for more paths than anybody can list.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from segtrain.errors import UserError

MOST_WAYS = (
    100  # to one folder by links in folders that links led to; those of the first folders are as many as stand there
)


def walk_folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Walks a folder and those below it, links followed, hidden ones left out, in the order of their names.

    Yields:
        Each folder's path, and the sorted names of what is no folder in it, hidden ones left out: files, and links that
        lead nowhere.

    Raises:
        UserError: a link leads back to a folder that it lies in, or links behind links lead to one folder by many ways.
    """
    ways = Counter[str]()
    ahead: list[tuple[Path, tuple[str, ...]]] = [(top, (os.path.realpath(top),))]
    while ahead:
        folder, chain = ahead.pop()
        folders, names = _listed(folder)
        yield folder, names
        ahead += [(folder / name, _chain(folder / name, chain, ways)) for name in reversed(folders)]


def files_below(top: Path) -> Iterator[Path]:
    """Yields all files below, links followed, hidden ones left out; raises as `walk_folders`."""
    for folder, names in walk_folders(top):
        yield from (folder / name for name in names)


def require_inside(folder: Path, apart: str) -> None:
    """Raises UserError where a folder below is a link that leads out, or holds one: for libraries that write there.

    Args:
        folder: of a run.
        apart: name of a folder in it that is left out, as are the files at the top: they are written by us alone.
    """
    real = os.path.realpath(folder)
    for where, folders, names in os.walk(folder):
        if Path(where) == folder:
            names.clear()
            if apart in folders:
                folders.remove(apart)
        for path in (Path(where, name) for name in (*folders, *names)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(real):
                raise UserError(
                    f"'{path}' is a link, to '{os.path.realpath(path)}'; expected none that leads out of a run's "
                    "folder, where a logger writes by itself; remove the link, or give logger=csv"
                )


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of all else; none where the folder cannot be read."""
    folders: list[str] = []
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else names).append(entry.name)
    except OSError:
        return [], []
    return sorted(folders), sorted(names)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _chain(folder: Path, above: tuple[str, ...], ways: Counter[str]) -> tuple[str, ...]:
    """Returns the real paths of the folders by which links led here, this one the last."""
    if not folder.is_symlink():
        return (*above[:-1], os.path.join(above[-1], folder.name))
    real = os.path.realpath(folder)
    if any(Path(one).is_relative_to(real) for one in above):
        raise UserError(f"the link '{folder}' leads back to a folder that it lies in; expected a tree; remove the link")
    ways[real] += len(above) > 1
    if ways[real] > MOST_WAYS:
        raise UserError(
            f"links lead to '{real}' by more than {MOST_WAYS} ways, '{folder}' is one; expected a tree; remove links "
            "that lead from one folder to the next several times"
        )
    return (*above, real)


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
