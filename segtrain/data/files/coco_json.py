"""Annotation files of COCO's kind: what is in them, checked, image by image."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segtrain.data.files.pairs import some
from segtrain.errors import UserError
from segtrain.files import bytes_of

Entry = dict[str, Any]
KEYS: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str, "height": int, "width": int},
    "annotations": {"id": (int, str), "image_id": (int, str), "category_id": (int, str)},
    "categories": {"id": (int, str), "name": str},
}


class Object(NamedTuple):
    """One annotated object; `segmentation` is still as the file has it."""

    name: str  # for messages
    label: int
    crowd: bool
    segmentation: Any


class Picture(NamedTuple):
    """One image of an annotation file, with its size in pixels and the objects of the chosen categories."""

    file_name: str
    height: int
    width: int
    objects: list[Object]


def load(path: Path, label_of: Mapping[str, int]) -> list[Picture]:
    """The images of an annotation file; objects of categories that `label_of` does not name are left out.

    Raises:
        UserError: no such file, no JSON of this kind, an id that is missing or there twice, a name of `label_of` that
            is no category.
    """
    lists = _lists(path)
    names = {entry["id"]: entry["name"] for entry in _unique(lists["categories"], "category", path)}
    missing = [name for name in label_of if name not in names.values()]
    if missing:
        raise UserError(
            f"dataset.classes names {some(missing)}, no category of '{path}'; expected names out of its categories: "
            f"{', '.join(sorted(map(str, names.values())))}; correct dataset.classes"
        )
    pictures = {
        entry["id"]: Picture(entry["file_name"], entry["height"], entry["width"], [])
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
            got = f"the keys {some(sorted(content))}" if isinstance(content, dict) else f"a {type(content).__name__}"
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
            f"'{path}' has the {kind} id {some(twice)} more than once; expected each once; give every {kind} an id of "
            "its own"
        )
    return entries


def _refer(entry: Entry, key: str, known: Mapping[Any, object], path: Path) -> None:
    if entry[key] not in known:
        kind = {"image_id": "images", "category_id": "categories"}[key]
        raise UserError(
            f"annotation {entry['id']} in '{path}' has {key} {entry[key]!r}, which '{kind}' lacks; expected one of its "
            f"{len(known)} ids; add the entry to '{kind}', or remove the annotation"
        )
