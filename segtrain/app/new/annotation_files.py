"""Guesses the config of files that list images: a table of images and masks, or annotations of COCO's kind."""

import csv
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segtrain.app.new.config_lines import ConfigLine, Guess, key_line
from segtrain.app.new.file_samples import FILES, PICTURES, read_json_object, see_files
from segtrain.app.new.mask_values import class_lines, class_questions, class_words, find_meaning
from segtrain.counted import counted
from segtrain.data.files.coco_annotations import OUTSIDE, is_numbers, is_shapeless
from segtrain.data.files.file_names import IMAGE_WORDS, MASK_WORDS, SPLIT_OF, Found, says, taken_apart
from segtrain.data.files.samples import PARTS
from segtrain.errors import UserError
from segtrain.files import text_opened
from segtrain.spread import spread

ROWS = 1_000_000  # read at most
SOME = 20  # rows, evenly spread, most of whose paths must lead to files
SPLIT_WORDS = ("split", "set", "subset", "part", "partition", "fold")
GROUP_WORDS = ("group", "patient", "subject", "case", "person", "site")
LARGEST = 500_000_000  # bytes of a file that is read
NAMES = 50  # images of a file that are looked for
KEYS = ("images", "annotations", "categories")


def guess_manifest(root: Path, found: Found) -> Guess | None:
    """Returns the config of the first table with columns of images and of masks, as paths from its folder, or None."""
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
    """Returns what the format asks for -> name of its column; empty without images or masks."""
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
    smeared = see_files(path.parent, spread(masks, FILES), PICTURES.codes).smeared
    meaning = find_meaning(path.parent, masks, PICTURES, smeared=smeared)
    outside = any(".." in Path(value).parts or Path(value).is_absolute() for value in _paths(rows, columns))
    other = {key: name for key, name in columns.items() if key != name}
    lines = (
        ConfigLine("defaults: [csv]"),
        key_line("manifest", str(path), counted(len(rows), "row")),
        *([key_line("columns", other, "what they are called in the first line")] if other else []),
        *([key_line("allow_outside", True, "paths lead out of the manifest's folder")] if outside else []),
        *class_lines(meaning),
    )
    named = ", ".join(f"{key} in '{name}'" for key, name in columns.items() if name)
    asked, group = list(class_questions(meaning)), columns.get("group")
    units = len(_values(rows, group)) if group else len(rows)
    for name in rows[0]:
        said = _values(rows, name)
        if {*PARTS} & {SPLIT_OF.get(value.lower()) for value in said} and not said <= {*PARTS, ""}:
            asked.append(
                f"column '{name}' says {', '.join(sorted(said)[:4])}; only {', '.join(PARTS)} are taken as split"
            )
    return Guess(
        lines,
        (f"a table of {counted(len(rows), 'row')}, {path}: {named}", class_words(meaning)),
        tuple(asked),
        units=units,
    )


def _paths(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str | None]) -> list[str]:
    return [row[str(columns[key])] for row in rows for key in ("image", "mask")]


class _File(NamedTuple):
    """Holds an annotation file, where its images are, its categories that have objects, and what must be mended."""

    path: str
    images: str
    last: bool  # file names lead to files by what stands behind their last slash alone
    categories: tuple[str, ...]
    number: int  # images
    outside: int  # polygons that reach beyond their image
    shapeless: int  # objects without a segmentation and polygons of fewer than three corners
    flat: int  # objects whose polygon is no list in a list


def guess_coco(root: Path, found: Found) -> Guess | None:
    """Returns the config of an annotation file, or one for each split; None without one whose images are there."""
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
        ConfigLine("defaults: [coco]" if len(parts) < 3 else "defaults: [coco, override /split@_global_.split: given]"),
        key_line("root", str(root)),
        key_line(
            "annotations", alone.path if alone else {s: f.path for s, f in parts.items()}, counted(count, "image")
        ),
        key_line("images", alone.images if alone else {s: f.images for s, f in parts.items()}),
        key_line("classes", ["background", *names], "categories that have objects; what none covers is background"),
        *_mending(chosen),
    )
    said = f"{counted(count, 'image')} with objects in {', '.join(f.path for f in chosen)} (COCO)"
    return Guess(lines, (said,), tuple(_asked(chosen)), units=count)


def _mending(files: Sequence[_File]) -> Iterator[ConfigLine]:
    """Yields options for what is not as it should be."""
    if any(file.last for file in files):
        yield key_line(
            "file_names", "last", "file_name has folders that are not there: the name behind the last slash counts"
        )
    if outside := sum(file.outside for file in files):
        yield key_line(
            "outside",
            "clip",
            f"{counted(outside, 'polygon')} beyond the edge of an image: cut at its edge, and counted",
        )
    if shapeless := sum(file.shapeless for file in files):
        yield key_line(
            "shapeless",
            "skip",
            f"{counted(shapeless, 'object or polygon', 'objects or polygons')} without three corners: left out, "
            f"and counted",
        )


def _asked(files: Sequence[_File]) -> Iterator[str]:
    if flat := sum(file.flat for file in files):
        path, own = next((file.path, file.flat) for file in files if file.flat)
        yield (
            f"{counted(flat, 'object')} of '{path}'{' and others' * (flat > own)} with a flat segmentation, [x, y, "
            "…], where COCO has a list of polygons, [[x, y, …]]: put each into a list of its own"
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
    """Returns the name of the file, behind the folders of any system."""
    return name.replace("\\", "/").rpartition("/")[2]


def _read(path: Path) -> dict[str, Any] | None:
    """Returns the content, when it has objects with outlines."""
    content = read_json_object(path, LARGEST)
    if not all(isinstance(content.get(key), list) for key in KEYS):
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
    """Returns the folder from which most names lead to a file, or the ends of all names; None when they lead to none.

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
    """Returns twice the number of folders that both lie in, from the root on, plus 1 where both name the same split."""
    pairs = zip(folder.split("/"), annotations.split("/"), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    beside = (PurePosixPath(folder), PurePosixPath(annotations).with_suffix(""))
    splits = [taken_apart(str(path / "x")).split for path in beside]
    return 2 * shared + (splits[0] is not None and splits[0] == splits[1])
