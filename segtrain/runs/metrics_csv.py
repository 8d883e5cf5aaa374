"""Tables of numbers as CSV: metrics.csv, one row an epoch, and tables written once."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from segtrain.errors import UserError
from segtrain.files import append_whole, text_of, write_whole
from segtrain.runs.epochs import FROM_1, index_of, number_of

Number = float | int
EPOCH = "epoch"  # counts from 0: the column of earlier versions, and the key of a row in the code


def write_csv(path: Path, rows: Sequence[Mapping[str, Number | str]]) -> None:
    """Writes a table whole; columns in first-seen order, a missing cell blank, NaN as `nan`, floats exact."""
    columns = _columns((), rows)
    write_whole(path, _text([columns, *_cells(columns, rows)]))


class MetricsTable:
    """metrics.csv: append-only, one row an epoch; columns are epoch_from_1, step, then the others as first seen.

    Rows are handed in and out with the key `epoch`, which counts from 0. A file that an earlier version began has that
    as its first column, and keeps it to its end.
    A last line without its newline is one that a crash cut off; it counts as not written.
    """

    def __init__(self, path: Path) -> None:
        """Over a file that need not exist yet."""
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
        """The rows in order; a blank cell is left out, NaN is NaN; empty when the file does not exist."""
        table, _ = self._read()
        found = []
        for cells in table[1:]:
            rest = {name: _number(cell) for name, cell in zip(table[0][1:], cells[1:], strict=True) if cell}
            found.append({EPOCH: _epoch(table[0], cells), **rest})
        return found

    def _read(self) -> tuple[list[list[str]], bool]:
        """The header and the whole lines as text, and whether a cut-off line follows them."""
        text = text_of(self.path) if self.path.exists() else ""
        whole, newline, torn = text.rpartition("\n")
        table = list(csv.reader(io.StringIO(whole + newline)))
        if any(len(cells) != len(table[0]) or not cells[0].isdigit() for cells in table[1:]):
            raise UserError(
                f"'{self.path}' is damaged: expected {len(table[0])} cells a line and a whole epoch in the "
                "first; got another line; restore it, or delete the run folder and run again"
            )
        return table, bool(torn)


def _epoch(header: Sequence[str], cells: Sequence[str]) -> int:
    """Returns the epoch of a line, from 0."""
    return int(cells[0]) if header[0] == EPOCH else index_of(int(cells[0]))


def _columns(first: Sequence[str], rows: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys([*first, *(name for row in rows for name in row)]))


def _cells(columns: list[str], rows: Sequence[Mapping[str, Number | str]]) -> list[list[str]]:
    return [[_cell(row.get(name, "")) for name in columns] for row in rows]


def _cell(value: Number | str) -> str:
    """Text that reads back as the same number: repr of a float is exact, also of NumPy's float64."""
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _number(cell: str) -> Number:
    try:
        return int(cell)
    except ValueError:
        return float(cell)


def _text(table: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    returns = any("\r" in cell for cells in table for cell in cells)  # Python before 3.13 does not quote them by itself
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL).writerows(table)
    return stream.getvalue()
