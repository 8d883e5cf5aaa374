"""Reads a folder a sample, with the image and a mask file for each nucleus (cell, …) in it."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segtrain.counted import counted, some_of
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import MOST_LOOKED_AT, Colour, dtypes_of, first_image
from segtrain.data.files.digest import Hashes, digest, hashes_of_files
from segtrain.data.files.label_coding import Coding
from segtrain.data.files.patterns import SUFFIXES
from segtrain.data.files.pixels import read_mask
from segtrain.data.files.samples import PARTS
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError

Region = NDArray[np.bool_]


class _Sample(NamedTuple):
    """Holds one sample's files; `split` is the train, val or test folder it lies in, None without one."""

    id: str
    image: Path
    masks: list[Path]
    split: str | None


class Instances:
    """Reads the union of all masks of an image as foreground, the rest as background; masks may overlap.

    Layout: root/ID/images/ANY.png with root/ID/masks/*.png, as of the Data Science Bowl 2018; folders train, val and
    test above ID set the split and begin the id.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Sequence[str] = ("background", "nucleus"),
        images: str = "images",
        masks: str = "masks",
        border: int = 0,
        allow_empty: bool = False,
        channels: int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Lists the files; the headers of the images are read.

        Args:
            root: folder of the samples' folders, from the current directory when relative.
            classes: names of what is outside and inside the masks.
            images: folder of the one image in a sample's folder.
            masks: folder of its masks; in each, 0 is outside and one other value inside.
            border: pixels at most so many away from two instances are ignored; 0: none are.
            allow_empty: whether a sample without any mask is one of background alone.
            channels: 1 or 3; None: as the first image, and others are refused.
            palette: RGB 0..255 for each class; None: colours are chosen.

        Raises:
            UserError: no sample, a sample without image or masks or with two images, arguments that do not fit.
        """
        if len(classes) != 2 or type(border) is not int or border < 0:
            raise UserError(
                f"dataset.classes is {list(classes)} and dataset.border {border!r}; expected two names, outside and "
                "inside, such as [background, nucleus], and a whole number of pixels from 0"
            )
        self.classes = tuple(classes)
        self.palette = Coding({name: label for label, name in enumerate(classes)}, palette=palette).palette
        self._root, self._border = Path(root).expanduser(), border
        self._samples = sorted(_samples(self._root, images, masks))
        if not allow_empty:
            _refuse_empty(self._samples)
        self._colour = Colour(channels, first_image(sample.image for sample in self._samples))
        self.channels = self._colour.channels
        if len(self._samples) <= MOST_LOOKED_AT:
            self._colour.look_over(dtypes_of(sample.image for sample in self._samples))
        self.ids: tuple[str, ...] = tuple(sample.id for sample in self._samples)
        self.splits: tuple[str | None, ...] = tuple(sample.split for sample in self._samples)
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, or a mask differs in size from the image, is empty or has several values.
        """
        one = self._samples[index]
        image, missing = self._colour.picture(one.image)
        counts, near = (np.zeros(image.shape[:2], np.uint16) for _ in range(2))
        for path in one.masks:
            inside = _inside(path, one.image, image.shape[:2])
            counts += inside
            if self._border:
                near += _grown(inside, self._border)
        labels = (counts > 0).astype(np.uint8)
        labels[near > 1] = self.ignore_index
        return sample_of(image, labels, missing, one.id)

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the choices, and names and contents of all files."""
        files = (path for sample in self._samples for path in (sample.image, *sample.masks))
        return digest(self._root, files, self._border, self.channels, keep=self._contents)

    def hashes(self) -> Hashes:
        """Returns a hash of each image file's content, from the fingerprint's pass."""
        return self._hashes

    def files(self, index: int) -> list[Path]:
        """Returns the files of `ids[index]`: image and masks."""
        return [self._samples[index].image, *self._samples[index].masks]

    @cached_property
    def _hashes(self) -> Hashes:
        paths = [sample.image for sample in self._samples]
        return hashes_of_files(paths, self._contents, lambda index: self._colour.read(paths[index]))


def _samples(root: Path, images: str, masks: str) -> Iterator[_Sample]:
    layout = f"folders '{root / 'NAME' / images}' with the image and '{root / 'NAME' / masks}' with its masks"
    if not root.is_dir():
        raise UserError(f"there is no folder '{root}'; expected {layout}; give dataset.root as it is")
    found = False
    for folder in _visible(root):
        split = folder.name if folder.name in PARTS and not (folder / images).is_dir() else None
        for inner in _visible(folder) if split else [folder]:
            if (inner / images).is_dir() or (inner / masks).is_dir():
                found = True
                name = inner.relative_to(root).as_posix()
                yield _Sample(name, _image(inner / images), _files(inner / masks), split)
    if not found:
        raise UserError(
            f"'{root}' holds no sample; expected {layout}; got {some_of([p.name for p in _visible(root)]) or 'none'}; "
            "give dataset.root, or the names of both folders as dataset.images and dataset.masks"
        )


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """Returns the image files in the folder; none where there is no folder."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(p for p in found if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def _image(folder: Path) -> Path:
    files = _files(folder)
    if len(files) != 1:
        raise UserError(
            f"'{folder}' holds {counted(len(files), 'image')}; expected one; got "
            f"{some_of([p.name for p in files]) or 'none'}; give each image a folder of its own"
        )
    return files[0]


def _refuse_empty(samples: Sequence[_Sample]) -> None:
    empty = [sample.id for sample in samples if not sample.masks]
    if empty:
        raise UserError(
            f"{len(empty)} of {len(samples)} samples have no mask; expected a file for each instance; got none for "
            f"{some_of(empty)}; add them, or give dataset.allow_empty=true to take these images for background alone"
        )


def _inside(path: Path, image: Path, size: tuple[int, ...]) -> Region:
    """Returns where the instance is, (H, W)."""
    values = read_mask(path)
    if values.ndim == 3:
        values = values.max(2)
    if values.shape != size:
        raise UserError(
            f"mask '{path}' is {values.shape[1]} x {values.shape[0]} pixels; expected {size[1]} x {size[0]} as image "
            f"'{image}' has; restore the mask"
        )
    inside: Region = values != 0
    if not inside.any():
        raise UserError(f"mask '{path}' is empty; expected the pixels of one instance; draw it, or remove the file")
    if (values[inside] != values.max()).any():
        got = some_of([str(value) for value in np.unique(values[inside])])
        raise UserError(
            f"mask '{path}' has several values; expected 0 outside and one value inside, one instance a file; got "
            f"{got}; where a file holds all instances or classes, use dataset=folder"
            + ("; JPEG changes values, save masks as PNG" if path.suffix.lower() in (".jpg", ".jpeg") else "")
        )
    return inside


def _grown(inside: Region, border: int) -> NDArray[np.uint8]:
    """Returns 1 where the instance is at most `border` pixels away."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * border + 1, 2 * border + 1))
    return np.asarray(cv2.dilate(inside.astype(np.uint8), disc), np.uint8)
