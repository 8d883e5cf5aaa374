"""Reads a folder of TIFF images of any number of channels, and a folder of masks."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import refuse_depths
from segtrain.data.files.digest import MOST_VALUES, Hashes, digest, hashes_of_files, hashes_of_pixels
from segtrain.data.files.extras import need
from segtrain.data.files.label_coding import Code, Coding
from segtrain.data.files.pairs import Pair, find_file_sides, find_left_out, pair_files
from segtrain.data.files.pixels import Picture
from segtrain.data.files.samples import Pixels
from segtrain.data.files.tiff_pages import PAGES, PageLayout, read_codes, read_page_layout, read_pixels
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError, is_noting


class _Sample(NamedTuple):
    """Holds one sample: the pair of files, and which of their samples it is."""

    id: str
    pair: Pair
    number: int


class Tiff:
    """Reads multispectral and microscopy images: 8 and 16 bits, float32, n channels, several pages; pairs as `Folder`.

    `ids` are paths without extension from the images folder, with /page_0000 and so on behind where pages are samples;
    these have their file as their group. PNG, JPEG and BMP files beside TIFF are read as `Folder` reads them.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Mapping[str, Code | Sequence[Code]],
        images: str = "images",
        masks: str = "masks",
        channels: Sequence[int] | None = None,
        pages: str = "channels",
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        tolerance: int | None = None,
        orphans: str | None = None,
    ) -> None:
        """Finds and pairs the files; the tags of all are read, their pixels are not.

        Args:
            root: folder of the data, from the current directory when relative.
            classes: name -> value in the mask, 0..65535, or colour "#rrggbb", or a list of either, in label order.
            images: folder of images below root, or a pattern with {id} (`find_file_sides`).
            masks: the same of masks.
            channels: which channels are taken, from 0, in this order; None: all.
            pages: what the pages of a file are: "channels", or "samples", with a mask page each.
            ignore_value: value, colour or list of them in the mask that becomes `ignore_index`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the masks' own colours, or chooses some.
            tolerance: levels by which a value in the mask, of a colour each channel, may be off that of the nearest
                class, as in JPEG; None: none.
            orphans: "leave_out" goes on without files that have no partner, which `left_out` names; None refuses them.

        Raises:
            UserError: the pairing fails, a file is broken, files differ in size, pages, channels or depth, or arguments
                do not fit.
        """
        need("tifffile", "tiff")
        if pages not in PAGES:
            raise UserError(f"dataset.pages is {pages!r}; expected one of {', '.join(PAGES)}")
        self._root, self._pages = Path(root).expanduser(), pages
        self._coding = Coding(classes, ignore_value, palette, tolerance)
        self.classes, self.palette = self._coding.names, self._coding.palette
        sides = find_file_sides(self._root, images, masks)
        self.left_out = find_left_out(sides, orphans)
        self._pairs = sorted(pair for piece in sides for pair in pair_files(piece, orphans))
        if not self._pairs:
            raise UserError(
                f"no image below '{self._root}' has a mask; expected a mask of the same name for each; correct "
                "dataset.images and dataset.masks"
            )
        layouts = [_known(pair, pages) if is_noting() else _checked(pair, pages) for pair in self._pairs]
        self._stored = _same_channels(self._pairs, layouts)
        refuse_depths([(str(p.image), one.dtype) for p, one in zip(self._pairs, layouts, strict=True) if one.channels])
        self._taken = _checked_channels(channels, self._stored, self._pairs[0].image)
        self.channels = len(self._taken)
        samples = [
            _Sample(f"{pair.id}/page_{number:04d}" if pages == "samples" else pair.id, pair, number)
            for pair, layout in zip(self._pairs, layouts, strict=True)
            for number in range(layout.samples)
        ]
        self._samples = sorted(samples)
        self.ids: tuple[str, ...] = tuple(sample.id for sample in self._samples)
        self.splits: tuple[str | None, ...] = tuple(sample.pair.split for sample in self._samples)
        self.groups = tuple(sample.pair.id for sample in self._samples) if pages == "samples" else None
        self._values = sum(layout.samples * layout.height * layout.width * layout.channels for layout in layouts)
        self._meaning = (dict(classes), ignore_value, self._taken, pages, *self._coding.meaning)
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, or the mask holds what is no class.
        """
        _, pair, number = self._samples[index]
        image, missing = self._picture(index)
        codes, unlabelled = read_codes(pair.mask, self._pages, number, self._coding.in_colour)
        labels = self._coding.labels(np.ascontiguousarray(codes), pair.mask, unlabelled)
        return sample_of(image, labels, missing, self.ids[index])

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the choices, and names and contents of all files."""
        files = (path for pair in self._pairs for path in (pair.image, pair.mask))
        return digest(self._root, files, *self._meaning, keep=self._contents)

    def hashes(self) -> Hashes:
        """Returns a hash of each image: of its file's content, from the fingerprint's pass; of a page its pixels'.

        Of more than `MOST_VALUES` values in pages not the pixels', but file and number: whole copies of a file are
        found then, single pages in several are not.
        """
        return self._hashes

    def files(self, index: int) -> list[Path]:
        """Returns the files of `ids[index]`: image and mask."""
        return [self._samples[index].pair.image, self._samples[index].pair.mask]

    def _image(self, index: int) -> Pixels:
        return self._picture(index).pixels

    def _picture(self, index: int) -> Picture:
        _, pair, number = self._samples[index]
        image, missing = read_pixels(pair.image, self._pages, number)
        whole = self._taken == list(range(self._stored))
        return Picture(image if whole else np.ascontiguousarray(image[..., self._taken]), missing)

    @cached_property
    def _hashes(self) -> Hashes:
        if self._pages == "channels":
            return hashes_of_files([sample.pair.image for sample in self._samples], self._contents, self._image)
        if self._values <= MOST_VALUES:
            return hashes_of_pixels(self._image, len(self.ids))
        if not self._contents:
            self.fingerprint()
        return [self._contents[pair.image] + number.to_bytes(4) for _, pair, number in self._samples]


def _checked(pair: Pair, pages: str) -> PageLayout:
    """Returns the layout of the image, which the mask has too."""
    image, mask = read_page_layout(pair.image, pages), read_page_layout(pair.mask, pages, of_mask=True)
    if image[:3] != mask[:3]:
        shown = [f"{one.samples} of {one.width} x {one.height} pixels" for one in (image, mask)]
        raise UserError(
            f"mask '{pair.mask}' does not fit its image '{pair.image}'; expected as many samples of the same size: "
            f"{shown[0]}; got {shown[1]}; restore the mask, or give dataset.pages as the files have it"
        )
    return image


def _known(pair: Pair, pages: str) -> PageLayout:
    """Returns the image's layout, as far as an audit that looks on can have it; reading tells it why.

    Of a broken image that of the mask, without channels; of both one sample.
    """
    with suppress(UserError):
        return read_page_layout(pair.image, pages)
    with suppress(UserError):
        return read_page_layout(pair.mask, pages)._replace(channels=0)
    return PageLayout(1, 0, 0, 0)


def _same_channels(pairs: Sequence[Pair], layouts: Sequence[PageLayout]) -> int:
    known = [(pair, layout.channels) for pair, layout in zip(pairs, layouts, strict=True) if layout.channels]
    if not known:  # only while an audit looks on
        read_page_layout(pairs[0].image, PAGES[0])  # says why
    first, stored = known[0]
    for pair, channels in known:
        if channels != stored:
            raise UserError(
                f"image '{pair.image}' has {channels} channels; expected {stored} as "
                f"'{first.image}' has; move it away, or give dataset.pages=samples where pages are samples"
            )
    return stored


def _checked_channels(channels: Sequence[int] | None, stored: int, first: Path) -> list[int]:
    taken = list(range(stored)) if channels is None else channels
    listed = isinstance(taken, Sequence) and not isinstance(taken, str)
    if not listed or not taken or not all(type(n) is int and 0 <= n < stored for n in taken):
        raise UserError(
            f"dataset.channels is {channels!r}; expected a list of numbers from 0 to {stored - 1}, as '{first}' has "
            f"{stored} channels, or null for all"
        )
    return list(taken)
