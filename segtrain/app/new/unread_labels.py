"""Names labels in forms that are not read, and says how they become such as are."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from segtrain.app.new.file_samples import read_json_object
from segtrain.counted import counted
from segtrain.data.files.file_names import Found
from segtrain.data.files.patterns import UNREAD, way_out
from segtrain.errors import UserError
from segtrain.files import text_opened
from segtrain.spread import spread

LOOKED = 5  # files of a kind that are opened
LARGEST = 100_000_000  # bytes of a file that is opened
BEGINNING = 4000  # letters of an XML or text file that are looked at
STUDIO = re.compile(r"task-\d+-annotation-\d+-by-.+-tag-(?P<tag>.+)-\d+\.png", re.IGNORECASE)
YOLO = re.compile(r"(?:\d+(?: -?[\d.]+){6,}\s*)+")


def name_unread(root: Path, found: Found) -> str:
    """Returns what labels there seem to be and how to convert them, which are not read; empty where none are seen."""
    for look in (_of_json, _of_xml, _of_studio, _of_yolo, _of_suffix):
        for sentence in look(root, found):
            return sentence
    return ""


def _of_json(root: Path, found: Found) -> Iterator[str]:
    paths = found.ending(".json")
    for path in spread(paths, LOOKED):
        content = read_json_object(root / path, LARGEST)
        if isinstance(content.get("shapes"), list) and "imagePath" in content:
            yield (
                f"'{root}' holds {len(paths)} JSON files of LabelMe, such as '{path}'; expected masks, for these "
                "outlines are not read; draw them into masks with labelme2voc.py, which is among labelme's examples, "
                "and give the folder that it writes: python -m segtrain new NAME FOLDER"
            )
        if isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict):
            yield (
                f"'{root}' holds {len(paths)} JSON files of Supervisely, such as '{path}'; expected masks, for these "
                "are not read; export them as masks (Convert Supervisely to Pascal VOC, or to COCO), and give that "
                "folder"
            )


def _of_xml(root: Path, found: Found) -> Iterator[str]:
    paths = found.ending(".xml")
    for path in spread(paths, LOOKED):
        text = _beginning(root / path)
        if "<annotations" in text and ("<image" in text or "<meta" in text):
            yield (
                f"'{root}' holds '{path}', CVAT's own XML (CVAT for images); expected masks, for it is not read; "
                "export the task anew as 'Segmentation mask 1.1' or as 'COCO 1.0', and give that folder"
            )
        if "LidcReadMessage" in text:
            yield (
                f"'{root}' holds {len(paths)} XML files of LIDC-IDRI, such as '{path}'; expected labels in NIfTI, for "
                "these outlines are not read; draw them into masks on the grid of the scan, as pylidc does, and save "
                "these as NIfTI under the name of the scan"
            )
        if "<annotation" in text and "<bndbox" in text:
            yield (
                f"'{root}' holds {len(paths)} XML files of boxes (PASCAL VOC), such as '{path}'; expected masks: boxes "
                "do not say which pixels are of an object; add masks"
            )


def _of_studio(root: Path, found: Found) -> Iterator[str]:
    tags = [match["tag"] for path in found.pictures if (match := STUDIO.fullmatch(PurePosixPath(path).name))]
    if tags:
        yield (
            f"'{root}' holds {counted(len(tags), 'mask')} of Label Studio's export 'Brush labels to PNG', one for "
            f"each task and class ({', '.join(sorted({*tags})[:5])}); expected one mask an image under the image's "
            "name, and these names say the number of the task, not the image; export as JSON too, whose id is that "
            "number and whose data name the image, and save for each image one PNG of its name with a value for each "
            "class; or label with polygons and export as COCO"
        )


def _of_yolo(root: Path, found: Found) -> Iterator[str]:
    """Yields a sentence where text files hold a class and the corners of a polygon, from 0 to 1, on a line."""
    paths = [path for path in found.ending(".txt") if "labels" in PurePosixPath(path).parts[:-1]]
    for path in spread(paths, LOOKED):
        if YOLO.fullmatch(_beginning(root / path).rpartition("\n")[0].strip() or _beginning(root / path).strip()):
            yield (
                f"'{root}' holds {counted(len(paths), 'text file')} of polygons as YOLO has them, such as '{path}'; "
                "expected masks or COCO, for these are not read; export the data as COCO or as masks (Roboflow: 'COCO "
                "Segmentation' or 'Semantic Segmentation Masks'), and give that folder"
            )


def _beginning(path: Path) -> str:
    try:
        with text_opened(path, errors="replace") as file:
            return file.read(BEGINNING)
    except (UserError, OSError):  # of no kind that is asked for
        return ""


def _of_suffix(root: Path, found: Found) -> Iterator[str]:
    paths = found.ending(*UNREAD)
    if paths:
        known = way_out(paths, scans=False)
        yield f"'{root}' holds {counted(len(paths), 'file')} such as '{paths[0]}'; expected images and labels{known}"
