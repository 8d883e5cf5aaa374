"""Formats that are no folder of images and masks: what gives them away, and the config that reads them."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segtrain.data.guessing.files import IMAGE_WORDS, MASK_WORDS, SPLITS, Found, says, taken_apart
from segtrain.data.guessing.folder import Guess
from segtrain.data.guessing.yaml import Line, entry
from segtrain.errors import UserError

PARTS = ("train", "val", "test")
NAMED = "name the classes background and object, which are guesses"
JSON = 200_000_000  # bytes up to which a JSON file is read


class Other(NamedTuple):
    """A format by the name of its file in conf/dataset, the config's lines, and what was found, in words."""

    format: str
    lines: tuple[Line, ...]
    found: str
    asked: tuple[str, ...] = ()


def find_format(root: Path, found: Found) -> Other | None:
    """The format that gives itself away by its files; None when it may be a folder of images and masks."""
    return _coco(root, found) or _manifest(root, found) or _volumes(found) or _instances(root, found)


def _coco(root: Path, found: Found) -> Other | None:
    """JSON files with images, annotations and categories: one, or one for each split."""
    files: dict[str, str] = {}
    categories: dict[str, None] = {}
    names: set[str] = set()
    for path in found.ending(".json"):
        content = _read_json(root / path)
        if not content:
            continue
        name = taken_apart(f"{PurePosixPath(path).with_suffix('')}/.")
        files[SPLITS[name.split.lower()] if name.split else ""] = path
        categories |= {str(category["name"]): None for category in content["categories"]}
        names |= {PurePosixPath(str(image["file_name"])).name for image in content["images"]}
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    for path in found.pictures:
        if PurePosixPath(path).name in names:
            split = taken_apart(path).split
            folders[SPLITS[split.lower()] if split else ""][str(PurePosixPath(path).parent)] += 1
    if not files or not folders:
        return None
    parts = {
        split: (path, _commonest(folders, split)) for split, path in sorted(files.items(), key=lambda item: item[0])
    }
    alone = parts.get("") if len(parts) == 1 else None
    parts = {split: both for split, both in parts.items() if split}
    classes = [name for name in categories if name.lower() != "background"]
    lines = (
        entry("root", str(root)),
        entry("annotations", alone[0] if alone else {split: path for split, (path, _) in parts.items()}, "COCO's JSON"),
        entry("images", alone[1] if alone else {split: folder for split, (_, folder) in parts.items()}),
        entry("classes", ["background", *classes], "the categories; pixels of no object are background"),
    )
    return Other("coco", lines, f"{len(files)} annotation files of COCO's kind with {len(classes)} categories")


def _commonest(folders: dict[str, Counter[str]], split: str) -> str:
    counts = folders.get(split) or sum(folders.values(), Counter[str]())
    return counts.most_common(1)[0][0]


def _read_json(path: Path) -> dict[str, Any] | None:
    if path.stat().st_size > JSON:
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    keys = ("images", "annotations", "categories")
    return content if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in keys) else None


def _manifest(root: Path, found: Found) -> Other | None:
    """A table with a column of paths of images and one of masks."""
    for path in found.ending(".csv", ".tsv"):
        with (root / path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = csv.DictReader(file, delimiter="\t" if path.lower().endswith(".tsv") else ",")
            first = next(rows, None)
        if not first:
            continue
        here = (root / path).parent
        paths = [column for column, value in first.items() if column and value and _is_file(here, root, value)]
        masks = [column for column in paths if says(column, MASK_WORDS)]
        images = [column for column in paths if column not in masks and says(column, (*IMAGE_WORDS, "file", "path"))]
        if masks and images:
            return Other(
                "csv",
                (entry("root", str(root)), entry("manifest", path)),
                f"the table '{path}' with columns {', '.join(first)}",
            )
    return None


def _is_file(here: Path, root: Path, value: Any) -> bool:
    return isinstance(value, str) and ((here / value).is_file() or (root / value).is_file())


def _volumes(found: Found) -> Other | None:
    nifti, dicom = found.ending(".nii", ".nii.gz"), found.ending(".dcm", ".dicom")
    if len(nifti) + len(dicom) <= len(found.pictures):
        return None
    kind = f"{len(nifti)} NIfTI files" if nifti else f"{len(dicom)} DICOM files"
    return Other("volume", (), f"{kind}, such as '{(nifti or dicom)[0]}'")


def _instances(root: Path, found: Found) -> Other | None:
    """A folder a sample with one image and a mask for each of its objects (DSB2018)."""
    files: dict[str, Counter[str]] = defaultdict(Counter)  # folder of a sample -> files in the folders in it
    for path in found.pictures:
        folders = PurePosixPath(path).parts[:-1]
        if len(folders) > 1:
            files["/".join(folders[:-1])][folders[-1]] += 1
    kinds = Counter(folder for inside in files.values() for folder in inside)
    masks = next((folder for folder, _ in kinds.most_common() if says(folder, MASK_WORDS)), "")
    images = next((folder for folder, _ in kinds.most_common() if says(folder, IMAGE_WORDS) and folder != masks), "")
    samples = [sample for sample, inside in files.items() if inside[images] == 1 and inside[masks]]
    several = sum(files[sample][masks] > 1 for sample in samples)
    if len(samples) < 2 or 2 * several < len(samples) or 2 * len(samples) < kinds[masks]:
        return None
    above, count = Counter(sample.rpartition("/")[0] for sample in samples).most_common(1)[0]
    if PurePosixPath(above).name in PARTS:  # beside val and test, which the format reads itself
        above, count = str(PurePosixPath(above).parent), len(samples)
    lines = (
        entry("root", str(root / above), f"{count} samples: a folder each, with an image and a mask for each object"),
        entry("classes", ["background", "object"], "what is outside and inside the masks; name them"),
        entry("images", images, "folder of a sample's one image"),
        entry("masks", masks, "folder of its masks"),
    )
    return Other("instances", lines, f"{count} folders with an image and a mask for each object", (NAMED,))


def not_yet(other: Other, root: Path) -> UserError:
    """What to say when conf/dataset has no file for the format."""
    return UserError(
        f"'{root}' holds {other.found}; expected images and masks, or a format that this segtrain has; got what "
        f"dataset={other.format} is to read, which it has not; save the data as images and masks"
    )


def guess_of(other: Other, root: Path) -> Guess:
    """The config."""
    lines = (Line(f"defaults: [{other.format}]"), *other.lines)
    return Guess(lines, (f"{other.found}: dataset={other.format}",), other.asked)
