"""Reads annotation files of COCO's kind, mends what is asked for in their objects, and draws these as labels."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segtrain.counted import some_of
from segtrain.data.files.extras import need
from segtrain.errors import UserError, remark
from segtrain.files import bytes_of

Entry = dict[str, Any]
KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str, "height": int, "width": int},
    "annotations": {"id": (int, str), "image_id": (int, str), "category_id": (int, str)},
    "categories": {"id": (int, str), "name": str},
}
Region = NDArray[np.bool_]
LEAST = 6  # numbers of a polygon: three corners
NUMBERS, LONGEST = 6, 60  # numbers of a list, and characters of anything else, that a message shows
OUTSIDE = 1.0  # pixels that a corner may lie outside the image: annotators' rounding and pixel corners, no more

# Six bits a letter, the upper one says that more follow, of which a length has no more than 13: not in the last.
COMPRESSED = re.compile("(?:[P-o]{0,12}[0-O])*")


class Object(NamedTuple):
    """Holds one annotated object; `segmentation` is still as the file has it."""

    name: str  # for messages
    label: int
    crowd: bool
    segmentation: Any


class AnnotatedImage(NamedTuple):
    """Holds one image of an annotation file, with its size in pixels and the objects of the chosen categories."""

    file_name: str
    height: int
    width: int
    objects: list[Object]


def load_images(path: Path, label_of: Mapping[str, int]) -> list[AnnotatedImage]:
    """Returns the images of an annotation file, without objects of categories that `label_of` does not name.

    Raises:
        UserError: no such file, no JSON of this kind, an id that is missing or there twice, a name of `label_of` that
            is no category.
    """
    lists = _lists(path)
    names = {entry["id"]: entry["name"] for entry in _unique(lists["categories"], "category", path)}
    missing = [name for name in label_of if name not in names.values()]
    if missing:
        raise UserError(
            f"dataset.classes names {some_of(missing)}, no category of '{path}'; expected names out of its categories: "
            f"{', '.join(sorted(map(str, names.values())))}; correct dataset.classes"
        )
    pictures = {
        entry["id"]: AnnotatedImage(entry["file_name"], entry["height"], entry["width"], [])
        for entry in _unique(lists["images"], "image", path)
    }
    for entry in lists["annotations"]:
        _refer(entry, "image_id", pictures, path)
        _refer(entry, "category_id", names, path)
        label = label_of.get(names[entry["category_id"]])
        if label is not None:
            picture = pictures[entry["image_id"]]
            name = f"object {entry['id']} of image '{picture.file_name}' in '{path}'"
            crowd = bool(entry.get("iscrowd", 0))
            picture.objects.append(Object(name, label, crowd, entry.get("segmentation")))
    return list(pictures.values())


def region_of(segmentation: Any, height: int, width: int, name: str) -> Region:
    """Returns where an object is, (H, W): the union of its polygons, or its run lengths, plain or compressed.

    Raises:
        UserError: it is neither, does not fit the image, or is broken; says `name`.
    """
    if isinstance(segmentation, dict):
        return _runs(segmentation, height, width, name)
    if not isinstance(segmentation, list) or not segmentation:
        got = "none" if not segmentation else _shown(segmentation)
        more = "" if segmentation else "; dataset.shapeless=skip leaves such objects out"
        raise _wrong(name, "segmentation", "polygons [[x, y, x, y, …], …] or {size, counts}", got, more)
    if is_numbers(segmentation):
        got = f"the numbers {_shown(segmentation)}, which stand in no list of their own"
        raise _wrong(name, "segmentation", "a list of polygons, each a list: [[x, y, x, y, …], …]", got)
    for polygon in segmentation:
        _check_polygon(polygon, height, width, name)
    masks = need("pycocotools.mask", "coco")
    packed = masks.merge(masks.frPyObjects(segmentation, height, width))
    return _filled(_unpacked(packed["counts"].decode()), height, width)


def is_numbers(found: Any) -> bool:
    """Returns whether it is a list of numbers, at least one."""
    return isinstance(found, list) and bool(found) and all(type(value) in (int, float) for value in found)


def is_shapeless(polygon: Any) -> bool:
    """Returns whether a polygon has fewer than three corners."""
    return polygon == [] or (is_numbers(polygon) and len(polygon) < LEAST)


def draw_regions(regions: Sequence[tuple[int, Region]], height: int, width: int) -> NDArray[np.uint8]:
    """Returns labels (H, W): 0, and over it each region's label in turn."""
    labels = np.zeros((height, width), np.uint8)
    for label, where in regions:
        labels[where] = label
    return labels


class Mended(NamedTuple):
    """Holds a segmentation, None where nothing is left, and how many of its polygons were cut or left out."""

    segmentation: Any
    cut: int
    left_out: int

    @property
    def is_gone(self) -> bool:
        """Says whether nothing is drawn of the object, as was asked for."""
        return self.segmentation is None and bool(self.cut or self.left_out)


def mend(segmentation: Any, height: int, width: int, clip: bool, skip: bool) -> Mended:
    """Returns a segmentation of an image (height, width) as it is drawn; what is wrong in other ways stays as it is.

    Args:
        segmentation: as the file has it.
        height: of the image, pixels.
        width: of the image.
        clip: whether polygons of which a corner lies more than `OUTSIDE` beyond the image are cut at its edge.
        skip: whether polygons of fewer than three corners are left out, and objects without any segmentation.
    """
    if skip and not segmentation:
        return Mended(None, 0, 1)
    if not isinstance(segmentation, list) or is_numbers(segmentation):
        return Mended(segmentation, 0, 0)
    kept = [polygon for polygon in segmentation if not (skip and is_shapeless(polygon))]
    cut = [
        _clipped(polygon, height, width) if clip and _is_outside(polygon, height, width) else polygon
        for polygon in kept
    ]
    changed = sum(one is not other for one, other in zip(cut, kept, strict=True))
    drawn = [polygon for polygon in cut if polygon != []]  # what lies wholly outside leaves nothing
    return Mended(drawn or None, changed, len(segmentation) - len(kept))


def remark_mended(objects: Sequence[tuple[Path, Mended]]) -> None:
    """Says, as a remark, how much is cut and left out.

    Args:
        objects: the image's file and what is drawn, of each.

    Raises:
        UserError: nothing is left of any object.
    """
    if objects and all(one.is_gone for _, one in objects):
        raise UserError(
            f"none of the {len(objects)} objects of the annotation files leaves anything to draw; expected polygons or "
            "run lengths inside the images; got boxes alone, or coordinates of other images; fetch annotations that "
            "have a segmentation"
        )
    for kind, what, count in (
        ("cut polygons", "polygons reach beyond their image, and are cut at its edge (dataset.outside=clip)", "cut"),
        (
            "polygons left out",
            "polygons of fewer than three corners, and objects without any, are left out (dataset.shapeless=skip)",
            "left_out",
        ),
    ):
        found = [(path, one) for path, one in objects if getattr(one, count)]
        if found:
            total, gone = sum(getattr(one, count) for _, one in found), sum(one.is_gone for _, one in found)
            left = f"; nothing is left of {gone} of {len(objects)} objects"
            remark(kind, f"{total} {what}{left}", list(dict.fromkeys(path for path, _ in found)), is_fine=True)


def _lists(path: Path) -> dict[str, list[Entry]]:
    try:
        content = json.loads(bytes_of(path))
    except (OSError, ValueError, RecursionError) as error:
        got = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise UserError(
            f"'{path}' cannot be read; expected a JSON file with the lists images, annotations and categories; got "
            f"{got}; correct dataset.annotations, or fetch the file anew"
        ) from error
    for key in KEYS:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            got = f"the keys {some_of(sorted(content))}" if isinstance(content, dict) else f"a {type(content).__name__}"
            raise UserError(
                f"'{path}' has no list '{key}'; expected the lists images, annotations and categories, as COCO's "
                f"instances_*.json have them; got {got}; give such a file as dataset.annotations"
            )
        for number, entry in enumerate(content[key]):
            _check_entry(entry, f"{key}[{number}]", KEYS[key], path)
    return content  # type: ignore[no-any-return]


def _check_entry(entry: Any, where: str, keys: Mapping[str, Any], path: Path) -> None:
    for key, kind in keys.items():
        value = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool) or (kind is int and value < 1):
            wanted = {int: "a whole number from 1", str: "a text"}.get(kind, "a number or a text")
            got = f"got {json.dumps(entry)[:80]}" if value is None else f"got {json.dumps(value)[:80]}"
            raise UserError(f"{where} in '{path}' has no right '{key}'; expected {wanted}; {got}; correct the file")


def _unique(entries: Sequence[Entry], kind: str, path: Path) -> Sequence[Entry]:
    twice = [str(key) for key, count in Counter(entry["id"] for entry in entries).items() if count > 1]
    if twice:
        raise UserError(
            f"'{path}' has the {kind} id {some_of(twice)} more than once; expected each once; give every {kind} an id "
            "of its own"
        )
    return entries


def _refer(entry: Entry, key: str, known: Mapping[Any, object], path: Path) -> None:
    if entry[key] not in known:
        kind = {"image_id": "images", "category_id": "categories"}[key]
        raise UserError(
            f"annotation {entry['id']} in '{path}' has {key} {entry[key]!r}, which '{kind}' lacks; expected one of its "
            f"{len(known)} ids; add the entry to '{kind}', or remove the annotation"
        )


def _shown(found: Any) -> str:
    """Returns the value for a message: of many numbers the first, whole, and of what is long else the beginning."""
    if is_numbers(found):
        return f"[{', '.join(map(repr, found[:NUMBERS]))}{', …' * (len(found) > NUMBERS)}]"
    text = repr(found)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _check_polygon(polygon: Any, height: int, width: int, name: str) -> None:
    if not is_numbers(polygon) or len(polygon) < LEAST or len(polygon) % 2:
        more = "; dataset.shapeless=skip leaves such polygons out" if is_shapeless(polygon) else ""
        raise _wrong(name, "polygon", "x, y of at least three corners", _shown(polygon), more)
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    inside = (corners >= -OUTSIDE) & (corners <= np.array([width, height]) + OUTSIDE)  # false for what is no number
    if not inside.all():
        x, y = corners[~inside.all(1)][0]
        more = "; dataset.outside=clip cuts polygons at the image's edge" if np.isfinite(corners).all() else ""
        expected = f"corners inside the image, {width} x {height} pixels"
        raise _wrong(name, "polygon", expected, f"a corner at ({x:g}, {y:g})", more)


def _runs(segmentation: dict[str, Any], height: int, width: int, name: str) -> Region:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise _wrong(name, "size", f"[{height}, {width}], height and width of the image", repr(size)[:60])
    runs = _unpacked(counts) if isinstance(counts, str) and COMPRESSED.fullmatch(counts) else counts
    if not isinstance(runs, list) or not all(type(run) is int and 0 <= run <= height * width for run in runs):
        raise _wrong(name, "counts", "lengths of runs, from 0", repr(counts)[:60])
    if sum(runs) != height * width:
        raise _wrong(name, "counts", f"runs over all {height * width} pixels", f"runs over {sum(runs)}")
    return _filled(runs, height, width)


def _filled(runs: Sequence[int], height: int, width: int) -> Region:
    """Returns runs outside and inside the object in turn, down the columns, as pixels.

    Not by pycocotools 2.0.11: its decode warns under numpy 2, and returns what was in memory where runs end early.
    """
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def _unpacked(letters: str) -> list[int]:
    """Returns lengths out of letters: five bits each, low first, signed; from the fourth less the one before last.

    Source: rleFrString in pycocotools' maskApi.c.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _wrong(name: str, what: str, expected: str, got: str, more: str = "") -> UserError:
    return UserError(
        f"{name} has no right {what}; expected {expected}; got {got}; correct it, or remove the object{more}"
    )


def _is_outside(polygon: Any, height: int, width: int) -> bool:
    if not is_numbers(polygon) or len(polygon) < LEAST or len(polygon) % 2 or not np.isfinite(polygon).all():
        return False
    across, down = polygon[::2], polygon[1::2]
    beyond = max(-min(across), max(across) - width, -min(down), max(down) - height)
    return bool(beyond > OUTSIDE)


def _clipped(polygon: list[float], height: int, width: int) -> list[float]:
    """Returns the part of a polygon inside the image; none where that has no area.

    Source: Sutherland and Hodgman, "Reentrant polygon clipping", Communications of the ACM 17 (1974) 32.
    """
    corners = [(float(x), float(y)) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
    for axis, edge, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        found: list[tuple[float, float]] = []
        for one, other in zip([corners[-1], *corners[:-1]], corners, strict=True) if corners else ():
            inside, before = sign * (other[axis] - edge) >= 0, sign * (one[axis] - edge) >= 0
            if inside != before:
                share = (edge - one[axis]) / (other[axis] - one[axis])
                crossing = [one[i] + share * (other[i] - one[i]) for i in (0, 1)]
                crossing[axis] = float(edge)  # exactly, whatever is rounded
                found.append((crossing[0], crossing[1]))
            if inside:
                found.append(other)
        corners = found
    return [value for corner in corners for value in corner] if len(corners) > 2 else []
