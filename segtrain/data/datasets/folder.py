"""Reads a folder of images and a folder of masks, with lists of their splits where there are some."""

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from segtrain.counted import some_of
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import Colour, dtypes_of, first_image
from segtrain.data.files.digest import Hashes, digest, hashes_of_files
from segtrain.data.files.label_coding import Code, Coding
from segtrain.data.files.pairs import FileSides, Pair, find_file_sides, find_left_out, pair_files
from segtrain.data.files.pixels import Header, read_coded, read_header, read_mask
from segtrain.data.files.samples import PARTS, Pixels
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError, is_noting
from segtrain.files import text_of

MOST_HEADERS = 20_000  # samples whose headers are read at the start: about .1 ms a file, so some 4 s at most


class Folder:
    """Reads images and masks paired by name, PNG, JPEG, TIFF, BMP or GIF in any mix.

    `ids` are paths without extension from the images folder, or what `{id}` stands for; `splits` follow folders named
    train, val and test, `{split}`, or lists.

    Raises:
        UserError: the pairing fails, image and mask differ in size, channels or depth differ between images, or an
            argument contradicts itself.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Mapping[str, Code | Sequence[Code]],
        images: str = "images",
        masks: str = "masks",
        regions: str | None = None,
        lists: Mapping[str, str] | None = None,
        prefix: str = "",
        channels: int | None = None,
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        tolerance: int | None = None,
        orphans: str | None = None,
    ) -> None:
        """Finds and pairs the files; the headers of up to `MOST_HEADERS` samples are read, pixels are not.

        Args:
            root: folder of the data, from the current directory when relative.
            classes: name -> value in the mask, 0..65535, or colour "#rrggbb", or a list of either, in label order.
            images: folder of images below root, or pattern of their paths with `{id}`, see `find_file_sides`.
            masks: the same of masks.
            regions: the same of pictures of the field of view: where one is black, labels become `ignore_index`;
                None: everything counts.
            lists: train, val or test -> text file below root that names its samples, see `Listed`; samples in none are
                left out. None: all are taken.
            prefix: beginning of the paths in lists that is dropped, to make them paths from root.
            channels: 1 or 3, to which grey is repeated and colour turned grey; None takes those of the first
                image and refuses others.
            ignore_value: value, colour or list of them in the mask that becomes `ignore_index`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the masks' own colours, or chooses some.
            tolerance: levels by which a value in the mask, of a colour each channel, may be off that of the nearest
                class, as in JPEG; None: none.
            orphans: "leave_out" goes on without files that have no partner, which `left_out` names; None refuses them.
        """
        self._root = Path(root).expanduser()
        self._coding = Coding(classes, ignore_value, palette, tolerance)
        self.classes, self.palette = self._coding.names, self._coding.palette
        sides = find_file_sides(self._root, images, masks, regions)
        self.left_out = find_left_out(sides, orphans) if lists is None else ()
        self._pairs = _pairs(self._root, sides, lists, prefix, orphans)
        if not self._pairs:  # only while an audit looks on, which has heard why, or where those without are left out
            raise UserError(
                f"no image below '{self._root}' has a mask; expected a mask of the same name for each; correct "
                "dataset.images and dataset.masks"
            )
        self._colour = Colour(channels, first_image(pair.image for pair in self._pairs))
        self.channels = self._colour.channels
        if len(self._pairs) <= MOST_HEADERS and is_noting():
            self._colour.look_over(dtypes_of(pair.image for pair in self._pairs))
        elif len(self._pairs) <= MOST_HEADERS:
            headers = _checked_sizes(self._pairs)
            self._colour.look_over((str(p.image), h.dtype) for p, h in zip(self._pairs, headers, strict=True))
            if channels is None:
                _check_channels(self._pairs, headers)
        self.ids: tuple[str, ...] = tuple(pair.id for pair in self._pairs)
        self.splits: tuple[str | None, ...] = tuple(pair.split for pair in self._pairs)
        self._meaning = (dict(classes), ignore_value, self.channels, *self._coding.meaning)
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, image and mask differ in size, or the mask holds a value outside `classes`, or
                colours.
        """
        pair = self._pairs[index]
        image, missing = self._colour.picture(pair.image)
        mask, unlabelled = read_coded(pair.mask, self._coding.in_colour)
        _check_size(pair.mask, mask, pair.image, image)
        labels = self._coding.labels(mask, pair.mask, unlabelled)
        if pair.region is not None:
            region = read_mask(pair.region, in_colour=True)
            _check_size(pair.region, region, pair.image, image)
            labels[~region.reshape(*labels.shape, -1).any(axis=2)] = IGNORE_INDEX
        return sample_of(image, labels, missing, pair.id)

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the names and contents of all files, and over what the masks' values mean."""
        paths = (path for pair in self._pairs for path in _files_of(pair))
        return digest(self._root, paths, *self._meaning, keep=self._contents)

    def hashes(self) -> Hashes:
        """Returns a hash of each image file's content, from the fingerprint's pass."""
        return self._hashes

    def files(self, index: int) -> list[Path]:
        """Returns the files of `ids[index]`: image, mask and, where there is one, region."""
        return list(_files_of(self._pairs[index]))

    @cached_property
    def _hashes(self) -> Hashes:
        paths = [pair.image for pair in self._pairs]
        return hashes_of_files(paths, self._contents, lambda index: self._colour.read(paths[index]))


def _pairs(
    root: Path, sides: Sequence[FileSides], lists: Mapping[str, str] | None, prefix: str, orphans: str | None
) -> list[Pair]:
    if lists is not None:
        return sorted(Listed(root, sides, prefix).pairs(lists))
    if prefix:
        raise UserError(
            f"dataset.prefix is '{prefix}', but there is no list whose paths it could begin; expected dataset.lists "
            "beside it; give both or neither"
        )
    return sorted(pair for piece in sides for pair in pair_files(piece, orphans))


def _files_of(pair: Pair) -> Iterator[Path]:
    yield from (path for path in (pair.image, pair.mask, pair.region) if path is not None)


def _check_size(path: Path, pixels: Pixels, image_path: Path, image: Pixels) -> None:
    if pixels.shape[:2] != image.shape[:2]:
        raise UserError(
            f"'{path}' is {pixels.shape[1]} x {pixels.shape[0]} pixels; expected {image.shape[1]} x {image.shape[0]} "
            f"as its image '{image_path}' is, after the EXIF orientation of each; resize it by nearest neighbour, or "
            "save the image with its orientation applied"
        )


def _checked_sizes(pairs: Sequence[Pair]) -> list[Header]:
    """Returns the headers of the images, whose masks and regions have their sizes."""
    headers = [[read_header(path, path != pair.image) for path in _files_of(pair)] for pair in pairs]
    for position, kind in ((1, "mask"), (2, "region")):
        unequal = [
            f"'{pair.id}' (image {image.width} x {image.height}, {kind} {other.width} x {other.height})"
            for pair, (image, *others) in zip(pairs, headers, strict=True)
            for other in others[position - 1 : position]
            if image[:2] != other[:2]
        ]
        if unequal:
            raise UserError(
                f"{len(unequal)} of {len(pairs)} {kind}s differ in size from their image; expected the same width x "
                f"height, after the EXIF orientation of each; got {some_of(unequal)}; resize the {kind}s by nearest "
                "neighbour, or save the images with their orientation applied"
            )
    return [image for image, *_ in headers]


def _check_channels(pairs: Sequence[Pair], headers: Sequence[Header]) -> None:
    first = headers[0].channels
    others = [f"{p.image} ({h.channels})" for p, h in zip(pairs, headers, strict=True) if h.channels != first]
    if others:
        raise UserError(
            f"{len(others)} of {len(pairs)} images differ in channels; expected {first} as {pairs[0].image} has; got "
            f"{some_of(others)}; give dataset.channels=3 to repeat grey, or dataset.channels=1 to turn colour grey"
        )


class Listed:
    """Finds what the lines of split lists name among the files of a dataset.

    A line is an id, the path of an image from root, its name behind the folder that `{id}` begins in, or the paths of
    an image and a mask with white space between. Of paths, `prefix` is dropped first.
    """

    def __init__(self, root: Path, sides: Sequence[FileSides], prefix: str = "") -> None:
        """Takes what was found, in pieces whose ids differ; no list is read yet."""
        self._root, self._prefix = root, prefix
        self._images = {name: path for piece in sides for name, path in piece.images.files.items()}
        self._masks = {name: path for piece in sides for name, path in piece.masks.files.items()}
        regions = [piece.regions for piece in sides if piece.regions is not None]
        self._regions = {name: path for side in regions for name, path in side.files.items()} if regions else None
        self._ids = self._spellings(self._images)
        self._mask_paths = {self._from_root(path): path for path in self._masks.values()}

    def pairs(self, lists: Mapping[str, str]) -> list[Pair]:
        """Returns the samples that the lists name, with the split of their list; what no list names is left out.

        Args:
            lists: train, val or test -> text file below root.

        Raises:
            UserError: a list is missing or empty, or a line names a sample that is not there, or one named before.
        """
        _check_splits(lists)
        found: dict[str, tuple[Pair, str]] = {}
        for split, name in lists.items():
            for where, line in _lines_of(self._root / name):
                pair = self._pair(line, split, where)
                if pair.id in found:
                    raise UserError(
                        f"{where} names '{pair.id}', as {found[pair.id][1]} does; expected each sample once, in one "
                        "split; remove one of the lines"
                    )
                found[pair.id] = (pair, where)
        return [pair for pair, _ in found.values()]

    def _pair(self, line: str, split: str, where: str) -> Pair:
        name, mask = self._ids.get(self._stripped(line)) or self._ids.get(f"{split}/{line}"), None
        for at in (
            i for i, letter in enumerate(line) if letter.isspace() and name is None
        ):  # names may hold blanks too
            image, partner = self._stripped(line[:at].strip()), self._stripped(line[at:].strip())
            if image in self._ids and partner in self._mask_paths:
                name, mask = self._ids[image], self._mask_paths[partner]
        if name is None:
            raise self._unknown(line, where)
        mask, region = mask or self._masks.get(name), (self._regions or {}).get(name)
        if mask is None or (region is None and self._regions is not None):
            raise UserError(
                f"{where} names '{name}', which has no {'region' if mask else 'mask'}; expected one for each listed "
                "sample; add it, or remove the line"
            )
        return Pair(name, self._images[name], mask, split, region)

    def _stripped(self, path: str) -> str:
        cut = path.removeprefix(self._prefix)
        return posixpath.normpath(cut.lstrip("/") if self._prefix and cut != path else cut)

    def _from_root(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._root)).as_posix()

    def _spellings(self, images: Mapping[str, Path]) -> dict[str, str]:
        """Returns a line's spellings -> id; ids come before paths from root, these before names with extensions."""
        names = {f"{name}{path.suffix}": name for name, path in images.items()}
        return names | {self._from_root(path): name for name, path in images.items()} | {name: name for name in images}

    def _unknown(self, line: str, where: str) -> UserError:
        name, path = min(self._images.items())
        return UserError(
            f"{where} names '{line}', which is no image, or no image and mask, of the dataset; expected an id such as "
            f"'{name}', or a path from dataset.root such as '{self._from_root(path)}', or such a path and that of a "
            f"mask; mend the line, or dataset.images, or give in dataset.prefix what to drop from paths (now "
            f"'{self._prefix}')"
        )


def _check_splits(lists: Mapping[str, str]) -> None:
    if not lists or any(split not in PARTS for split in lists):
        raise UserError(
            f"dataset.lists has {', '.join(map(str, lists)) or 'nothing'}; expected a text file below dataset.root for "
            "each of train, val and test, or some of them, such as {train: train.txt, test: test.txt}"
        )


def _lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yields where each line that is not blank stands, and the line."""
    try:
        lines = text_of(path, encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(
            f"the list '{path}' cannot be read: {error.strerror}; expected a text file in UTF-8, a sample a line; mend "
            "dataset.lists, whose paths begin at dataset.root"
        ) from error
    if not any(line.strip() for line in lines):
        raise UserError(
            f"the list '{path}' names no sample; expected one a line; fill it, or drop it from dataset.lists"
        )
    yield from ((f"'{path}', line {n},", line.strip()) for n, line in enumerate(lines, 1) if line.strip())
