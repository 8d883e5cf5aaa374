"""The rows of a manifest, checked and held in arrays."""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.files.columns import Codes, Names
from segtrain.data.files.manifest import Manifest
from segtrain.data.files.patterns import LOOKALIKES, SPLITS
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean

Floats = np.ndarray[Any, np.dtype[np.float64]]

# Of these a path has some that is absolute, or has parts that are empty, "." or "..", or what no path should have. To
# look for each in all paths of a chunk at once, a line each, spares a look at every path where there are none.
SUSPECT = ("//", "/.", "\n.", "\n/", "/\n", "\n\n", "\\", ":", "\r", "\0")
DRIVE = re.compile("[A-Za-z]:")  # the beginning of an absolute path on Windows


class Rows(NamedTuple):
    """Samples sorted by id; an id and its extension are the image's path from the manifest's folder."""

    ids: Names
    extensions: Codes
    masks: Names
    splits: Codes
    groups: Codes | None
    weights: Floats | None

    def image(self, index: int) -> str:
        """The path of an image."""
        return f"{self.ids[index]}{self.extensions[index]}"


class _Coded:
    """Strings that come in chunks, as `Codes`."""

    def __init__(self) -> None:
        self._table: dict[str, int] = {}
        self._chunks: list[np.ndarray[Any, Any]] = []

    def add(self, cells: Sequence[str | None]) -> None:
        codes = [-1 if cell is None else self._table.setdefault(cell, len(self._table)) for cell in cells]
        self._chunks.append(np.array(codes, np.int32))

    def codes(self, order: np.ndarray[Any, Any]) -> Codes:
        return Codes(np.concatenate(self._chunks)[order], tuple(self._table))


def read_rows(manifest: Manifest, outside: bool) -> Rows:
    """The rows of a manifest, sorted by id.

    Args:
        manifest: the file.
        outside: whether paths may be absolute, or hold "..".

    Raises:
        UserError: there is no row, a cell is empty or means nothing, a path leads out, or two images have one id.
    """
    ids, masks, weights = [], [], []
    extensions, splits, groups = _Coded(), _Coded(), _Coded()
    for first, cells in manifest.chunks():
        images = _paths(manifest, first, "image", cells["image"], outside)
        stems = [_stem(path) for path in images]
        ids.append(Names(stems).array)
        extensions.add([path[len(stem) :] for path, stem in zip(images, stems, strict=True)])
        masks.append(Names(_paths(manifest, first, "mask", cells["mask"], outside)).array)
        splits.add(_splits(manifest, first, cells["split"]) if "split" in cells else [None] * len(images))
        groups.add(_filled(manifest, first, "group", cells["group"]) if "group" in cells else [])
        weights.append(_weights(manifest, first, cells.get("weight", ())))
    if not ids:
        raise UserError(f"'{manifest.path}' has no row below its first line; expected a line a sample; add them")
    names, weight = np.concatenate(ids), np.concatenate(weights)
    order = np.argsort(names, kind="stable")
    names = names[order]
    _refuse_twice(manifest, names, order)
    if len(weight) and not weight.any():
        raise UserError(
            f"'{manifest.path}' has weight 0 in every line; expected one above 0 at least; mend the weights"
        )
    return Rows(
        Names(names),
        extensions.codes(order),
        Names(np.concatenate(masks)[order]),
        splits.codes(order),
        groups.codes(order) if "group" in manifest else None,
        weight[order] if "weight" in manifest else None,
    )


def _stem(path: str) -> str:
    """The first of what os.path.splitext gives, in a third of its time."""
    stem, _, extension = path.rpartition(".")
    return path if "/" in extension or not stem.rpartition("/")[2].lstrip(".") else stem


def _paths(manifest: Manifest, first: int, role: str, cells: Sequence[str], outside: bool) -> Sequence[str]:
    joined = "\n".join(["", *cells, ""])
    if joined.count("\n") == len(cells) + 1 and not any(mark in joined for mark in SUSPECT):
        return cells
    return [_path(manifest, first + i, role, cell, outside) for i, cell in enumerate(cells)]


def _path(manifest: Manifest, row: int, role: str, cell: str, outside: bool) -> str:
    """The path without parts that are empty or "."."""
    parts = [part for part in cell.split("/") if part not in ("", ".")]
    is_absolute = cell.startswith("/") or DRIVE.match(cell) is not None
    if not parts:
        raise manifest.error(row, f"the path of the {role} is empty; expected a file; give one, or remove the line")
    if any(mark in cell for mark in "\\\n\r\0"):
        raise manifest.error(
            row, f"the path of the {role} is {cell!r}; expected / between folders, and one line; mend it"
        )
    if (is_absolute or ".." in parts) and not outside:
        raise manifest.error(
            row,
            f"the path of the {role} is '{cell}', which may lead out of the manifest's folder; expected one below it, "
            "not absolute and without '..'; mend it, or give dataset.allow_outside=true",
        )
    return f"{'/' if cell.startswith('/') else ''}{'/'.join(parts)}"


def _splits(manifest: Manifest, first: int, cells: Sequence[str]) -> list[str | None]:
    unknown = {*cells} - {*SPLITS, ""}
    if unknown:
        row = min(cells.index(cell) for cell in unknown)
        said = cells[row].casefold()
        near = LOOKALIKES.get(said, said)
        hint = did_you_mean(near if near in SPLITS else "")
        raise manifest.error(
            first + row,
            f"the split is '{cells[row]}'; expected {', '.join(SPLITS)}, or nothing where it is to be drawn; {hint}"
            "mend it, or give dataset.columns.split=null to draw all",
        )
    return [cell or None for cell in cells]


def _filled(manifest: Manifest, first: int, role: str, cells: Sequence[str]) -> Sequence[str]:
    if "" in cells:
        raise manifest.error(
            first + cells.index(""),
            f"the {role} is empty; expected one in every line, as there is such a column; fill it, or give "
            f"dataset.columns.{role}=null to leave the column out",
        )
    return cells


def _weights(manifest: Manifest, first: int, cells: Sequence[str]) -> Floats:
    weights = np.array([_number(cell) for cell in _filled(manifest, first, "weight", cells)], np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise manifest.error(
            first + int(wrong[0]),
            f"the weight is '{cells[int(wrong[0])]}'; expected a number from 0, with a point, such as 0.5; mend it, or "
            "give dataset.columns.weight=null",
        )
    return weights


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _refuse_twice(manifest: Manifest, names: np.ndarray[Any, Any], order: np.ndarray[Any, Any]) -> None:
    """Refuse two equal names, which stand side by side: `names` are sorted, `order` are their rows."""
    again = np.flatnonzero(names[1:] == names[:-1])
    if len(again):
        one, other = (manifest.line(int(row)) for row in order[again[0] : again[0] + 2])
        raise UserError(
            f"'{manifest.path}', lines {one} and {other}: both name the image '{names[again[0]]}'; expected each image "
            f"once, and no two that differ in their extension alone; got {len(again)} too many; remove or rename them"
        )
