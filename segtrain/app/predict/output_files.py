"""What predict writes of a file: probabilities, an overlay, labels; each whole, the labels last."""

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from segtrain.data.files.extras import need
from segtrain.data.files.scans import plane
from segtrain.data.files.tiff_tags import NODATA
from segtrain.draw.pictures import overlay
from segtrain.files import changed, make_own, part, put, require_regular, to_disk, write_whole
from segtrain.parts.input_images import Opened

Array = np.ndarray[Any, Any]
RGB = tuple[int, int, int]

MOST_OVERLAY = 4096  # pixels a side of an overlay: of larger images every n-th is shown
FULL = 65535  # what probability 1 becomes in 16 bits


class Wanted(NamedTuple):
    """What is written beside labels, and what the labels mean."""

    overlay: bool
    probabilities: str | None  # tiff, npz
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    ignore_index: int


class Band(NamedTuple):
    """Rows of a page from `top`: labels (rows, W) uint8, and functions for what is not always wanted."""

    page: int
    top: int
    labels: Array
    probabilities: Callable[[], Array]  # (K, rows, W) float32
    image: Callable[[], Array]  # (rows, W, C)


Put = Callable[[Band], object]


def paths_of(stem: Path, opened: Opened, source: Path, wanted: Wanted) -> dict[str, Path]:
    """Where labels, overlay and probabilities go; of a scan with its ending, of a GeoTIFF as one."""
    plain = ".tif" if opened.georeference else ".png"
    ending = {"image": plain, "large": ".tif", "stack": ".tif"}.get(opened.kind)
    if ending is None:
        ending = ".nii.gz" if source.name.lower().endswith(".gz") else ".nii"
    found = {"labels": stem.with_name(stem.name + ending)}
    if wanted.overlay:
        found["overlay"] = stem.with_name(f"{stem.name}_overlay{'.tif' if opened.pages > 1 else '.png'}")
    if wanted.probabilities is not None:
        ending = ".tif" if wanted.probabilities == "tiff" else ".npz"
        found["probabilities"] = stem.with_name(f"{stem.name}_probabilities{ending}")
    return found


@contextmanager
def written(paths: dict[str, Path], opened: Opened, wanted: Wanted) -> Iterator[Put]:
    """Where the block puts band after band; the files are there when it ends, and none that is half.

    Raises:
        UserError: the disk does not take them.
    """
    make_own(paths["labels"].parent)
    with ExitStack() as stack:
        puts = [stack.enter_context(_labels(paths["labels"], opened, wanted))]
        if "overlay" in paths:
            puts.append(stack.enter_context(_overlay(paths["overlay"], opened, wanted)))
        if "probabilities" in paths:
            puts.append(stack.enter_context(_probabilities(paths["probabilities"], opened, wanted)))
        yield lambda band: [one(band) for one in puts]


def _labels(path: Path, opened: Opened, wanted: Wanted) -> Any:
    if opened.kind == "image" and not opened.georeference:
        return _png_labels(path, opened, wanted.palette)
    if opened.kind == "volume":
        return _nifti_labels(path, opened)
    colours = np.array(_table(wanted.palette), np.uint16).T * 257  # 8 to 16 bits: 255 becomes 65535
    shape = (opened.pages, opened.height, opened.width)
    tags = list(opened.georeference)
    if opened.has_nodata:
        tags.append((NODATA, 2, 0, str(wanted.ignore_index).encode(), False))
    options = {"photometric": "palette", "colormap": colours, "extratags": tags}
    return _tiff(path, shape, np.uint8, lambda band: [band.labels], **options)


@contextmanager
def _png_labels(path: Path, opened: Opened, palette: Sequence[RGB]) -> Iterator[Put]:
    """A PNG whose numbers are the labels, shown in the classes' colours."""
    labels = np.zeros((opened.height, opened.width), np.uint8)

    def take(band: Band) -> None:
        labels[band.top : band.top + len(band.labels)] = band.labels

    yield take
    image = Image.fromarray(labels, "P")
    image.putpalette(np.array(_table(palette), np.uint8).tobytes())
    write_whole(path, _encoded(image))


@contextmanager
def _nifti_labels(path: Path, opened: Opened) -> Iterator[Put]:
    """A NIfTI file on the grid of the scan, with its header's geometry."""
    assert opened.scan is not None
    nibabel, scan = need("nibabel", "medical"), opened.scan
    labels = np.zeros(scan.grid.shape, np.uint8)

    def take(band: Band) -> None:
        plane(labels, scan.grid, opened.axis, band.page)[band.top : band.top + len(band.labels)] = band.labels

    yield take
    require_regular(scan.files[0])
    source = nibabel.load(scan.files[0])
    kind = nibabel.Nifti2Image if isinstance(source, nibabel.Nifti2Image) else nibabel.Nifti1Image
    header = source.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    content = kind(labels, source.affine, header).to_bytes()
    write_whole(path, gzip.compress(content, 6, mtime=0) if path.name.lower().endswith(".gz") else content)


def _probabilities(path: Path, opened: Opened, wanted: Wanted) -> Any:
    """(pages, K, H, W): 16 bits in a TIFF, p * 65535 rounded; or float32 in an npz file.

    In the TIFF a class is a page, of a GeoTIFF a band, as programs for maps expect.
    """
    shape = (opened.pages, len(wanted.classes), opened.height, opened.width)
    if wanted.probabilities == "npz":
        return _npz(path, shape, wanted.classes)

    def take(band: Band) -> list[Array]:
        return list(np.rint(band.probabilities() * FULL).astype(np.uint16))

    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"classes": list(wanted.classes)}}
    if opened.georeference:
        options |= {"extratags": opened.georeference, "planarconfig": "separate"}
    return _tiff(path, shape, np.uint16, take, **options)


@contextmanager
def _npz(path: Path, shape: tuple[int, ...], classes: Sequence[str]) -> Iterator[Put]:
    """Arrays `probabilities` (K, H, W), with pages before them where there are several, and `classes`."""
    held = np.zeros(shape, np.float32)

    def take(band: Band) -> None:
        held[band.page, :, band.top : band.top + len(band.labels)] = band.probabilities()

    yield take
    stream = io.BytesIO()
    np.savez_compressed(stream, probabilities=held if shape[0] > 1 else held[0], classes=np.array(classes))
    write_whole(path, stream.getvalue())


@contextmanager
def _overlay(path: Path, opened: Opened, wanted: Wanted) -> Iterator[Put]:
    """The image with the classes drawn over it; of several pages a TIFF of as many, else a PNG."""
    step = -(-max(opened.height, opened.width) // MOST_OVERLAY)
    images: list[Array] = []
    labels: list[Array] = []
    pages: list[Array] = []

    def take(band: Band) -> None:
        first = -band.top % step  # the same rows and columns, wherever bands begin
        images.append(band.image()[first::step, ::step].copy())
        labels.append(band.labels[first::step, ::step].copy())
        if band.top + len(band.labels) == opened.height:
            pages.append(overlay(np.concatenate(images), np.concatenate(labels), wanted.palette, wanted.ignore_index))
            images.clear()
            labels.clear()

    yield take
    if opened.pages == 1:
        write_whole(path, _encoded(Image.fromarray(pages[0])))
        return
    stream = io.BytesIO()
    need("tifffile", "tiff").imwrite(stream, np.stack(pages), photometric="rgb")
    write_whole(path, stream.getvalue())


@contextmanager
def _tiff(
    path: Path, shape: tuple[int, ...], kind: Any, take: Callable[[Band], list[Array]], **tags: Any
) -> Iterator[Put]:
    """An uncompressed TIFF (pages, [planes,] H, W), whose rows go to their places as they come.

    `take` gives the rows of each plane.
    """
    tifffile = need("tifffile", "tiff")
    height, width = shape[-2:]
    planes, size = int(np.prod(shape[1:-2])), np.dtype(kind).itemsize
    with part(path) as temporary:
        start, _ = tifffile.imwrite(temporary, shape=_short(shape), dtype=kind, returnoffset=True, **tags)
        with changed(temporary) as file:

            def write(band: Band) -> None:
                for number, rows in enumerate(take(band)):
                    row = (band.page * planes + number) * height + band.top
                    file.seek(start + row * width * size)
                    file.write(np.ascontiguousarray(rows, kind).tobytes())

            yield write
            to_disk(file)
        put(temporary, path)


def _short(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without a single page."""
    return shape[1:] if shape[0] == 1 else shape


def _table(palette: Sequence[RGB]) -> list[RGB]:
    """256 colours: those of the classes, then grey."""
    return [*palette, *[(128, 128, 128)] * (256 - len(palette))]


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return stream.getvalue()
