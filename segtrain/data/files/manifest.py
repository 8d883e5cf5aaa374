"""Reads a manifest: its columns by name, its delimiter, and its rows, checked and held in arrays."""

import csv
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from segtrain.data.files.columns import Codes, NameColumn
from segtrain.data.files.patterns import LOOKALIKES
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError
from segtrain.files import bytes_of, opened, text_opened
from segtrain.nearest_name import did_you_mean

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
STEP = 500  # rows that are Python objects at a time; from 700 the garbage collector starts, and takes half of the time
Cells = tuple[str, ...]
Floats = np.ndarray[Any, np.dtype[np.float64]]

# Of these a path has some that is absolute, or has parts that are empty, "." or "..", or what no path should have. To
# look for each in all paths of a chunk at once, a line each, spares a look at every path where there are none.
SUSPECT = ("//", "/.", "\n.", "\n/", "/\n", "\n\n", "\\", ":", "\r", "\0")
DRIVE = re.compile("[A-Za-z]:")  # the beginning of an absolute path on Windows


class Columns(BaseModel):
    """Says what each column is called in the first line; None: not to be read though it may be there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    image: str = "image"
    mask: str = "mask"
    split: str | None = "split"
    group: str | None = "group"
    weight: str | None = "weight"

    @classmethod
    def given(cls, names: Mapping[str, str | None] | None) -> "Columns":
        """Returns the default names but for those that are given.

        Raises:
            UserError: there is no such column, a name is no text, or a name stands twice.
        """
        try:
            columns = cls(**(names or {}))  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(
                f"dataset.columns has {'.'.join(map(str, first['loc']))}: {first['input']!r}; expected what "
                f"{', '.join(cls.model_fields)} are called in the first line; got: {first['msg']}; give it as "
                "{image: path}"
            ) from error
        used = [name for name in columns.model_dump().values() if name is not None]
        for name in used:
            if used.count(name) > 1:
                raise UserError(f"dataset.columns uses '{name}' twice; expected a column each; got {used}; mend one")
        return columns


class Manifest:
    """Reads a text file of one line a sample below a line of column names; UTF-8, quotes as in RFC 4180."""

    def __init__(self, path: Path, columns: Columns, delimiter: str | None) -> None:
        """Reads the first line.

        Args:
            path: the file.
            columns: its names for what is looked for; split, group and weight may be absent under those names.
            delimiter: comma, tab or semicolon; None: the one by which the first line has the columns.

        Raises:
            UserError: there is no such file, delimiter or column, or a column stands twice.
        """
        if not path.is_file():
            raise UserError(
                f"there is no manifest '{path}'; expected a CSV file with a line of column names; a relative path "
                "starts from the current directory; give dataset.manifest as it is"
            )
        if delimiter not in (None, *DELIMITERS):
            raise UserError(f"dataset.delimiter is {delimiter!r}; expected {', '.join(DELIMITERS)} or null: found out")
        self.path, self._wanted = path, columns
        with opened(path) as file:
            line = self._decoded(file.readline(), 1)
        tried = [delimiter] if delimiter else [*DELIMITERS]
        headers = {DELIMITERS[name]: _header(line, DELIMITERS[name]) for name in tried}
        fitting = [mark for mark, header in headers.items() if {columns.image, columns.mask} <= {*header}]
        self._delimiter = fitting[0] if fitting else max(headers, key=lambda mark: len(headers[mark]))
        self._header = headers[self._delimiter]
        self._positions = self._found()

    def __contains__(self, role: str) -> bool:
        """Returns whether there is a column for image, mask, split, group or weight."""
        return role in self._positions

    def chunks(self) -> Iterator[tuple[int, dict[str, Cells]]]:
        """Yields up to `STEP` rows at a time, without empty lines: the number of the first, from 0, and role -> cells.

        Raises:
            UserError: a row has more or fewer cells than the first line, broken quotes, or text that is not UTF-8.
        """
        first = 0
        with self._opened() as file:
            rows = self._rows(file)
            while chunk := list(itertools.islice(rows, STEP)):
                widths = [*map(len, chunk)]
                if widths.count(len(self._header)) < len(widths):
                    wrong = next(i for i, width in enumerate(widths) if width != len(self._header))
                    raise self.error(
                        first + wrong,
                        f"has {widths[wrong]} cells; expected {len(self._header)} as the first line has; put a cell "
                        "that holds the delimiter into double quotes",
                    )
                columns = list(zip(*chunk, strict=True))
                yield first, {role: columns[position] for role, position in self._positions.items()}
                first += len(chunk)

    def line(self, row: int) -> int:
        """Returns the line of the file, from 1, on which a row ends: the file is read again up to there."""
        with self._opened() as file:
            reader = self._reader(file)
            next(itertools.islice(filter(None, reader), row + 1, None))
            return int(reader.line_num)

    def error(self, row: int, what: str) -> UserError:
        """Returns a UserError about a row."""
        return UserError(f"'{self.path}', line {self.line(row)}: {what}")

    def _rows(self, file: IO[str]) -> Iterator[list[str]]:
        reader = self._reader(file)
        try:
            next(reader)
            yield from filter(None, reader)
        except csv.Error as error:
            raise UserError(
                f"'{self.path}', line {reader.line_num}: {error}; expected cells with or without double quotes around "
                'them, a quote inside written twice (""); mend the line'
            ) from error
        except UnicodeDecodeError:
            for number, line in enumerate(bytes_of(self.path).split(b"\n"), 1):
                self._decoded(line, number)
            raise

    def _opened(self) -> IO[str]:
        return text_opened(self.path, "utf-8-sig", newline="")

    def _reader(self, file: IO[str]) -> Any:  # csv gives its readers no type by a public name
        return csv.reader(file, delimiter=self._delimiter, skipinitialspace=True, strict=True)

    def _decoded(self, line: bytes, number: int) -> str:
        try:
            return line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(
                f"'{self.path}', line {number}: is not UTF-8 (byte {line[error.start]:#04x}); expected a text file in "
                "UTF-8; save it so, in a spreadsheet as 'CSV UTF-8'"
            ) from error

    def _found(self) -> dict[str, int]:
        """Returns role -> position of its column."""
        positions = {}
        for role, name in self._wanted:
            if name is None:
                continue
            if self._header.count(name) > 1:
                raise UserError(f"'{self.path}', line 1: column '{name}' stands twice; expected it once; rename one")
            if name in self._header:
                positions[role] = self._header.index(name)
            elif role in ("image", "mask") or name != role or self._alike(name):
                alike = f"; '{self._alike(name)}' is not taken for it" if self._alike(name) else ""
                got = ", ".join(filter(None, self._header)) or "an empty line"
                raise UserError(
                    f"'{self.path}', line 1: there is no column '{name}'{alike}; expected {self._wanted.image} and "
                    f"{self._wanted.mask}, and others as dataset.columns says; got {got}; give the name as "
                    f"dataset.columns.{role}=…"
                )
        return positions

    def _alike(self, name: str) -> str | None:
        """Returns a column that is likely meant, as it differs in case only: to leave it out would be a surprise."""
        return next((column for column in self._header if column.casefold() == name.casefold()), None)


class Rows(NamedTuple):
    """Holds samples sorted by id; an id and its extension are the image's path from the manifest's folder."""

    ids: NameColumn
    extensions: Codes
    masks: NameColumn
    splits: Codes
    groups: Codes | None
    weights: Floats | None

    def image(self, index: int) -> str:
        """Returns the path of an image."""
        return f"{self.ids[index]}{self.extensions[index]}"


class _Coded:
    """Collects strings that come in chunks, as `Codes`."""

    def __init__(self) -> None:
        self._table: dict[str, int] = {}
        self._chunks: list[np.ndarray[Any, Any]] = []

    def add(self, cells: Sequence[str | None]) -> None:
        codes = [-1 if cell is None else self._table.setdefault(cell, len(self._table)) for cell in cells]
        self._chunks.append(np.array(codes, np.int32))

    def codes(self, order: np.ndarray[Any, Any]) -> Codes:
        return Codes(np.concatenate(self._chunks)[order], tuple(self._table))


def read_rows(manifest: Manifest, outside: bool) -> Rows:
    """Returns the rows of a manifest, sorted by id.

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
        ids.append(NameColumn(stems).array)
        extensions.add([path[len(stem) :] for path, stem in zip(images, stems, strict=True)])
        masks.append(NameColumn(_paths(manifest, first, "mask", cells["mask"], outside)).array)
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
        NameColumn(names),
        extensions.codes(order),
        NameColumn(np.concatenate(masks)[order]),
        splits.codes(order),
        groups.codes(order) if "group" in manifest else None,
        weight[order] if "weight" in manifest else None,
    )


def _header(line: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])]


def _stem(path: str) -> str:
    """Returns the first of what os.path.splitext gives, in a third of its time."""
    stem, _, extension = path.rpartition(".")
    return path if "/" in extension or not stem.rpartition("/")[2].lstrip(".") else stem


def _paths(manifest: Manifest, first: int, role: str, cells: Sequence[str], outside: bool) -> Sequence[str]:
    joined = "\n".join(["", *cells, ""])
    if joined.count("\n") == len(cells) + 1 and not any(mark in joined for mark in SUSPECT):
        return cells
    return [_path(manifest, first + i, role, cell, outside) for i, cell in enumerate(cells)]


def _path(manifest: Manifest, row: int, role: str, cell: str, outside: bool) -> str:
    """Returns the path without parts that are empty or "."."""
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
    unknown = {*cells} - {*PARTS, ""}
    if unknown:
        row = min(cells.index(cell) for cell in unknown)
        said = cells[row].casefold()
        near = LOOKALIKES.get(said, said)
        hint = did_you_mean(near if near in PARTS else "")
        raise manifest.error(
            first + row,
            f"the split is '{cells[row]}'; expected {', '.join(PARTS)}, or nothing where it is to be drawn; {hint}"
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
    """Refuses two equal names, which stand side by side: `names` are sorted, `order` are their rows."""
    again = np.flatnonzero(names[1:] == names[:-1])
    if len(again):
        one, other = (manifest.line(int(row)) for row in order[again[0] : again[0] + 2])
        raise UserError(
            f"'{manifest.path}', lines {one} and {other}: both name the image '{names[again[0]]}'; expected each image "
            f"once, and no two that differ in their extension alone; got {len(again)} too many; remove or rename them"
        )
