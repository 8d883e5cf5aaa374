"""Reads samples listed in a CSV file: image, mask, and where they are known split, group and weight."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.counted import some_of
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import Colour, dtypes_of, first_image
from segtrain.data.files.columns import Codes
from segtrain.data.files.digest import Hashes, digest, hashes_of_files, stamp_files
from segtrain.data.files.label_coding import Code, Coding
from segtrain.data.files.manifest import Columns, Manifest, Rows, read_rows
from segtrain.data.files.pixels import read_coded, read_header
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError, is_noting, refuse

MOST_FILES = 20_000  # samples whose files are looked at when the set is opened: about .1 ms a file, so some 4 s at most
SIZED = 256  # evenly spaced samples whose files' sizes stand for all in the fingerprint of a larger set


class Csv:
    """Reads images and masks that the rows of a manifest name, in any format that `Folder` reads.

    `ids` are the images' paths in the manifest without extension, sorted; `splits`, `groups` and `weights` are its
    columns. A million rows are held in some 100 bytes each, twice that while they are read, without an object a row.

    Raises:
        UserError: the manifest or one of its rows is wrong, or, of a set of up to `MOST_FILES` rows, a file is missing,
            image and mask differ in size, or images in channels or depth. In a larger set that is found when a sample
            is read.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        manifest: str | Path,
        classes: Mapping[str, Code | Sequence[Code]],
        columns: Mapping[str, str | None] | None = None,
        delimiter: str | None = None,
        allow_outside: bool = False,
        channels: int | None = None,
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        tolerance: int | None = None,
    ) -> None:
        """Reads the manifest; of up to `MOST_FILES` samples the headers too, of more only the first image's.

        Args:
            manifest: CSV file with a line of names first; paths in it start from its own folder.
            classes: name -> value in the mask, 0..65535, or colour "#rrggbb", or a list of either, in label order.
            columns: image, mask, split, group or weight -> its name in the first line; None: not read.
            delimiter: comma, tab or semicolon; None: found out from the first line.
            allow_outside: whether files may lie outside the manifest's folder: absolute paths, .., links out.
            channels: 1 or 3, to which grey is repeated and colour turned grey; None takes those of the first
                image and refuses others.
            ignore_value: value, colour or list of them in the mask that becomes `ignore_index`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the masks' own colours, or chooses some.
            tolerance: levels by which a value in the mask, of a colour each channel, may be off that of the nearest
                class, as in JPEG; None: none.
        """
        self._manifest = Path(manifest).expanduser()
        self._root, self._outside = self._manifest.parent, allow_outside
        self._coding = Coding(classes, ignore_value, palette, tolerance)
        self.classes, self.palette = self._coding.names, self._coding.palette
        self._rows: Rows = read_rows(Manifest(self._manifest, Columns.given(columns), delimiter), allow_outside)
        self.ids: Sequence[str] = self._rows.ids
        self.splits: Sequence[str | None] = self._rows.splits
        self.groups: Codes | None = self._rows.groups
        self.weights: np.ndarray[Any, np.dtype[np.float64]] | None = self._rows.weights
        self._few = len(self.ids) <= MOST_FILES
        if self._few:
            self._refuse_missing()
        looked = range(len(self.ids) if is_noting() else 1)
        self._colour = Colour(channels, first_image(self._root / self._rows.image(index) for index in looked))
        self.channels = self._colour.channels
        if self._few and is_noting():
            self._colour.look_over(dtypes_of(self._root / self._rows.image(index) for index in range(len(self.ids))))
        elif self._few:
            self._refuse_unequal(channels is None)
        self._meaning = (dict(classes), ignore_value, self.channels, columns, delimiter, *self._coding.meaning)
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a file is missing, broken or outside the manifest's folder, image and mask differ in size, or the
                mask holds a value outside `classes`, or colours.
        """
        image_path = self._file(self._rows.image(index), "image")
        mask_path = self._file(self._rows.masks[index], "mask")
        image, missing = self._colour.picture(image_path)
        mask, unlabelled = read_coded(mask_path, self._coding.in_colour)
        if mask.shape[:2] != image.shape[:2]:
            raise UserError(_unequal([_sizes(self.ids[index], image.shape, mask.shape)], 1))
        return sample_of(image, self._coding.labels(mask, mask_path, unlabelled), missing, self.ids[index])

    def fingerprint(self) -> str:
        """Returns BLAKE2b over what the masks' values mean, the manifest, and the contents of all files.

        Of more than `MOST_FILES` samples not the contents, which would take hours, but the sizes of `SIZED` samples'
        files: one that is exchanged for another is then overlooked, and `stamp` tells it.
        """
        if self._few:
            return digest(self._root, [self._manifest, *self._files()], *self._meaning, keep=self._contents)
        step = max(1, len(self.ids) // SIZED)  # to the end of the list; split.json of runs holds what comes of it
        sizes = [_size(path) for path in self._files(step)]
        return digest(self._root, [self._manifest], *self._meaning, sizes)

    def stamp(self, index: int) -> int:
        """Returns what changes when the two files of `ids[index]` are written; 0 where the fingerprint reads them."""
        if self._few:
            return 0
        return stamp_files(
            os.path.join(self._root, name) for name in (self._rows.image(index), self._rows.masks[index])
        )

    def hashes(self) -> Hashes | None:
        """Returns a hash of each image file's content, from the fingerprint's pass; None of more than `MOST_FILES`."""
        return self._hashes if self._few else None

    @cached_property
    def _hashes(self) -> Hashes:
        paths = [self._root / self._rows.image(index) for index in range(len(self.ids))]
        return hashes_of_files(paths, self._contents, lambda index: self._colour.read(paths[index]))

    def _files(self, step: int = 1) -> Iterator[Path]:
        for index in range(0, len(self.ids), step):
            yield self._root / self._rows.image(index)
            yield self._root / self._rows.masks[index]

    def _file(self, name: str, kind: str) -> Path:
        """Returns the path of a file of the manifest, links that lead out refused."""
        path = self._root / name
        if not self._outside and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._root)):
            raise UserError(
                f"{kind} '{path}' is a link that leads out of the manifest's folder; expected files below it; give "
                "dataset.allow_outside=true where that is meant"
            )
        if not path.exists():
            raise UserError(
                f"there is no {kind} '{path}', which '{self._manifest}' names; expected a file there, as paths start "
                "from the manifest's folder; mend the path, or remove the line"
            )
        return path

    def _refuse_missing(self) -> None:
        missing = [str(path) for path in self._files() if not path.exists()]
        if missing:
            refuse(
                f"{len(missing)} of {2 * len(self.ids)} files that '{self._manifest}' names are missing; expected each "
                f"there, as paths start from the manifest's folder; got no {some_of(missing)}; mend the paths, or "
                "remove their lines",
                missing,
            )

    def _refuse_unequal(self, alike: bool) -> None:
        """Refuses masks of another size than their image, images of several depths and, if `alike`, channels."""
        sizes, colours, dtypes = [], [], []
        for index, name in enumerate(self.ids):
            path = self._file(self._rows.image(index), "image")
            image, mask = read_header(path), read_header(self._file(self._rows.masks[index], "mask"), True)
            if image[:2] != mask[:2]:
                sizes.append(_sizes(name, image[:2], mask[:2]))
            dtypes.append((str(path), image.dtype))
            if image.channels != self.channels:
                colours.append(f"{path} ({image.channels})")
        if sizes:
            refuse(_unequal(sizes, len(self.ids)), sizes)
        self._colour.look_over(dtypes)
        if colours and alike:
            refuse(
                f"{len(colours)} of {len(self.ids)} images differ in channels; expected {self.channels} as the first "
                f"has; got {some_of(colours)}; give dataset.channels=3 to repeat grey, or dataset.channels=1 to turn "
                "colour grey",
                colours,
            )


def _sizes(name: str, image: Sequence[int], mask: Sequence[int]) -> str:
    return f"'{name}' (image {image[1]} x {image[0]}, mask {mask[1]} x {mask[0]})"


def _unequal(sizes: Sequence[str], n: int) -> str:
    return (
        f"{len(sizes)} of {n} masks differ in size from their image; expected the same width x height, after the EXIF "
        f"orientation of each; got {some_of(sizes)}; resize the masks by nearest neighbour, or save the images with "
        "their orientation applied"
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # it is named when it is read
        return None
