"""Annotation files of COCO's kind, and where the images that they name lie."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segtrain.data.guessing.files import SPLITS, Found, taken_apart
from segtrain.data.guessing.yaml import Guess, Line, entry
from segtrain.spread import spread

LARGEST = 500_000_000  # bytes of a file that is read
NAMES = 50  # images of a file that are looked for
KEYS = ("images", "annotations", "categories")


class _File(NamedTuple):
    """An annotation file, the folder of its images, its categories that have objects, and its number of images."""

    path: str
    images: str
    categories: tuple[str, ...]
    number: int


def guess_coco(root: Path, found: Found) -> Guess | None:
    """One annotation file, or one for each split; None when there is none whose images are there."""
    at = {PurePosixPath(path).name: path for path in found.pictures}
    files: dict[str, _File] = {}
    for path in sorted(found.ending(".json"), key=lambda path: "instances" in path):  # after others, such as keypoints
        content = _read(root / path)
        folder = None if content is None else _folder(content["images"], at)
        if content is not None and folder is not None:
            split = taken_apart(f"{PurePosixPath(path).with_suffix('')}/x").split
            files[SPLITS[split.lower()] if split else ""] = _File(
                path, folder, _categories(content), len(content["images"])
            )
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
        entry("annotations", alone.path if alone else {s: f.path for s, f in parts.items()}, f"{count} images"),
        entry("images", alone.images if alone else {s: f.images for s, f in parts.items()}),
        entry("classes", ["background", *names], "categories that have objects; what none covers is background"),
    )
    return Guess(lines, (f"{count} images with objects in {', '.join(f.path for f in chosen)} (COCO)",), ())


def lost_images(root: Path, found: Found) -> str:
    """Returns which annotation file names images that are not there, and what would mend it; empty without one."""
    at = {PurePosixPath(path).name: path for path in found.pictures}
    for path in found.ending(".json"):
        content = _read(root / path)
        if content is None:
            continue
        names = [str(image.get("file_name")) for image in content["images"]]
        lost = next((name for name in names if not at.get(_last(name), "").endswith(name)), "")
        there = next((at[_last(name)] for name in names if _last(name) in at), "")
        if lost and _folder(content["images"], at) is None:
            way = f"of that name there is '{at[_last(lost)]}': " if _last(lost) in at else ""
            way = way or (f"others are there, such as '{there}': " if there else "no image of such a name is: ")
            return (
                f"'{path}' in '{root}' (COCO) names the image '{lost}', which is not there; expected file_name to be the "
                f"path from the folder of the images, with / between folders; {way}"
                f"{'correct file_name in the annotation file' if there else 'add the images'}, and look again"
            )
    return ""


def _last(name: str) -> str:
    """The name of the file, behind the folders of any system."""
    return name.replace("\\", "/").rpartition("/")[2]


def _read(path: Path) -> dict[str, Any] | None:
    """The content, when it has objects with outlines."""
    if path.stat().st_size > LARGEST:
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        return None
    if not all(isinstance(item, dict) for key in KEYS for item in content[key]):
        return None
    return content if any(item.get("segmentation") for item in content["annotations"]) else None


def _categories(content: Mapping[str, Any]) -> tuple[str, ...]:
    used = {item.get("category_id") for item in content["annotations"]}
    return tuple(str(category.get("name")) for category in content["categories"] if category.get("id") in used)


def _folder(images: Sequence[Mapping[str, Any]], at: Mapping[str, str]) -> str | None:
    """The folder from which most of the names lead to a file; None when they lead to none."""
    folders: Counter[str] = Counter()
    for name in spread([str(image.get("file_name")) for image in images], NAMES):
        path = at.get(PurePosixPath(name).name, "")
        if path.endswith(name):
            folders[path.removesuffix(name).rstrip("/") or "."] += 1
    return folders.most_common(1)[0][0] if folders else None
