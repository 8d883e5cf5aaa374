"""What predict has done in a folder, a line a file, so that a second call does the rest."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from segtrain.errors import UserError
from segtrain.files import explained

TABLE = "predicted.csv"
COLUMNS = ("name", "input", "bytes", "changed_ns", "made_by", "outputs")


class _Line(NamedTuple):
    """One prediction: of which file in which state, by what, and the files that came out (below the folder)."""

    name: str
    input: str
    bytes: str
    changed_ns: str
    made_by: str  # digest of the model and of what changes its predictions
    outputs: str  # joined by |, which no name holds


class Done:
    """The table `predicted.csv` of a folder; it grows by whole lines, the last one about a name counts."""

    def __init__(self, folder: Path, made_by: str) -> None:
        """Read what is there; `made_by` is the digest of this call."""
        self.folder, self._made_by = folder, made_by
        self._path = folder / TABLE
        self._is_cut = False  # the last line
        self._lines = {line.name: line for line in self._read()}
        self._mine = {output: line.name for line in self._lines.values() for output in line.outputs.split("|")}

    def has(self, name: str, source: Path) -> bool:
        """Whether what was made of this file, as it is now, by the same model in the same way, is there."""
        line = self._lines.get(name)
        if line is None or line[:-1] != self._line(name, source, [])[:-1]:
            return False
        return all((self.folder / output).is_file() for output in line.outputs.split("|"))

    def refuse_others(self, name: str, outputs: list[Path]) -> None:
        """Nothing, unless an output would replace a file that predict has not made, or made of another input.

        Raises:
            UserError: it would.
        """
        for path in outputs:
            owner = self._mine.get(self._below(path))
            if path.exists() and owner != name:
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
        rows.writerow(line)
        with explained(self._path), self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        self._lines[name] = line
        self._mine |= {self._below(path): name for path in outputs}

    def _line(self, name: str, source: Path, outputs: list[Path]) -> _Line:
        status = source.stat()
        below = "|".join(self._below(path) for path in outputs)
        return _Line(name, str(source.resolve()), str(status.st_size), str(status.st_mtime_ns), self._made_by, below)

    def _below(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _read(self) -> list[_Line]:
        """The whole lines; a kill may have left half of one."""
        if not self._path.is_file():
            return []
        content = self._path.read_text(encoding="utf-8")
        lines, self._is_cut = content.splitlines()[1:], not content.endswith("\n")
        rows = [row for line in lines for row in csv.reader([line]) if len(row) == len(COLUMNS)]
        return [_Line(*row) for row in rows]
