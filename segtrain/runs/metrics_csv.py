"""Writes and reads tables of numbers as CSV: metrics.csv, one row an epoch, and tables written once.

A text that a spreadsheet would run as a formula (it begins with = + - @ and is no number) is written behind an
apostrophe, which reading takes off again.
"""

import csv
import io
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from segtrain.errors import damaged
from segtrain.files import append_whole, bytes_of, text_of, write_whole
from segtrain.runs.epochs import FROM_1, index_of, number_of

Number = float | int
RUN_BY_SPREADSHEETS = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")  # noqa: RUF001  # the wide ones are run too
NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?(e[+-]?[0-9]{1,3})?|inf|nan)", re.ASCII)
SHARES = ("dice", "iou")  # columns, alone or before a class's name, of numbers from 0 to 1
DATA_WAIT = "train/data_wait"  # share of an epoch's training, 0 to 1, in which the device waited for data
TIMES = (DATA_WAIT,)  # columns that a clock fills: all others are the same bits for the same command
EPOCH = "epoch"  # counts from 0: the column of earlier versions, and the key of a row in the code


def write_csv(path: Path, rows: Sequence[Mapping[str, Number | str]]) -> None:
    """Writes a table whole; columns in first-seen order, a missing cell blank, NaN as `nan`, floats exact."""
    columns = _columns((), rows)
    write_whole(path, _text([list(map(written_text, columns)), *_cells(columns, rows)]))


def read_csv(path: Path, texts: Collection[str] = ("id",)) -> list[dict[str, Any]]:
    """Returns the rows of a table that `write_csv` wrote, a blank cell as NaN; empty where the file does not exist.

    Args:
        path: of the file.
        texts: columns that hold texts; all must be there, the others hold numbers.

    Raises:
        UserError: it is cut off, or a cell is not what its column holds.
    """
    rows: list[dict[str, Any]] = [{**cells} for cells in read_cells(path)]
    for number, row in enumerate(rows, start=2):
        if lacks := [name for name in texts if not row.get(name)]:
            raise damaged(path, f"no {lacks[0]} in line {number}", f"{' and '.join(texts)} in every line")
        for name in row.keys() - {*texts}:
            row[name] = _number_of(row[name])
            if row[name] is None or (name.partition("/")[0] in SHARES and abs(row[name] - 0.5) > 0.5):
                raise damaged(path, f"another value under '{name}' in line {number}", "a number there, of Dice 0 to 1")
    return rows


def read_cells(path: Path) -> list[dict[str, str]]:
    """Returns the same rows with every cell as its text.

    Raises:
        UserError: it is cut off, or its lines are not of one length.
    """
    if not os.path.lexists(path):
        return []
    text = text_of(path)
    table = _table(path, text)
    if not text.endswith("\n") or len(table) < 2 or any(len(cells) != len(table[0]) for cells in table):
        raise damaged(path, "another, or one that is cut off", "a table of whole lines")
    if len({*table[0]}) < len(table[0]):
        raise damaged(path, "a column that stands twice", "columns of different names")
    return [dict(zip(table[0], cells, strict=True)) for cells in table[1:]]


def _table(path: Path, text: str) -> list[list[str]]:
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise damaged(path, str(error), "a table (CSV)") from error
    return [[unquoted(cell) for cell in cells] for cells in table]


def _number_of(cell: str) -> float | None:
    """Returns the number in a cell, NaN for a blank one; None where it holds another text."""
    try:
        value = float(cell) if cell else math.nan
    except ValueError:
        return None
    return None if math.isinf(value) else value


def reproducible_bytes(path: Path) -> bytes:
    """Returns what of a run's file the same command gives again: all of it, of metrics.csv but the columns of times."""
    table = _table(path, text_of(path)) if path.name == "metrics.csv" else []
    if not table:
        return bytes_of(path)
    kept = [number for number, name in enumerate(table[0]) if name not in TIMES]
    return _text([[cells[number] for number in kept] for cells in table]).encode()


class MetricsTable:
    """Holds metrics.csv: append-only, a row an epoch; columns are epoch_from_1, step, then the others as first seen.

    Rows are handed in and out with the key `epoch`, which counts from 0. A file that an earlier version began has that
    as its first column, and keeps it to its end.
    A last line without its newline is one that a crash cut off; it counts as not written.
    """

    def __init__(self, path: Path) -> None:
        """Takes a file that need not exist yet."""
        self.path = path

    def append(self, row: Mapping[str, Number]) -> None:
        """Adds a row and returns when it is on the disk; a new column rewrites the file, blank in older rows.

        Raises:
            UserError: the disk does not take it; the rows before it stay.
            ValueError: the row's epoch is not later than the last one.
        """
        table, torn = self._read()
        old = table[0] if table else [EPOCH + FROM_1]
        if len(table) > 1 and _epoch(old, table[-1]) >= row[EPOCH]:
            raise ValueError(f"{self.path}: epoch {row[EPOCH]} came after epoch {_epoch(old, table[-1])} (from 0)")
        named = {**row, old[0]: row[EPOCH] if old[0] == EPOCH else number_of(int(row[EPOCH]))}
        if old[0] != EPOCH:
            del named[EPOCH]
        columns = _columns((old[0], "step", *old), [named])
        (line,) = _cells(columns, [named])
        if torn or columns != old:
            padded = [cells + [""] * (len(columns) - len(cells)) for cells in table[1:]]
            write_whole(self.path, _text([columns, *padded, line]))
        else:
            append_whole(self.path, _text([line]).encode())

    def cut(self, after_epoch: int) -> None:
        """Drops the rows of epochs later than the given one, from 0, so that a resumed run writes them again."""
        table, torn = self._read()
        kept = table[:1] + [cells for cells in table[1:] if _epoch(table[0], cells) <= after_epoch]
        if torn or len(kept) < len(table):
            write_whole(self.path, _text(kept))

    def rows(self) -> list[dict[str, Number]]:
        """Returns the rows in order; a blank cell is left out, NaN is NaN; empty when the file does not exist."""
        table, _ = self._read()
        found = []
        for cells in table[1:]:
            rest = {name: _number(cell) for name, cell in zip(table[0][1:], cells[1:], strict=True) if cell}
            found.append({EPOCH: _epoch(table[0], cells), **rest})
        return found

    def _read(self) -> tuple[list[list[str]], bool]:
        """Returns the header and the whole lines as text, and whether a cut-off line follows them."""
        text = text_of(self.path) if os.path.lexists(self.path) else ""
        whole, newline, torn = text.rpartition("\n")
        table = _table(self.path, whole + newline)
        heads = table[0] if table else []
        if text and (not heads or heads[0] not in (EPOCH, EPOCH + FROM_1) or len({*heads}) < len(heads)):
            raise damaged(self.path, "another first line", f"the columns, {EPOCH + FROM_1} first")
        if any(len(cells) != len(heads) or not _is_row(cells) for cells in table[1:]):
            raise damaged(
                self.path, "another line", f"{len(heads)} cells a line, a whole epoch in the first, numbers in the rest"
            )
        epochs = [int(cells[0]) for cells in table[1:]]
        if epochs != sorted({*epochs}):
            raise damaged(self.path, "an epoch that stands twice, or too late", "one line an epoch, in their order")
        return table, bool(torn)


def _is_row(cells: Sequence[str]) -> bool:
    """Returns whether the cells of a line are a whole epoch and numbers; infinity and NaN are of a diverged loss."""
    return all(NUMBER.fullmatch(cell) for cell in cells if cell) and len(cells[0]) < 10 and cells[0].isdigit()


def _epoch(header: Sequence[str], cells: Sequence[str]) -> int:
    """Returns the epoch of a line, from 0."""
    return int(cells[0]) if header[0] == EPOCH else index_of(int(cells[0]))


def _columns(first: Sequence[str], rows: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys([*first, *(name for row in rows for name in row)]))


def _cells(columns: list[str], rows: Sequence[Mapping[str, Number | str]]) -> list[list[str]]:
    return [[_cell(row.get(name, "")) for name in columns] for row in rows]


def _cell(value: Number | str) -> str:
    """Returns text that reads back as the same number: repr of a float is exact, also of NumPy's float64."""
    return float.__repr__(value) if isinstance(value, float) else written_text(str(value))


def written_text(text: str) -> str:
    """Returns a text as a cell holds it: behind an apostrophe where a spreadsheet would run it."""
    return f"'{text}" if RUN_BY_SPREADSHEETS.match(text) and _number_of(text) is None else text


def unquoted(cell: str) -> str:
    """Returns the text that `written_text` made a cell of."""
    return cell[1:] if cell.startswith("'") and RUN_BY_SPREADSHEETS.match(cell) else cell


def _number(cell: str) -> Number:
    try:
        return int(cell)
    except ValueError:
        return float(cell)


def _text(table: Sequence[Sequence[str]]) -> str:
    return "".join(map(_line, table))


def _line(cells: Sequence[str]) -> str:
    """Returns one line of a table; the writer quotes a carriage return only where it ends lines itself."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    return f"{stream.getvalue()[:-2]}\n"
