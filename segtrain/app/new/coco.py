"""Annotation files of COCO's kind, and where the images that they name lie."""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segtrain.app.new.config_lines import Guess, Line, entry
from segtrain.counted import counted
from segtrain.data.files.coco_annotations import OUTSIDE, is_numbers, is_shapeless
from segtrain.data.files.file_names import SPLIT_OF, Found, taken_apart
from segtrain.errors import UserError
from segtrain.files import text_of
from segtrain.spread import spread

LARGEST = 500_000_000  # bytes of a file that is read
NAMES = 50  # images of a file that are looked for
KEYS = ("images", "annotations", "categories")


class _File(NamedTuple):
    """An annotation file, where its images are, its categories that have objects, and what of it must be mended."""

    path: str
    images: str
    last: bool  # file names lead to files by what stands behind their last slash alone
    categories: tuple[str, ...]
    number: int  # images
    outside: int  # polygons that reach beyond their image
    shapeless: int  # objects without a segmentation and polygons of fewer than three corners
    flat: int  # objects whose polygon is no list in a list


def guess_coco(root: Path, found: Found) -> Guess | None:
    """One annotation file, or one for each split; None when there is none whose images are there."""
    at: dict[str, list[str]] = defaultdict(list)
    for path in found.pictures:
        at[PurePosixPath(path).name].append(path)
    files: dict[str, _File] = {}
    for path in sorted(found.ending(".json"), key=lambda path: "instances" in path):  # after others, such as keypoints
        content = _read(root / path)
        if content is not None and (folder := _folder(content["images"], at, path)):
            split = taken_apart(f"{PurePosixPath(path).with_suffix('')}/x").split
            files[SPLIT_OF[split.lower()] if split else ""] = _file(path, folder, content)
    if not files:
        return None
    parts = {split: files[split] for split in ("train", "val", "test") if split in files}
    alone = next(iter(files.values())) if len(parts) < 2 else None
    chosen = [alone] if alone else list(parts.values())
    names = list(dict.fromkeys(name for file in chosen for name in file.categories if name.lower() != "background"))
    count = sum(file.number for file in chosen)
    lines = (
        Line("defaults: [coco]" if len(parts) < 3 else "defaults: [coco, override /split@_global_.split: given]"),
        entry("root", str(root)),
        entry("annotations", alone.path if alone else {s: f.path for s, f in parts.items()}, counted(count, "image")),
        entry("images", alone.images if alone else {s: f.images for s, f in parts.items()}),
        entry("classes", ["background", *names], "categories that have objects; what none covers is background"),
        *_mending(chosen),
    )
    said = f"{counted(count, 'image')} with objects in {', '.join(f.path for f in chosen)} (COCO)"
    return Guess(lines, (said,), tuple(_asked(chosen)))


def _mending(files: Sequence[_File]) -> Iterator[Line]:
    """Options for what is not as it should be."""
    if any(file.last for file in files):
        yield entry(
            "file_names", "last", "file_name has folders that are not there: the name behind the last slash counts"
        )
    if outside := sum(file.outside for file in files):
        yield entry(
            "outside",
            "clip",
            f"{counted(outside, 'polygon')} beyond the edge of an image: cut at its edge, and counted",
        )
    if shapeless := sum(file.shapeless for file in files):
        yield entry(
            "shapeless",
            "skip",
            f"{counted(shapeless, 'object or polygon', 'objects or polygons')} without three corners: left out, "
            f"and counted",
        )


def _asked(files: Sequence[_File]) -> Iterator[str]:
    if flat := sum(file.flat for file in files):
        path, own = next((file.path, file.flat) for file in files if file.flat)
        yield (
            f"{counted(flat, 'object')} of '{path}'{' and others' * (flat > own)} with a flat segmentation, [x, "
            f"y, …], where COCO has a list of "
            "polygons, [[x, y, …]]: put each into a list of its own"
        )
    for line in _mending(files):
        yield f"{line.comment} ({line.text}): is that right?"


def _file(path: str, folder: tuple[str, bool], content: Mapping[str, Any]) -> _File:
    sizes = {image.get("id"): (image.get("width"), image.get("height")) for image in content["images"]}
    outside = shapeless = flat = 0
    for item in content["annotations"]:
        polygons, size = item.get("segmentation"), sizes.get(item.get("image_id"))
        if isinstance(polygons, dict) or not size or not all(isinstance(side, int | float) for side in size):
            continue
        if is_numbers(polygons):
            flat += 1
        elif not polygons:
            shapeless += 1
        else:
            shapeless += sum(is_shapeless(polygon) for polygon in polygons)
            outside += sum(_reaches_out(polygon, *size) for polygon in polygons)
    return _File(path, *folder, _categories(content), len(content["images"]), outside, shapeless, flat)


def _reaches_out(polygon: Any, width: float, height: float) -> bool:
    if not is_numbers(polygon) or is_shapeless(polygon):
        return False
    across, down = polygon[::2], polygon[1::2]
    return bool(max(-min(across), max(across) - width, -min(down), max(down) - height) > OUTSIDE)


def lost_images(root: Path, found: Found) -> str:
    """Returns which annotation file names images that are not there; empty without one."""
    known = {PurePosixPath(path).name for path in found.pictures}
    for path in found.ending(".json"):
        content = _read(root / path)
        lost = [str(image.get("file_name")) for image in content["images"]] if content else []
        if lost and not {_last(name) for name in lost} <= known:
            name = next(name for name in lost if _last(name) not in known)
            return (
                f"'{path}' in '{root}' (COCO) names the image '{name}', and no file of that name is there; expected "
                "file_name to be the path of an image, from a folder below the one given; add the images, or correct "
                "file_name in the annotation file"
            )
    return ""


def _last(name: str) -> str:
    """The name of the file, behind the folders of any system."""
    return name.replace("\\", "/").rpartition("/")[2]


def _read(path: Path) -> dict[str, Any] | None:
    """The content, when it has objects with outlines."""
    try:
        content = json.loads(text_of(path, LARGEST))
    except (UserError, OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        return None
    if not all(isinstance(item, dict) for key in KEYS for item in content[key]):
        return None
    return content if any(item.get("segmentation") for item in content["annotations"]) else None


def _categories(content: Mapping[str, Any]) -> tuple[str, ...]:
    used = {item.get("category_id") for item in content["annotations"]}
    return tuple(str(category.get("name")) for category in content["categories"] if category.get("id") in used)


def _folder(
    images: Sequence[Mapping[str, Any]], at: Mapping[str, Sequence[str]], annotations: str
) -> tuple[str, bool] | None:
    """The folder from which most of the names lead to a file, or the ends of all names; None when they lead to none.

    Of several folders that hold files of these names the one nearest to the annotations.
    """
    whole, ends = Counter[str](), Counter[str]()
    names = spread([str(image.get("file_name")) for image in images], NAMES)
    for name in names:
        for path in at.get(_last(name), ()):
            ends[str(PurePosixPath(path).parent)] += 1
            if f"/{path}".endswith(f"/{name}"):
                whole[path.removesuffix(name).rstrip("/") or "."] += 1
    for counts, last in ((whole, False), (ends, True)):
        if counts and (not last or max(counts.values()) == len(names)):
            return max(counts, key=lambda folder: (counts[folder], _common(folder, annotations))), last
    return None


def _common(folder: str, annotations: str) -> int:
    """How many folders from the root on both lie in, and whether both name the same split."""
    pairs = zip(folder.split("/"), annotations.split("/"), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    beside = (PurePosixPath(folder), PurePosixPath(annotations).with_suffix(""))
    splits = [taken_apart(str(path / "x")).split for path in beside]
    return 2 * shared + (splits[0] is not None and splits[0] == splits[1])
