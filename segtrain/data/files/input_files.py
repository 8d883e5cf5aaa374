"""Finds the files that `predict input=…` means: a file, a folder, a glob, a text file of paths, or a list of these."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.data.files.patterns import SUFFIXES, way_out
from segtrain.errors import UserError
from segtrain.files import text_of
from segtrain.folders import files_below, find_paths, is_pattern, literal_part

ENDINGS = (*SUFFIXES, ".nii", ".nii.gz")
LISTS = (".txt", ".lst")


class Item(NamedTuple):
    """Holds a file, and the path without ending below the output folder of what is made of it."""

    path: Path
    name: str


def find_inputs(given: str | Sequence[str], output: Path) -> list[Item]:
    """Returns the files, in order; folders below what was given are kept in the names; files in `output` are left out.

    Raises:
        UserError: nothing there, or nothing of a kind that is read.
    """
    found = [_found(text) for text in _listed(given)]
    if not found:
        raise UserError("input is an empty list; expected files, folders or patterns; give input=PATH")
    base = found[0][0] if len(found) == 1 else Path(os.path.commonpath([os.path.abspath(base) for base, _ in found]))
    mine = output.resolve()
    paths = [path for _, paths in found for path in paths if mine not in path.resolve().parents]
    paths = list({path.resolve(): path for path in paths}.values())
    if not paths:
        raise UserError(
            f"there is no image in input={given}; expected files that end in {', '.join(ENDINGS)}; give another path"
        )
    relative = [_relative(path, base) for path in paths]
    stems = [_stem(name) for name in relative]
    often = Counter(stems)  # a.png beside a.jpg: both keep their endings
    return [
        Item(path, stem if often[stem] == 1 else name) for path, name, stem in zip(paths, relative, stems, strict=True)
    ]


def _listed(given: str | Sequence[str]) -> list[str]:
    if not isinstance(given, str):
        return [str(text) for text in given]
    if given.startswith("[") and given.endswith("]") and not os.path.exists(given):
        return [text.strip().strip("'\"") for text in given[1:-1].split(",") if text.strip()]
    return [given]


def _found(text: str) -> tuple[Path, list[Path]]:
    """Returns the folder from which names count, and the files."""
    path = Path(text).expanduser()
    if path.is_dir():
        return path, [file for file in files_below(path) if _is_read(file)]
    if path.is_file() and path.suffix.lower() in LISTS:
        return _of_list(path)
    if path.is_file():
        if not _is_read(path):
            raise UserError(
                f"input '{text}' is of no kind that is read; expected {', '.join(ENDINGS)}, or a .txt list"
                + way_out([text], scans=False)
            )
        return path.parent, [path]
    if not is_pattern(text):
        raise UserError(f"there is no input '{text}'; expected a file, a folder, a glob or a list; got no such path")
    return literal_part(str(path.parent)), [file for file in find_paths(str(path)) if _is_read(file)]


def _of_list(path: Path) -> tuple[Path, list[Path]]:
    """Reads a path a line, relative ones from the list's own folder; missing files are named when they are read."""
    try:
        lines = [line.strip() for line in text_of(path).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"input '{path}' cannot be read; expected a path a line, in UTF-8; got: {error}") from error
    files = [path.parent / Path(line).expanduser() for line in lines if line and not line.startswith("#")]
    if not files:
        raise UserError(f"input '{path}' lists nothing; expected a path a line")
    here, ends = os.path.abspath(path.parent), [os.path.abspath(file) for file in files]
    if all(end.startswith(f"{here}{os.sep}") for end in ends):
        return path.parent, files
    return Path(os.path.commonpath([os.path.dirname(end) for end in ends])), files


def _is_read(path: Path) -> bool:
    """Returns whether it is called as an image is: so may a pipe, or a link that leads nowhere."""
    return path.name.lower().endswith(ENDINGS) and not path.is_dir()


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _stem(name: str) -> str:
    ending = next((ending for ending in (".nii.gz", *ENDINGS) if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]
