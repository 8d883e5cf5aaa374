"""Makes one sample of several, for plain label masks: pastes a rare class, cuts a box in, or joins four tiles.

Members of a Policy, not albumentations transforms: they need other samples. Each draws which ones, and everything
else, from the sample's own generator; pixels are copied, and only a scaled paste interpolates.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np

from segtrain.aug.exact import move_pixels
from segtrain.aug.geometry import Geometry, GeometryDraw
from segtrain.aug.transforms import as_json, require_chances
from segtrain.errors import UserError

Point = tuple[float, float]  # fractions (y, x) of the room there is
Pair = tuple[np.ndarray, np.ndarray]


class Partners:
    """Holds the samples to draw partners from: those of the training split, and no others.

    A draw is a position in `indices`, so that it can be printed and applied again; `read` gives its pixels.
    """

    def __init__(self, read: Callable[[int], Any], indices: Sequence[int], ignore_index: int = 255) -> None:
        """Takes partners among `indices`; `read(index)` gives image (H, W, C) and mask (H, W)."""
        self.read, self.indices, self.ignore_index = read, [int(i) for i in indices], ignore_index
        if not self.indices:
            raise UserError("there is no other sample to mix with; expected at least one index; got none")

    def draw(self, rng: np.random.Generator, without: int | None = None) -> int:
        """Returns a sample's index, each as likely; `without` only where there is no other."""
        return _one_of(self.indices, rng, without)

    def draw_rare(self, rng: np.random.Generator, without: int | None = None) -> tuple[int, int]:
        """Returns a class, with chance in inverse proportion to its pixels, and the index of a sample that holds it.

        The commonest class (the background) is left out. The first call reads every mask once.

        Raises:
            UserError: there is but one class in all the masks.
        """
        labels, chances = self._rarity
        label = labels[int(np.searchsorted(np.cumsum(chances)[:-1], rng.random(), side="right"))]
        return label, _one_of(self.holders[label], rng, without)

    def survey(self) -> None:
        """Reads every mask now: before loader processes start, which then inherit what was found."""
        _ = self._survey

    @functools.cached_property
    def _rarity(self) -> tuple[list[int], np.ndarray]:
        """Returns the labels but the commonest, ascending, and the chance of each."""
        common = max(self.pixels, key=lambda label: self.pixels[label], default=None)
        labels = sorted(label for label in self.pixels if label != common)
        if not labels:
            raise UserError(
                f"class-aware mixing needs a class beside the commonest; the {len(self.indices)} training masks hold "
                f"the labels {sorted(self.pixels)} only; use another policy, or look at the masks"
            )
        weights = np.array([1 / self.pixels[label] for label in labels])
        return labels, weights / weights.sum()

    @property
    def holders(self) -> Mapping[int, list[int]]:
        """Returns the samples that hold each label."""
        return self._survey[0]

    @property
    def pixels(self) -> Mapping[int, int]:
        """Returns the pixels of each label over all samples."""
        return self._survey[1]

    @functools.cached_property
    def _survey(self) -> tuple[dict[int, list[int]], dict[int, int]]:
        holders: dict[int, list[int]] = {}
        pixels: dict[int, int] = {}
        for index in self.indices:
            counts = np.bincount(self.read(index)[1].ravel(), minlength=self.ignore_index + 1)
            counts[self.ignore_index] = 0
            for label in np.flatnonzero(counts).tolist():
                holders.setdefault(label, []).append(index)
                pixels[label] = pixels.get(label, 0) + int(counts[label])
        return holders, pixels


def _one_of(indices: Sequence[int], rng: np.random.Generator, without: int | None) -> int:
    """Returns one of the indices, each as likely, by one random number, whether `without` is among them or not."""
    u = rng.random()
    others = len(indices) - (without in indices)
    if others == 0 or others == len(indices):
        return indices[int(u * len(indices))]
    position = int(u * others)
    return indices[position + (position >= indices.index(without))]


class CopyPasteDraw(NamedTuple):
    """Says what is pasted, from where, and how it is moved before."""

    label: int
    partner: int  # index of the sample
    hflip: bool
    scale: float  # octaves
    translate: Point  # % of width, of height
    at: Point  # where in a larger, or beside a smaller, partner

    def to_json(self) -> dict[str, Any]:
        """Returns the draw as a JSON-ready dict."""
        return as_json(self)


class CopyPaste:
    """Pastes all pixels of one rare class of another sample; the class is drawn first, then who holds it.

    Source: Ghiasi et al. 2021, Simple Copy-Paste, arXiv 2012.07177 (mirror and scale of what is pasted, hard edges);
    the class with chance in inverse proportion to its pixels, in the spirit of the rare class sampling of
    Hoyer et al. 2022, arXiv 2111.14887.
    """

    needs_partner: ClassVar[bool] = True
    needs_survey: ClassVar[bool] = True  # of which sample holds which class

    def __init__(
        self, hflip: float = 0.5, scale: float = 0.5, translate: float = 10.0, ignore_index: int = 255, p: float = 0.5
    ) -> None:
        """Checks the numbers.

        Args:
            hflip: chance of mirroring what is pasted.
            scale: octaves, uniform in ± this.
            translate: % of each side, uniform in ± this.
            ignore_index: label of mask pixels from outside; never pasted.
            p: chance of the whole.
        """
        require_chances("CopyPaste", {}, (), hflip=hflip, p=p)
        if scale < 0 or translate < 0:
            raise UserError(f"CopyPaste.scale and translate are half-ranges ≥ 0; got {scale} and {translate}")
        self.hflip, self.scale, self.translate = hflip, scale, translate
        self.ignore_index, self.p = ignore_index, p

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], partners: Partners, index: int | None
    ) -> CopyPasteDraw:
        """Returns what to paste into the sample `index` of `shape`."""
        u = rng.random(6).tolist()
        label, partner = partners.draw_rare(rng, index)
        return CopyPasteDraw(
            label=label,
            partner=partner,
            hflip=u[0] < self.hflip,
            scale=self.scale * (2 * u[1] - 1),
            translate=(self.translate * (2 * u[2] - 1), self.translate * (2 * u[3] - 1)),
            at=(u[4], u[5]),
        )

    def act(self, image: np.ndarray, mask: np.ndarray, draw: CopyPasteDraw, partners: Partners) -> Pair:
        """Returns a new image and mask with the paste."""
        other, labels = _like(partners, draw.partner, image)
        moved = GeometryDraw(
            shape=(labels.shape[0], labels.shape[1]),
            turns=0,
            hflip=draw.hflip,
            vflip=False,
            rotate=0.0,
            scale=draw.scale,
            shear=(0.0, 0.0),
            translate=draw.translate,
            elastic=0.0,
            elastic_length=0.0,
            lattice=None,
        )
        other, labels = Geometry().act(other, labels, moved, None, self.ignore_index)
        other, labels = _window(other, labels, mask.shape, draw.at, self.ignore_index)
        pasted = labels == draw.label
        image, mask = image.copy(), mask.copy()
        image[pasted], mask[pasted] = other[pasted], draw.label
        return image, mask


class CutMixDraw(NamedTuple):
    """Says which sample it is, and which box of the image becomes its."""

    partner: int
    box: tuple[int, int, int, int]  # top, left, bottom, right
    at: Point

    def to_json(self) -> dict[str, Any]:
        """Returns the draw as a JSON-ready dict."""
        return as_json(self)


class CutMix:
    """Replaces a box of image and mask by another sample's; its area is uniform between nothing and all.

    Source: Yun et al. 2019, arXiv 1905.04899, with alpha = 1; for label masks French et al. 2020, arXiv 1906.01916.
    """

    needs_partner: ClassVar[bool] = True

    def __init__(self, ignore_index: int = 255, p: float = 0.5) -> None:
        """Takes the chance `p` of the whole and the label `ignore_index` where the other sample is smaller."""
        require_chances("CutMix", {}, (), p=p)
        self.ignore_index, self.p = ignore_index, p

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], partners: Partners, index: int | None
    ) -> CutMixDraw:
        """Returns the box for the sample `index` of `shape`: centre uniform, cut at the border."""
        area, y, x, u, v = rng.random(5).tolist()
        height, width = shape[0] * math.sqrt(area), shape[1] * math.sqrt(area)
        top, left = shape[0] * y - height / 2, shape[1] * x - width / 2
        edges = max(0, top), max(0, left), min(shape[0], top + height), min(shape[1], left + width)
        return CutMixDraw(partners.draw(rng, index), tuple(map(round, edges)), (u, v))

    def act(self, image: np.ndarray, mask: np.ndarray, draw: CutMixDraw, partners: Partners) -> Pair:
        """Returns a new image and mask with the box."""
        pair = _like(partners, draw.partner, image)
        other, labels = _window(*pair, mask.shape, draw.at, self.ignore_index)
        top, left, bottom, right = draw.box
        inside = slice(top, bottom), slice(left, right)
        image, mask = image.copy(), mask.copy()
        image[inside], mask[inside] = other[inside], labels[inside]
        return image, mask


class MosaicDraw(NamedTuple):
    """Says which samples meet where."""

    partners: tuple[int, int, int]
    centre: tuple[int, int]  # (y, x) pixel at which the four tiles meet
    own: int  # tile of the sample itself: 0..3 by row
    at: tuple[Point, Point, Point, Point]  # where in its sample each tile lies

    def to_json(self) -> dict[str, Any]:
        """Returns the draw as a JSON-ready dict."""
        return as_json(self)


class Mosaic:
    """Joins four tiles of four samples, at their own resolution, which meet at a drawn point of the middle half.

    Source: Bochkovskiy et al. 2020, YOLOv4, arXiv 2004.10934, without its rescaling.
    """

    needs_partner: ClassVar[bool] = True

    def __init__(self, ignore_index: int = 255, p: float = 0.5) -> None:
        """Takes the chance `p` of the whole and the label `ignore_index` where a sample is smaller than its tile."""
        require_chances("Mosaic", {}, (), p=p)
        self.ignore_index, self.p = ignore_index, p

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, ...], partners: Partners, index: int | None
    ) -> MosaicDraw:
        """Returns the tiles of the sample `index` of `shape`."""
        u = rng.random(11).tolist()
        others = tuple(partners.draw(rng, index) for _ in range(3))
        centre = round(shape[0] * (0.25 + u[0] / 2)), round(shape[1] * (0.25 + u[1] / 2))
        at = tuple((u[3 + 2 * i], u[4 + 2 * i]) for i in range(4))
        return MosaicDraw(others, centre, int(4 * u[2]), at)  # type: ignore[arg-type]  # three, four

    def act(self, image: np.ndarray, mask: np.ndarray, draw: MosaicDraw, partners: Partners) -> Pair:
        """Returns a new image and mask of the tiles."""
        (height, width), (y, x) = mask.shape, draw.centre
        pairs = [_like(partners, partner, image) for partner in draw.partners]
        pairs.insert(draw.own, (image, mask))
        image, mask = np.empty_like(image), np.empty_like(mask)
        corners = (0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width)
        for pair, at, (top, left, bottom, right) in zip(pairs, draw.at, corners, strict=True):
            tile = _window(*pair, (bottom - top, right - left), at, self.ignore_index)
            image[top:bottom, left:right], mask[top:bottom, left:right] = tile
        return image, mask


def _like(partners: Partners, index: int, image: np.ndarray) -> Pair:
    """Returns the partner's pair.

    Raises:
        UserError: its channels or dtype are not those of the image.
    """
    other, labels = partners.read(index)
    if other.shape[2] != image.shape[2] or other.dtype != image.dtype:
        raise UserError(
            f"samples can be mixed only with their like; expected sample {index} with {image.shape[2]} channels of "
            f"{image.dtype}; got {other.shape[2]} of {other.dtype}; convert the data to one form"
        )
    return other, labels


def _window(image: np.ndarray, mask: np.ndarray, size: tuple[int, ...], at: Point, ignore_index: int) -> Pair:
    """Returns a window of `size` (h, w): in a larger pair, or around a smaller one, reflected and ignored outside."""
    top, left = (int(u * (abs(room) + 1)) for u, room in zip(at, np.subtract(mask.shape, size).tolist(), strict=True))
    top = top if mask.shape[0] >= size[0] else -top
    left = left if mask.shape[1] >= size[1] else -left
    window = top, left, size[0], size[1]
    moved = move_pixels(image, 0, False, False, window, cv2.BORDER_REFLECT_101, 0)
    return moved, move_pixels(mask, 0, False, False, window, cv2.BORDER_CONSTANT, ignore_index)
