"""A manifest as rows of cells: its columns by name, its delimiter, and errors that name the line."""

import csv
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from segtrain.errors import UserError
from segtrain.files import bytes_of, opened, text_opened

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
STEP = 500  # rows that are Python objects at a time; from 700 the garbage collector starts, and takes half of the time

Cells = tuple[str, ...]


class Columns(BaseModel):
    """What each column is called in the first line; None: not to be read though it may be there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    image: str = "image"
    mask: str = "mask"
    split: str | None = "split"
    group: str | None = "group"
    weight: str | None = "weight"

    @classmethod
    def given(cls, names: Mapping[str, str | None] | None) -> "Columns":
        """The default names but for those that are given.

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
    """A text file of one line a sample below a line of column names; UTF-8, quotes as in RFC 4180."""

    def __init__(self, path: Path, columns: Columns, delimiter: str | None) -> None:
        """Read the first line.

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
        """Whether there is a column for image, mask, split, group or weight."""
        return role in self._positions

    def chunks(self) -> Iterator[tuple[int, dict[str, Cells]]]:
        """Up to `STEP` rows at a time: the number of the first, from 0, and role -> cells. Empty lines count for none.

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
        """The line of the file, from 1, on which a row ends: the file is read again up to there."""
        with self._opened() as file:
            reader = self._reader(file)
            next(itertools.islice(filter(None, reader), row + 1, None))
            return int(reader.line_num)

    def error(self, row: int, what: str) -> UserError:
        """A UserError about a row."""
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
        """Role -> position of its column."""
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
        """A column that is likely meant: it differs in case only, so that to leave it out would be a surprise."""
        return next((column for column in self._header if column.casefold() == name.casefold()), None)


def _header(line: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])]
