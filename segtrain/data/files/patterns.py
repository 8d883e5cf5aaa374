"""Finds files by patterns of their names, which tell the sample, or the patient and the kind of scan."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.counted import some_of
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError
from segtrain.folders import files_below

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
LOOKALIKES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}

# What is not read, though some take it for images: ending -> what it is, and the way out.
NRRD = "NRRD files are not read; save scans and labels as NIfTI (.nii.gz; 3D Slicer: Export to file) for dataset=volume"
META = (
    "MetaImage files are not read; save scans and labels as NIfTI (.nii.gz; SimpleITK: WriteImage) for dataset=volume"
)
ARRAY = "arrays are not read; save them as PNG or TIFF, of scans as NIfTI for dataset=volume"
SLIDE = "slides are not read; cut them into tiles, saved as PNG or TIFF with their masks"
MICROSCOPE = "microscopes' own files are not read; save images and masks as TIFF, as Fiji does"
SCAN = "scans are read by dataset=volume"
UNREAD = {
    **dict.fromkeys((".nrrd", ".nhdr"), NRRD),
    **dict.fromkeys((".mha", ".mhd"), META),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".hdf5"), ARRAY),
    **dict.fromkeys((".svs", ".ndpi", ".mrxs", ".scn"), SLIDE),
    **dict.fromkeys((".czi", ".lif", ".nd2", ".oir"), MICROSCOPE),
}
SCANS = dict.fromkeys((".nii", ".gz", ".dcm"), SCAN)
ANY_SUFFIX = "(?i:" + "|".join(re.escape(suffix) for suffix in SUFFIXES) + ")"
SPLIT = "(?i:" + "|".join((*LOOKALIKES, *PARTS)) + ")"
FIELDS = {"id": ".+", "folder": ".+", "split": SPLIT}
CASE_FIELDS = {"{id}": "(?P<id>[^/]+?)", "{split}": f"(?P<split>{SPLIT})", "*": "[^/]*"}
CaseFiles = dict[tuple[str | None, str], Path]  # (split, patient) -> what fits a pattern


class Pattern:
    """Tells which files below a folder belong to one side of a dataset, and to which sample.

    `{id}` stands for any text, folders included, and takes as much as it can; `{folder}` for folders that come before
    it in the sample's name, where those of one name lie in each of many; `{split}` for train, val or test or their
    other spellings; `*` for any text within one name; `.*` at the end for any extension of an image. A field that comes
    twice must say the same twice.
    """

    def __init__(self, text: str, option: str) -> None:
        """Reads the pattern; `option` is the key that gave it.

        Raises:
            UserError: an unknown field, no `{id}`, a path that leaves the folder, an extension that is no image's.
        """
        self.text, self.option = text, option
        _check(text, option)
        self._expression = re.compile(_expression(text))
        self.has_split = "{split}" in text
        fixed = re.split(r"[{*]", text)[0]
        self.folder = fixed.rpartition("/")[0]  # no file outside it fits
        self.weight = weight(text)

    def fits(self, name: str) -> tuple[str | None, str] | None:
        """Returns split and id of a file, by its path with slashes; None when it does not fit."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        split = found["split"].casefold() if self.has_split else None
        name = f"{found['folder']}/{found['id']}" if "{folder}" in self.text else found["id"]
        return LOOKALIKES.get(split, split) if split else None, name


def weight(pattern: str) -> int:
    """Returns how much of a name a pattern says: of two that fit, the one with the longer text is meant."""
    return len(re.sub(r"\{\w+\}|\*", "", pattern))


def way_out(names: Iterable[str], scans: bool) -> str:
    """Returns what is to be done about files of kinds that are not read here, behind a semicolon; empty where nothing.

    Args:
        names: of the files found.
        scans: whether scans are of another data set's kind here.
    """
    known = UNREAD | (SCANS if scans else {})
    found = dict.fromkeys(known[suffix] for name in names if (suffix := Path(name).suffix.lower()) in known)
    return "".join(f"; {said}" for said in found)


def _check(text: str, option: str) -> None:
    unknown = [name for name in re.findall(r"\{(.*?)\}", text) if name not in FIELDS]
    rest = re.sub(r"\{\w+\}", "", text)
    if unknown or "{" in rest or "}" in rest or "{id}" not in text:
        raise UserError(
            f"{option} is '{text}'; expected a folder, or a pattern with {{id}} for the name of the sample and, where "
            "folders or names tell it, {split}, such as 'masks/{id}_mask.png'; * stands for any text within a name"
        )
    if text.startswith("/") or ".." in text.split("/"):
        raise UserError(
            f"{option} is '{text}'; expected a pattern below dataset.root; give a root that holds all files"
        )
    if not text.lower().endswith((*SUFFIXES, ".*")):
        raise UserError(
            f"{option} is '{text}'; expected it to end in .* for any kind of image, or in one of {', '.join(SUFFIXES)}"
        )


def _expression(text: str) -> str:
    body = text.removesuffix(".*")
    parts, seen = [], set()
    for part in re.split(r"(\{\w+\}|\*)", body):
        name = part[1:-1]
        if part == "*":
            parts.append("[^/]*")
        elif part.startswith("{"):
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{FIELDS[name]})")
            seen.add(name)
        else:
            parts.append(re.escape(part))
    return "".join(parts) + (ANY_SUFFIX if text.endswith(".*") else "")


class Case(NamedTuple):
    """Holds one patient's files (or folders, of DICOM); `split` is None where no pattern holds {split}."""

    split: str | None
    patient: str
    images: list[Path]
    label: Path

    @property
    def id(self) -> str:
        """Returns the patient, behind the split where there is one."""
        return f"{self.split}/{self.patient}" if self.split else self.patient


class Cases(NamedTuple):
    """Holds the patients, sorted by id, and the files that have no partner and were left out."""

    cases: list[Case]
    left_out: tuple[str, ...]


def find_cases(root: Path, images: Sequence[str], labels: str, leave_out: bool = False) -> Cases:
    """Returns the patients whose images and label fit the patterns.

    `{id}` stands for the patient, `{split}` for train, val or test or their other spellings, `*` for any text; none
    reaches over a slash. Of two patterns that fit, the one that says more is meant: {id}_gt.nii* before {id}.nii*.

    Args:
        root: what patterns start from.
        images: a pattern a modality.
        labels: the pattern of the labels.
        leave_out: leave out a file that lacks a partner, instead of refusing.

    Raises:
        UserError: a pattern without {id}, one that nothing fits, two files for one place, a file without its partners.
    """
    patterns = [*images, labels]
    if len({"{split}" in pattern for pattern in patterns}) > 1:
        raise UserError(f"of {some_of(patterns)} only some hold {{split}}; expected all of them or none, to pair by it")
    found = _told_apart(patterns, [_fitting(root, pattern) for pattern in patterns])
    sides = [_by_place(root, pattern, paths) for pattern, paths in zip(patterns, found, strict=True)]
    whole = set.intersection(*({*side} for side in sides))
    if not leave_out:
        _refuse_alone(patterns, sides)
    elif not whole:
        raise UserError(
            f"no patient below '{root}' has a file for each of {some_of(patterns)}; expected some, beside those that "
            "dataset.orphans=leave_out leaves out; correct the patterns"
        )
    alone = sorted(str(path) for side in sides for key, path in side.items() if key not in whole)
    cases = [
        Case(split, name, [side[split, name] for side in sides[:-1]], label)
        for (split, name), label in sides[-1].items()
        if (split, name) in whole
    ]
    return Cases(sorted(cases, key=lambda case: case.id), tuple(alone))


def _refuse_alone(patterns: Sequence[str], sides: Sequence[CaseFiles]) -> None:
    for pattern, paths in zip(patterns, sides, strict=True):
        for other in sides:
            alone = [str(path) for key, path in other.items() if key not in paths]
            if alone:
                raise UserError(
                    f"{len(alone)} of {len(other)} scans or labels have no partner that fits '{pattern}'; expected one "
                    f"of the same {{id}}; got none for {some_of(alone)}; add it, remove the file, or leave such files "
                    "out with dataset.orphans=leave_out"
                )


def _told_apart(patterns: Sequence[str], found: Sequence[list[Path]]) -> list[list[Path]]:
    """Returns what fits each pattern without what another, that says more of it, fits too."""
    kept = []
    for number, (pattern, paths) in enumerate(zip(patterns, found, strict=True)):
        taken: set[Path] = set()
        for other, (rival, those) in enumerate(zip(patterns, found, strict=True)):
            if other != number and weight(rival) >= weight(pattern):
                both = {*paths} & {*those}
                if both and weight(rival) == weight(pattern):
                    raise UserError(
                        f"'{min(both)}' fits both '{pattern}' and '{rival}'; expected patterns that tell scans, "
                        "modalities and labels apart; give one of them a folder or an ending of its own"
                    )
                taken |= both
        kept.append([path for path in paths if path not in taken])
    return kept


def _fitting(root: Path, pattern: str) -> list[Path]:
    """Returns what fits the pattern, sorted."""
    if "{id}" not in pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UserError(
            f"the pattern '{pattern}' does not say where the patient's name stands; expected {{id}} in a path below "
            "dataset.root, such as 'images/{id}.nii.gz', or 'images/{id}' for folders of DICOM files"
        )
    expression = _case_expression(pattern)
    literal = re.sub(r"[\[?]", r"[\g<0>]", pattern)  # signs of a shell are letters here
    every = sorted(root.glob(re.sub(r"\{id\}|\{split\}", "*", literal)))
    names = ((path, path.relative_to(root)) for path in every)
    return [
        path
        for path, name in names
        if expression.fullmatch(name.as_posix()) and not any(part.startswith(".") for part in name.parts)
    ]


def _by_place(root: Path, pattern: str, paths: Sequence[Path]) -> CaseFiles:
    """Returns what fits the pattern, by split and patient."""
    expression, found = _case_expression(pattern), CaseFiles()
    for path in paths:
        fits = expression.fullmatch(path.relative_to(root).as_posix())
        assert fits is not None
        split = fits.groupdict().get("split")
        key = (split and LOOKALIKES.get(split.casefold(), split.casefold()), fits["id"])
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


def _case_expression(pattern: str) -> re.Pattern[str]:
    """Returns the pattern, where a field's second place must repeat its first."""
    seen: set[str] = set()
    parts = []
    for part in re.split(r"(\{id\}|\{split\}|\*)", pattern):
        parts.append(f"(?P={part[1:-1]})" if part in seen else CASE_FIELDS.get(part, re.escape(part)))
        if part.startswith("{"):
            seen.add(part)
    return re.compile("".join(parts))
