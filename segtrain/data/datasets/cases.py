"""Which scans and label belong to which patient, by patterns of their names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.data.datasets.pairs import SPLITS, some
from segtrain.data.datasets.patterns import files_below, way_out
from segtrain.errors import UserError

FIELDS = {"{id}": "(?P<id>[^/]+?)", "{split}": f"(?P<split>{'|'.join(SPLITS)})", "*": "[^/]*"}


class Case(NamedTuple):
    """One patient's files (or folders, of DICOM); `split` is None where no pattern holds {split}."""

    split: str | None
    patient: str
    images: list[Path]
    label: Path

    @property
    def id(self) -> str:
        """The patient, behind the split where there is one."""
        return f"{self.split}/{self.patient}" if self.split else self.patient


def find_cases(root: Path, images: Sequence[str], labels: str) -> list[Case]:
    """The patients whose images and label fit the patterns, sorted by id.

    `{id}` stands for the patient, `{split}` for train, val or test, `*` for any text; none reaches over a slash.

    Raises:
        UserError: a pattern without {id}, one that nothing fits, two files for one place, a file without its partners.
    """
    patterns = [*images, labels]
    if len({"{split}" in pattern for pattern in patterns}) > 1:
        raise UserError(f"of {some(patterns)} only some hold {{split}}; expected all of them or none, to pair by it")
    found = [_found(root, pattern) for pattern in patterns]
    for pattern, paths in zip(patterns, found, strict=True):
        for other in found:
            alone = [str(path) for key, path in other.items() if key not in paths]
            if alone:
                raise UserError(
                    f"{len(alone)} of {len(other)} scans or labels have no partner that fits '{pattern}'; expected one "
                    f"of the same {{id}}; got none for {some(alone)}; add it, or remove the file"
                )
    cases = [
        Case(split, name, [paths[split, name] for paths in found[:-1]], label)
        for (split, name), label in found[-1].items()
    ]
    return sorted(cases, key=lambda case: case.id)


def _found(root: Path, pattern: str) -> dict[tuple[str | None, str], Path]:
    """(Split, patient) -> what fits the pattern."""
    if "{id}" not in pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UserError(
            f"the pattern '{pattern}' does not say where the patient's name stands; expected {{id}} in a path below "
            "dataset.root, such as 'images/{id}.nii.gz', or 'images/{id}' for folders of DICOM files"
        )
    expression = _expression(pattern)
    found: dict[tuple[str | None, str], Path] = {}
    for path in sorted(root.glob(pattern.replace("{id}", "*").replace("{split}", "*"))):
        name = path.relative_to(root)
        fits = expression.fullmatch(name.as_posix())
        if not fits or any(part.startswith(".") for part in name.parts):
            continue
        key = (fits.groupdict().get("split"), fits["id"])
        if key in found:
            raise UserError(
                f"'{found[key]}' and '{path}' both fit '{pattern}' for {fits['id']}; expected one; move one away, or "
                "give a pattern that only one fits"
            )
        found[key] = path
    if not found:
        raise UserError(
            f"nothing below '{root}' fits '{pattern}'; expected a scan or label for each patient; correct "
            "dataset.root, dataset.images or dataset.labels" + way_out(_names_below(root), scans=False)
        )
    return found


def _names_below(root: Path) -> list[str]:
    return [path.name for path in files_below(root)] if root.is_dir() else []


def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern, where a field's second place must repeat its first."""
    seen: set[str] = set()
    parts = []
    for part in re.split(r"(\{id\}|\{split\}|\*)", pattern):
        parts.append(f"(?P={part[1:-1]})" if part in seen else FIELDS.get(part, re.escape(part)))
        if part.startswith("{"):
            seen.add(part)
    return re.compile("".join(parts))
