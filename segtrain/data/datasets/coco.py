"""Reads images with objects in annotation files of COCO's kind."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segtrain.counted import counted, some_of
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import MOST_LOOKED_AT, Colour, dtypes_of, first_image
from segtrain.data.files.coco_annotations import (
    AnnotatedImage,
    Mended,
    Object,
    draw_regions,
    load_images,
    mend,
    region_of,
    remark_mended,
)
from segtrain.data.files.digest import Hashes, digest, hashes_of_files
from segtrain.data.files.extras import need
from segtrain.data.files.label_coding import UNKNOWN, Coding
from segtrain.data.files.samples import PARTS
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError

CROWD = ("ignore", "object", "background")


class _Part(NamedTuple):
    """Holds an annotation file, the folder of its images, and the split that both belong to."""

    split: str | None
    annotations: Path
    images: Path


class Coco:
    """Draws polygons and run lengths into label masks; pixels outside any object are background.

    `ids` are the images' file names without extension, behind train/, val/ or test/ where the files say so.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        annotations: str | Mapping[str, str],
        classes: Sequence[str] | Mapping[str, str | Sequence[str] | None],
        images: str | Mapping[str, str] = "images",
        priority: Sequence[str] | None = None,
        crowd: str = "ignore",
        channels: int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        file_names: str | None = None,
        outside: str | None = None,
        shapeless: str | None = None,
    ) -> None:
        """Reads the annotation files and looks whether the images are there.

        Args:
            root: folder of the data, from the current directory when relative.
            annotations: file below root; with {split} in it one a split, as far as they are there; or split -> file.
            classes: background, then names of categories; or name -> category or categories, background: null first.
            images: folder of images below root; may hold {split}, or be split -> folder.
            priority: names of classes without background, the first lies on top where objects overlap; None: the last
                of `classes` does.
            crowd: what regions of many objects (iscrowd) become where no single object is: "ignore", "object" (of
                their class) or "background".
            channels: 1 or 3; None: as the first image, and others are refused.
            palette: RGB 0..255 for each class; None: colours are chosen.
            file_names: what of the images' file_name counts below `images`: None: all of it; "last": what stands behind
                the last slash.
            outside: what becomes of polygons that reach beyond their image: "clip", cut at its edge; None: an error.
            shapeless: what becomes of objects without a segmentation and of polygons of fewer than three corners:
                "skip", left out; None: an error.

        Raises:
            UserError: an annotation file is broken (`load`), images are missing or named twice, arguments that do not
                fit.
        """
        need("pycocotools.mask", "coco")
        categories = _categories(classes)
        if crowd not in CROWD:
            raise UserError(f"dataset.crowd is {crowd!r}; expected one of {', '.join(CROWD)}")
        self.classes = tuple(categories)
        self.palette = Coding({name: label for label, name in enumerate(self.classes)}, palette=palette).palette
        _check_words(file_names=(file_names, "last"), outside=(outside, "clip"), shapeless=(shapeless, "skip"))
        self._clips, self._skips = outside is not None, shapeless is not None
        self._order = _order(self.classes, priority)
        self._crowd, self._root = crowd, Path(root).expanduser()
        label_of = {name: label for label, names in enumerate(categories.values()) for name in names}
        self._parts = _parts(self._root, annotations, images)
        found = sorted(_found(self._parts, label_of, file_names == "last"), key=lambda sample: sample[0])
        _check_ids([name for name, _, _, _ in found])
        self.ids: tuple[str, ...] = tuple(name for name, _, _, _ in found)
        self.splits: tuple[str | None, ...] = tuple(part.split for _, part, _, _ in found)
        self._pictures = [(part, path, picture) for _, part, path, picture in found]
        _check_there(self._pictures)
        if self._clips or self._skips:
            remark_mended(
                [(path, self._of(o, picture)) for _, path, picture in self._pictures for o in picture.objects]
            )
        self._colour = Colour(channels, first_image(path for _, path, _ in self._pictures))
        self.channels = self._colour.channels
        if len(self.ids) <= MOST_LOOKED_AT:
            self._colour.look_over(dtypes_of(path for _, path, _ in self._pictures))
        chosen = {"file_names": file_names, "outside": outside, "shapeless": shapeless}
        used = {name: word for name, word in chosen.items() if word is not None}
        self._options = (categories, self._order, crowd, self.channels, *([used] if used else []))
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: the image is broken or not of the size that the annotations say, or an object is broken.
        """
        part, path, picture = self._pictures[index]
        image, missing = self._colour.picture(path)
        size = (picture.height, picture.width)
        if image.shape[:2] != size:
            raise UserError(
                f"image '{path}' is {image.shape[1]} x {image.shape[0]} pixels; '{part.annotations}' says {size[1]} x "
                f"{size[0]}; expected the image that was annotated; restore it, or correct width and height"
            )
        objects = sorted(picture.objects, key=self._height_of)
        found = [(o, self._of(o, picture)) for o in objects if self._shown(o)]
        regions = [(self._label(o), region_of(of.segmentation, *size, o.name)) for o, of in found if not of.is_gone]
        return sample_of(image, draw_regions(regions, *size), missing, self.ids[index])

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the choices, and names and contents of annotation files and images."""
        files = [part.annotations for part in self._parts] + [path for _, path, _ in self._pictures]
        return digest(self._root, files, *self._options, keep=self._contents)

    def hashes(self) -> Hashes:
        """Returns a hash of each image file's content, from the fingerprint's pass."""
        return self._hashes

    def files(self, index: int) -> list[Path]:
        """Returns the files of `ids[index]`: image and annotations."""
        part, path, _ = self._pictures[index]
        return [path, part.annotations]

    @cached_property
    def _hashes(self) -> Hashes:
        paths = [path for _, path, _ in self._pictures]
        return hashes_of_files(paths, self._contents, lambda index: self._colour.read(paths[index]))

    def _of(self, item: Object, picture: AnnotatedImage) -> Mended:
        """Returns what is drawn of an object."""
        if not (self._clips or self._skips):
            return Mended(item.segmentation, 0, 0)
        return mend(item.segmentation, picture.height, picture.width, self._clips, self._skips)

    def _shown(self, item: Object) -> bool:
        return not item.crowd or self._crowd != "background"

    def _label(self, item: Object) -> int:
        return self.ignore_index if item.crowd and self._crowd == "ignore" else item.label

    def _height_of(self, item: Object) -> tuple[bool, int]:
        """Sorts what is drawn over what: ignored crowds below all."""
        return self._label(item) != self.ignore_index, self._order[item.label]


def _categories(classes: Sequence[str] | Mapping[str, str | Sequence[str] | None]) -> dict[str, list[str]]:
    """Returns for each class its categories, none for background."""
    chosen = classes if isinstance(classes, Mapping) else {name: name if i else None for i, name in enumerate(classes)}
    listed = {name: [of] if isinstance(of, str) else list(of or []) for name, of in chosen.items()}
    names = [*listed]
    every = [category for of in listed.values() for category in of]
    right = 2 <= len(names) <= UNKNOWN and names[0] == "background" and not listed["background"]
    if not right or len(names) != len(classes) or len({*every}) != len(every) or not all(map(listed.get, names[1:])):
        raise UserError(
            f"dataset.classes is {classes!r}; expected background, which is every pixel outside the objects, and then "
            "each category once: [background, cell, nucleus], or {background: null, vehicle: [car, bus]}; categories "
            "that are not named are background"
        )
    return listed


def _order(classes: Sequence[str], priority: Sequence[str] | None) -> list[int]:
    """Returns how high each label lies."""
    if priority is None:
        return list(range(len(classes)))
    if sorted(priority) != sorted(classes[1:]):
        raise UserError(
            f"dataset.priority is {list(priority)}; expected each class but background once, the topmost first: "
            f"{', '.join(classes[1:])}"
        )
    return [-1, *(len(priority) - priority.index(name) for name in classes[1:])]


def _parts(root: Path, annotations: str | Mapping[str, str], images: str | Mapping[str, str]) -> Sequence[_Part]:
    """Returns the annotation files and their folders, as `annotations` and `images` say."""
    if isinstance(annotations, Mapping):
        splits: list[str | None] = list(annotations)
    elif "{split}" in annotations:
        splits = [split for split in PARTS if (root / annotations.replace("{split}", split)).is_file()]
    else:
        splits = [None]
    wrong = [split for split in splits if split not in (None, *PARTS)]
    if not splits or wrong:
        got = f"the split {some_of([str(split) for split in wrong])}" if wrong else "no such file"
        raise UserError(
            f"dataset.annotations is {annotations!r} below '{root}'; expected one JSON file, or files for train, val "
            f"and test, as 'instances_{{split}}.json' or {{train: a.json, val: b.json}}; got {got}"
        )
    return [_Part(split, root / _of(annotations, split), root / _of(images, split)) for split in splits]


def _of(choice: str | Mapping[str, str], split: str | None) -> str:
    if isinstance(choice, str) and (split or "{split}" not in choice):
        return choice.replace("{split}", split or "")
    if isinstance(choice, Mapping) and split and split in choice:
        return choice[split]
    raise UserError(
        f"dataset.images is {choice!r}; expected a folder of images for each annotation file; got none for "
        f"{split or 'a single one'}; let dataset.annotations and dataset.images name the same splits"
    )


def _check_words(**options: tuple[str | None, str]) -> None:
    for name, (got, word) in options.items():
        if got not in (None, word):
            raise UserError(f"dataset.{name} is {got!r}; expected {word}, or null")


def _found(
    parts: Sequence[_Part], label_of: Mapping[str, int], last: bool
) -> Iterator[tuple[str, _Part, Path, AnnotatedImage]]:
    """Returns id, part, file and annotations of every image."""
    for part in parts:
        for picture in load_images(part.annotations, label_of):
            text = picture.file_name
            if "\\" in text and not (part.images / text).is_file():  # as Windows writes paths
                text = text.replace("\\", "/")
            name = PurePosixPath(PurePosixPath(text).name if last else text)
            if name.is_absolute() or ".." in name.parts:
                raise UserError(
                    f"'{part.annotations}' names the image '{picture.file_name}'; expected a path below "
                    f"'{part.images}'; correct its file_name, or give dataset.images"
                )
            stem = name.with_suffix("").as_posix()
            yield f"{part.split}/{stem}" if part.split else stem, part, part.images / name, picture


def _check_ids(ids: Sequence[str]) -> None:
    if not ids:
        raise UserError("the annotation files list no image; expected some under 'images'; give other files")
    twice = [name for name, after in pairwise(ids) if name == after]
    if twice:
        raise UserError(
            f"{counted(len(twice), 'image')} named like another, but for the extension; expected names that differ; "
            f"got {some_of(twice)}; rename one of each, in its folder and in the annotation file"
        )


def _check_there(pictures: Sequence[tuple[_Part, Path, AnnotatedImage]]) -> None:
    missing = [(part, path, picture) for part, path, picture in pictures if not path.is_file()]
    if not missing:
        return
    part, _, picture = missing[0]
    name = PurePosixPath(picture.file_name.replace("\\", "/")).name
    says = f"'{part.annotations}' names '{picture.file_name}'"
    way_out = "add them, or give their folder as dataset.images"
    if (part.images / name).is_file():
        way_out = f"{says}, and '{part.images}' holds '{name}': dataset.file_names=last drops what stands before it"
    raise UserError(
        f"{len(missing)} of {len(pictures)} images of the annotation files are missing; expected them at "
        f"{some_of([str(path) for _, path, _ in missing])}; got no such files; {way_out}"
    )
