"""A table that lists images and masks."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from segtrain.app.new.config_lines import Guess, Line, entry
from segtrain.app.new.file_samples import FILES, PICTURES, look
from segtrain.app.new.mask_values import class_lines, class_questions, class_words, find_meaning
from segtrain.counted import counted
from segtrain.data.files.file_names import IMAGE_WORDS, MASK_WORDS, SPLIT_OF, Found, says
from segtrain.errors import UserError
from segtrain.files import text_opened
from segtrain.spread import spread

ROWS = 1_000_000  # read at most
SOME = 20  # rows, evenly spread, most of whose paths must lead to files
PARTS = ("train", "val", "test")
SPLIT_WORDS = ("split", "set", "subset", "part", "partition", "fold")
GROUP_WORDS = ("group", "patient", "subject", "case", "person", "site")


def guess_manifest(root: Path, found: Found) -> Guess | None:
    """The first table with a column of images and one of masks, by paths from the table's folder; None without one."""
    for path in found.ending(".csv", ".tsv"):
        rows = _rows(root / path)
        columns = _columns((root / path).parent, rows)
        if columns:
            return _guess(root / path, rows, columns)
    return None


def _rows(path: Path) -> list[dict[str, str]]:
    with suppress(UserError, OSError, csv.Error), text_opened(path, "utf-8-sig", "replace", newline="") as file:
        line = file.readline()
        delimiter = max("\t;,", key=line.count)
        file.seek(0)
        rows = csv.DictReader(file, delimiter=delimiter)
        return [{str(k): v or "" for k, v in row.items() if k} for row, _ in zip(rows, range(ROWS), strict=False)]
    return []


def _columns(here: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, str | None]:
    """What the format asks for -> name of its column; empty without images or masks."""
    some = spread(rows, SOME)
    names = list(some[0]) if some else []
    lead = {name: sum(bool(row.get(name)) and (here / row[name]).is_file() for row in some) for name in names}
    paths = [name for name in names if 2 * lead[name] > len(some)]  # the format itself names a file that is missing
    masks = [name for name in paths if says(name, MASK_WORDS)]
    images = [name for name in paths if name not in masks and says(name, (*IMAGE_WORDS, "file", "path"))]
    if not masks or not images:
        return {}
    splits = [name for name in names if says(name, SPLIT_WORDS) and _values(rows, name) <= {*PARTS, ""}]
    groups = [
        name for name in names if name not in paths and says(name, GROUP_WORDS) and all(row[name] for row in rows)
    ]
    found: dict[str, str | None] = {"image": images[0], "mask": masks[0]}
    for key, columns in (("split", splits), ("group", groups)):
        if columns:
            found[key] = columns[0]
        elif key in names:
            found[key] = None  # there by name, and not what the format means
    return found


def _values(rows: Sequence[Mapping[str, str]], name: str) -> set[str]:
    return {row.get(name, "") for row in rows}


def _guess(path: Path, rows: Sequence[Mapping[str, str]], columns: Mapping[str, str | None]) -> Guess:
    masks = [row[str(columns["mask"])] for row in rows]
    smeared = look(path.parent, spread(masks, FILES), PICTURES.codes).smeared
    meaning = find_meaning(path.parent, masks, PICTURES, smeared=smeared)
    outside = any(".." in Path(value).parts or Path(value).is_absolute() for value in _paths(rows, columns))
    other = {key: name for key, name in columns.items() if key != name}
    lines = (
        Line("defaults: [csv]"),
        entry("manifest", str(path), counted(len(rows), "row")),
        *([entry("columns", other, "what they are called in the first line")] if other else []),
        *([entry("allow_outside", True, "paths lead out of the manifest's folder")] if outside else []),
        *class_lines(meaning),
    )
    named = ", ".join(f"{key} in '{name}'" for key, name in columns.items() if name)
    asked = list(class_questions(meaning))
    for name in rows[0]:
        said = _values(rows, name)
        if {*PARTS} & {SPLIT_OF.get(value.lower()) for value in said} and not said <= {*PARTS, ""}:
            asked.append(
                f"column '{name}' says {', '.join(sorted(said)[:4])}; only {', '.join(PARTS)} are taken as split"
            )
    return Guess(
        lines, (f"a table of {counted(len(rows), 'row')}, {path}: {named}", class_words(meaning)), tuple(asked)
    )


def _paths(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str | None]) -> list[str]:
    return [row[str(columns[key])] for row in rows for key in ("image", "mask")]
