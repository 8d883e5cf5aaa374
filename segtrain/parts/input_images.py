"""A file of the user's as images for a model, read as the run's training read its own. Without torch."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from segtrain.data.files.large_tiff import LargeTiff, pages_and_pixels
from segtrain.data.files.nifti import open_nifti
from segtrain.data.files.pixels import Picture, read_header, read_picture, with_channels
from segtrain.data.files.scans import Recent, Scan, ScanIntensity, depth, spacing
from segtrain.data.files.tiff_pages import SUFFIXES, read_page_layout, read_pixels
from segtrain.data.files.tiff_tags import NODATA, read_tags
from segtrain.data.pixel_meaning import PixelMeaning, Span, require_fit, span_of
from segtrain.errors import UserError
from segtrain.parts.computed_size import Computable
from segtrain.spread import spread

Array = np.ndarray[Any, Any]

KINDS = ("uint8", "uint16", "float32")  # of pixels, as datasets give them
LARGE = 4096 * 4096  # pixels beyond which a TIFF is not read whole
MOST_ROWS = 256  # of a TIFF that is not read whole, those in its middle whose values are compared with the training's
MOST_PAGES = 5  # of a stack or scan, evenly spread, whose values are
NIFTI = (".nii", ".nii.gz")
CONVERTING = ("Coco", "Csv", "Folder", "HuggingFace", "Instances")  # where dataset.channels repeats grey, or makes it


# Source: GeoTIFF 1.1 (OGC 19-008r4): ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory,
# GeoDoubleParams and GeoAsciiParams; and RPCCoefficient, of images that are not rectified.
GEOREFERENCE = (33550, 33922, 34264, 34735, 34736, 34737, 50844)
GEO_KEYS, ORIENTATION = 34735, 274
ASCII, SHORT, DOUBLE = 2, 3, 12  # types of a TIFF's tags
ExtraTag = tuple[int, int, int, Any, bool]  # as tifffile writes it: number, type, count, value, on the first page only


Missing = Callable[[int, int, int], Array | None]


class Opened(NamedTuple):
    """A file: `rows(page, top, end)` gives (rows, W, C) of one of its pages."""

    kind: Literal["image", "large", "stack", "volume"]
    pages: int
    height: int
    width: int
    rows: Callable[[int, int, int], Array]
    scan: Scan | None = None  # of a volume
    axis: int = 2
    missing: Missing = lambda page, top, end: None  # where (rows, W) these hold nothing, by the file's nodata value
    georeference: tuple[ExtraTag, ...] = ()  # of a GeoTIFF: its tags that say where on the ground its pixels lie
    has_nodata: bool = False
    stored: str | None = None  # dtype that a scan's values have in the file, where a model of pictures is to see them
    spans: Sequence[Span] = ()  # of what was looked at to compare it with the training; empty where that is not known


class Images:
    """Opens files for a model of so many channels."""

    def __init__(
        self,
        reading: dict[str, Any],
        channels: int,
        axis: int | None = None,
        pages: str | None = None,
        pixels: Sequence[PixelMeaning] = (),
        computable: Computable | None = None,
    ) -> None:
        """Keep the choices.

        Args:
            reading: `kind`, the class of the run's dataset, and its options about pixels.
            channels: of an image.
            axis: along which a volume is cut, see `Volume`; None: as the run's dataset, else 2.
            pages: what the pages of a TIFF are, "channels" or "samples"; None: as the run's dataset, else samples.
            pixels: what the images of each network's training were, which a file must fit; empty: any will do.
            computable: which sizes may be computed, asked before pixels are decoded; None: any.
        """
        if axis not in (None, 0, 1, 2):
            raise UserError(f"axis is {axis!r}; expected 0 sagittal, 1 coronal, 2 axial, or null: as the run's dataset")
        if pages not in (None, "channels", "samples"):
            raise UserError(f"pages is {pages!r}; expected channels, samples, or null: as the run's dataset")
        self._kind, self._options, self._channels = reading.get("kind"), reading, channels
        self._axis = reading.get("axis", 2) if axis is None else axis
        self._pages = reading.get("pages") if pages is None else pages
        self._pixels, self._computable = tuple(pixels), computable

    def open(self, path: Path) -> Opened:
        """Returns the file, by its ending; pixels of large TIFFs are not read yet, but for some rows in the middle.

        Raises:
            UserError: it cannot be read, or does not hold what the model takes, see `PixelMeaning.misfit`.
        """
        opened = self._opened(path)
        if not self._pixels:
            return opened
        top = 0 if opened.kind != "large" else max(0, opened.height - MOST_ROWS) // 2
        end = opened.height if opened.kind != "large" else top + MOST_ROWS
        pages = spread(range(opened.pages), MOST_PAGES)[::-1]  # so that the first is read last, and held
        spans = [span_of(opened.rows(page, top, min(end, opened.height))) for page in pages]
        if opened.stored in KINDS:  # rows of a scan are float32, whatever it holds
            spans = [span._replace(dtype=opened.stored) for span in spans]
        sizes = [spacing(opened.scan.grid, opened.axis)] if opened.scan is not None else []
        require_fit(self._pixels, spans, f"'{path}'", sizes)
        return opened._replace(spans=spans)

    def _opened(self, path: Path) -> Opened:
        name = path.name.lower()
        if name.endswith(NIFTI):
            return self._volume(path)
        if self._kind == "Volume":
            raise UserError(
                f"'{path}' is no NIfTI file; expected .nii or .nii.gz: the model was trained on slices of scans, whose "
                "values a picture does not hold; give the scan"
            )
        return self._tiff(path) if name.endswith(SUFFIXES) else self._image(path)

    def _require(self, path: Path, height: int, width: int, is_by_rows: bool = False) -> None:
        if self._computable is not None:
            self._computable.require(path, (height, width), is_by_rows)

    def _image(self, path: Path) -> Opened:
        if self._computable is not None:
            header = read_header(path)
            self._require(path, header.height, header.width)
        image, missing = self._fitting(read_picture(path), path)
        opened = Opened("image", 1, image.shape[0], image.shape[1], lambda _, top, end: image[top:end])
        return _with_tags(opened, path, lambda _, top, end: None if missing is None else missing[top:end])

    def _tiff(self, path: Path) -> Opened:
        pages, pixels = pages_and_pixels(path)
        if pages == 1 and pixels > LARGE:
            return self._large(path)
        return self._image(path) if pages == 1 and self._kind != "Tiff" else self._pages_of(path)

    def _large(self, path: Path) -> Opened:
        large = LargeTiff(path, drops_alpha=self._kind != "Tiff")
        self._require(path, large.height, large.width, is_by_rows=True)
        self._fit(large.rows(0, 1), path)

        def rows(_: int, top: int, end: int) -> Array:
            return self._fit(large.rows(top, end), path)

        opened = Opened("large", 1, large.height, large.width, rows)
        return _with_tags(opened, path, lambda _, top, end: large.picture(top, end).missing)

    def _pages_of(self, path: Path) -> Opened:
        layout, meant = read_page_layout(path, self._pages or "samples"), self._pages or "samples"
        self._require(path, layout.height, layout.width)
        held: dict[int, Picture] = {}  # the page that was read last

        def whole(page: int) -> Picture:
            if page not in held:
                held.clear()
                held[page] = self._fitting(read_pixels(path, meant, page), path)
            return held[page]

        def missing(page: int, top: int, end: int) -> Array | None:
            where = whole(page).missing
            return None if where is None else where[top:end]

        whole(0)
        kind: Literal["image", "stack"] = "stack" if layout.samples > 1 else "image"
        sizes = layout.samples, layout.height, layout.width
        return _with_tags(Opened(kind, *sizes, lambda page, top, end: whole(page).pixels[top:end]), path, missing)

    def _volume(self, path: Path) -> Opened:
        scan, options = open_nifti(path), self._options if self._kind == "Volume" else {}
        if scan.channels != self._channels:
            raise UserError(
                f"'{path}' has {scan.channels} channels; expected {self._channels}, as the model was trained with; "
                "several scans of a patient go into one file as a fourth axis"
            )
        for size in itertools.combinations(sorted(scan.grid.shape), 2):  # whichever way it is cut
            self._require(path, *size)
        ranges = options.get("window"), options.get("normalise"), options.get("percentiles", (0.5, 99.5))
        recent, axis = Recent(1), self._axis
        intensity = ScanIntensity(*ranges, recent)
        held: dict[int, Array] = {}

        def rows(page: int, top: int, end: int) -> Array:
            if page not in held:
                held.clear()
                held[page] = intensity.image(scan, axis, page)
            return held[page][top:end]

        height, width = rows(0, 0, 2**31).shape[:2]
        opened = Opened("volume", depth(scan.grid, axis), height, width, rows, scan, axis)
        is_plain = self._kind != "Volume" and (scan.slope, scan.intercept) == (1, 0)
        return opened._replace(stored=recent.load(scan).dtype.name) if is_plain else opened

    def _fitting(self, picture: Picture, path: Path) -> Picture:
        return picture._replace(pixels=self._fit(picture.pixels, path))

    def _fit(self, image: Array, path: Path) -> Array:
        """The channels that training took."""
        taken = self._options.get("channels")
        if isinstance(taken, list):
            if max(taken) >= image.shape[2]:
                raise UserError(
                    f"'{path}' has {image.shape[2]} channels; expected {max(taken) + 1} or more: the run took channels "
                    f"{taken}; give images of that kind"
                )
            image = image[..., taken]
        elif self._kind in CONVERTING and taken in (1, 3) and image.shape[2] in (1, 3):
            image = with_channels(image, taken)
        return checked(image, self._channels, f"'{path}'")


def _with_tags(opened: Opened, path: Path, missing: Missing) -> Opened:
    """The file with where it holds nothing, and the georeference of a TIFF, as it is to be written again.

    A file whose first row is not on top has no georeference: its pixels are turned on reading, and would not fit it.
    """
    tags = read_tags(path)
    known = [code for code in GEOREFERENCE if code in tags and tags.get(ORIENTATION, 1) == 1]
    return opened._replace(
        missing=missing if NODATA in tags else opened.missing,
        georeference=tuple(_extra(code, tags[code]) for code in known),
        has_nodata=NODATA in tags,
    )


def _extra(code: int, value: Any) -> ExtraTag:
    """A tag as tifffile writes it: text, keys of 16 bits, or floating numbers."""
    if isinstance(value, str):
        return code, ASCII, 0, value.encode("latin-1"), False
    values = value if isinstance(value, tuple) else (value,)
    return code, SHORT if code == GEO_KEYS else DOUBLE, len(values), values, False


def checked(image: Array, channels: int, name: str) -> Array:
    """The image as (H, W, C).

    Raises:
        UserError: not such an array, pixels that are no finite number, or another number of channels.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype.name not in KINDS:
        raise UserError(
            f"{name} is {image.dtype.name} of shape {image.shape}; expected (H, W) or (H, W, C) of {', '.join(KINDS)}, "
            "as the training's images were stored; convert it to one of these"
        )
    image = image[..., None] if image.ndim == 2 else image
    if image.shape[2] != channels:
        raise UserError(
            f"{name} has {image.shape[2]} channels; expected {channels}, as the model was trained with; give images "
            "of that kind, or train a model for these"
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise UserError(f"{name} holds pixels that are no finite number; expected numbers; replace NaN and infinity")
    return image
