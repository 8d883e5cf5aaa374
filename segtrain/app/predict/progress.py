"""What predict has done in a folder, a line a file, so that a second call does the rest."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from segtrain.errors import UserError
from segtrain.files import append_whole, text_of
from segtrain.runs.metrics_csv import unquoted, written_text

TABLE = "predicted.csv"
APART = "|"  # between outputs
# In a name: what ends a line, or is no text, or stands between names. It is written as \uXXXX.
ESCAPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff|]|\\(?=u)")
COLUMNS = ("name", "input", "bytes", "changed_ns", "made_by", "outputs")


class _Line(NamedTuple):
    """One prediction: of which file in which state, by what, and the files that came out (below the folder)."""

    name: str
    input: str
    bytes: str
    changed_ns: str
    made_by: str  # digest of the model and of what changes its predictions
    outputs: str  # joined by APART


class Done:
    """The table `predicted.csv` of a folder; it grows by whole lines, the last one about a name counts."""

    def __init__(self, folder: Path, made_by: str) -> None:
        """Read what is there; `made_by` is the digest of this call."""
        self.folder, self._made_by = folder, made_by
        self._path = folder / TABLE
        self._is_cut = False  # the last line
        self._lines = {line.name: line for line in self._read()}
        self._mine = {output: line.name for line in self._lines.values() for output in line.outputs.split(APART)}

    def has(self, name: str, source: Path) -> bool:
        """Whether what was made of this file, as it is now, by the same model in the same way, is there."""
        line = self._lines.get(_escaped(name))
        if line is None or line[:-1] != self._line(name, source, [])[:-1]:
            return False
        return all((self.folder / _plain(output)).is_file() for output in line.outputs.split(APART))

    def refuse_others(self, name: str, outputs: list[Path]) -> None:
        """Nothing, unless an output would replace a file that predict has not made, or made of another input.

        Raises:
            UserError: it would.
        """
        for path in outputs:
            owner = self._mine.get(self._below(path))
            if path.exists() and owner != _escaped(name):
                whose = "predict has not made it" if owner is None else f"is what predict made of '{owner}'"
                raise UserError(
                    f"'{path}' is there already, and {whose}; nothing was replaced; give another output=FOLDER, or "
                    "move it away"
                )

    def add(self, name: str, source: Path, outputs: list[Path]) -> None:
        """Note that the outputs were made."""
        line = self._line(name, source, outputs)
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not self._path.exists():
            rows.writerow(COLUMNS)
        elif self._is_cut:
            text.write("\n")
            self._is_cut = False
        rows.writerow(map(written_text, line))
        append_whole(self._path, text.getvalue().encode())
        self._lines[line.name] = line
        self._mine |= {self._below(path): line.name for path in outputs}

    def _line(self, name: str, source: Path, outputs: list[Path]) -> _Line:
        status = source.stat()
        below = APART.join(self._below(path) for path in outputs)
        names = _escaped(name), _escaped(str(source.resolve()))
        return _Line(*names, str(status.st_size), str(status.st_mtime_ns), self._made_by, below)

    def _below(self, path: Path) -> str:
        return _escaped(path.relative_to(self.folder).as_posix())

    def _read(self) -> list[_Line]:
        """The whole lines; a kill may have left half of one."""
        if not self._path.is_file():
            return []
        content = text_of(self._path)
        lines, self._is_cut = content.splitlines()[1:], not content.endswith("\n")
        rows = [row for line in lines for row in csv.reader([line]) if len(row) == len(COLUMNS)]
        return [_Line(*map(unquoted, row)) for row in rows]


def _escaped(name: str) -> str:
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", name)


def _plain(name: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), name)
