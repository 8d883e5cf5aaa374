"""Writes what predict makes of a file, each output whole and the labels last, and keeps the table of what is done."""

import csv
import gzip
import io
import re
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
from segtrain.errors import UserError
from segtrain.files import append_whole, changed, make_own, part, put, require_regular, text_of, to_disk, write_whole
from segtrain.parts.input_images import InputFile
from segtrain.runs.metrics_csv import unquoted, written_text

Array = np.ndarray[Any, Any]
RGB = tuple[int, int, int]

MOST_OVERLAY = 4096  # pixels a side of an overlay: of larger images every n-th is shown
WRITTEN = "this output is written with"  # a package of an extra
FULL = 65535  # what probability 1 becomes in 16 bits

TABLE = "predicted.csv"
COLUMNS = ("name", "input", "bytes", "changed_ns", "made_by", "outputs")
APART = "|"  # between outputs
# In a name: what ends a line, or is no text, or stands between names. It is written as \uXXXX.
ESCAPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff|]|\\(?=u)")


class Wanted(NamedTuple):
    """Says what is written beside labels, and what the labels mean."""

    overlay: bool
    probabilities: str | None  # tiff, npz
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    ignore_index: int


class Band(NamedTuple):
    """Holds rows of a page from `top`: labels (rows, W) uint8, and functions for what is not always wanted."""

    page: int
    top: int
    labels: Array
    probabilities: Callable[[], Array]  # (K, rows, W) float32
    image: Callable[[], Array]  # (rows, W, C)


Put = Callable[[Band], object]


def paths_of(stem: Path, opened: InputFile, source: Path, wanted: Wanted) -> dict[str, Path]:
    """Returns where labels, overlay and probabilities go; of a scan with its ending, of a GeoTIFF as one."""
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
def open_outputs(paths: dict[str, Path], opened: InputFile, wanted: Wanted) -> Iterator[Put]:
    """Takes band after band in the block; the files are there when it ends, and none that is half.

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


def _labels(path: Path, opened: InputFile, wanted: Wanted) -> Any:
    if opened.kind == "image" and not opened.georeference:
        return _png_labels(path, opened, wanted.palette)
    if opened.kind == "volume":
        return _nifti_labels(path, opened)
    colours = np.array(_colours(wanted.palette), np.uint16).T * 257  # 8 to 16 bits: 255 becomes 65535
    shape = (opened.pages, opened.height, opened.width)
    tags = list(opened.georeference)
    if opened.has_nodata:
        tags.append((NODATA, 2, 0, str(wanted.ignore_index).encode(), False))
    options = {"photometric": "palette", "colormap": colours, "extratags": tags}
    return _tiff(path, shape, np.uint8, lambda band: [band.labels], **options)


@contextmanager
def _png_labels(path: Path, opened: InputFile, palette: Sequence[RGB]) -> Iterator[Put]:
    """Takes the labels of a PNG, whose numbers they are, shown in the classes' colours."""
    labels = np.zeros((opened.height, opened.width), np.uint8)

    def take(band: Band) -> None:
        labels[band.top : band.top + len(band.labels)] = band.labels

    yield take
    image = Image.fromarray(labels, "P")
    image.putpalette(np.array(_colours(palette), np.uint8).tobytes())
    write_whole(path, _encoded(image))


@contextmanager
def _nifti_labels(path: Path, opened: InputFile) -> Iterator[Put]:
    """Takes the labels of a NIfTI file on the grid of the scan, with its header's geometry."""
    assert opened.scan is not None
    nibabel, scan = need("nibabel", "medical", WRITTEN), opened.scan
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


def _probabilities(path: Path, opened: InputFile, wanted: Wanted) -> Any:
    """Takes probabilities (pages, K, H, W): of a TIFF 16 bits, p * 65535 rounded; of an npz file float32.

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
    """Takes an array `probabilities` (K, H, W), with pages before them where there are several, and `classes`."""
    held = np.zeros(shape, np.float32)

    def take(band: Band) -> None:
        held[band.page, :, band.top : band.top + len(band.labels)] = band.probabilities()

    yield take
    stream = io.BytesIO()
    np.savez_compressed(stream, probabilities=held if shape[0] > 1 else held[0], classes=np.array(classes))
    write_whole(path, stream.getvalue())


@contextmanager
def _overlay(path: Path, opened: InputFile, wanted: Wanted) -> Iterator[Put]:
    """Takes the image with the classes drawn over it; of several pages a TIFF of as many, else a PNG."""
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
    need("tifffile", "tiff", WRITTEN).imwrite(stream, np.stack(pages), photometric="rgb")
    write_whole(path, stream.getvalue())


@contextmanager
def _tiff(
    path: Path, shape: tuple[int, ...], kind: Any, take: Callable[[Band], list[Array]], **tags: Any
) -> Iterator[Put]:
    """Takes rows of an uncompressed TIFF (pages, [planes,] H, W), which go to their places as they come.

    `take` gives the rows of each plane.
    """
    tifffile = need("tifffile", "tiff", WRITTEN)
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
    """Returns the shape without a single page."""
    return shape[1:] if shape[0] == 1 else shape


def _colours(palette: Sequence[RGB]) -> list[RGB]:
    """Returns 256 colours: those of the classes, then grey."""
    return [*palette, *[(128, 128, 128)] * (256 - len(palette))]


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


class _Line(NamedTuple):
    """Holds one prediction: of which file in which state, by what, and the files that came out (below the folder)."""

    name: str
    input: str
    bytes: str
    changed_ns: str
    made_by: str  # digest of the model and of what changes its predictions
    outputs: str  # joined by APART


class DoneTable:
    """Keeps the table `predicted.csv` of a folder; it grows by whole lines, the last one about a name counts."""

    def __init__(self, folder: Path, made_by: str) -> None:
        """Reads what is there; `made_by` is the digest of this call."""
        self.folder, self._made_by = folder, made_by
        self._path = folder / TABLE
        self._is_cut = False  # the last line
        self._lines = {line.name: line for line in self._read()}
        self._mine = {output: line.name for line in self._lines.values() for output in line.outputs.split(APART)}

    def has(self, name: str, source: Path) -> bool:
        """Returns whether what was made of this file, as it is now, by the same model in the same way, is there."""
        line = self._lines.get(_escaped(name))
        if line is None or line[:-1] != self._line(name, source, [])[:-1]:
            return False
        return all((self.folder / _plain(output)).is_file() for output in line.outputs.split(APART))

    def require_free(self, name: str, outputs: list[Path]) -> None:
        """Raises UserError where an output would replace a file that predict has not made, or of another input."""
        for path in outputs:
            owner = self._mine.get(self._below(path))
            if path.exists() and owner != _escaped(name):
                raise self.taken(path, owner)

    def taken(self, path: Path, owner: str | None) -> UserError:
        """Returns what is said of an output that is of another input, or, of no owner, not predict's."""
        whose = "predict has not made it" if owner is None else f"is what predict made of '{owner}'"
        return UserError(
            f"'{path}' is there already, and {whose}; nothing was replaced; give another output=FOLDER, or move it away"
        )

    def begin(self) -> None:
        """Writes the table's head where it is not there, so that several processes only add lines."""
        make_own(self.folder)
        if not self._path.exists():
            append_whole(self._path, (",".join(COLUMNS) + "\n").encode())
        elif self._is_cut:
            append_whole(self._path, b"\n")
            self._is_cut = False

    def add(self, name: str, source: Path, outputs: list[Path]) -> None:
        """Notes that the outputs were made."""
        line = self._line(name, source, outputs)
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not self._path.exists():
            rows.writerow(COLUMNS)
        elif self._is_cut:
            text.write("\n")
            self._is_cut = False
        rows.writerow(map(written_text, line))
        append_whole(self._path, text.getvalue().encode())
        self._lines[line.name] = line
        self._mine |= {self._below(path): line.name for path in outputs}

    def _line(self, name: str, source: Path, outputs: list[Path]) -> _Line:
        status = source.stat()
        below = APART.join(self._below(path) for path in outputs)
        names = _escaped(name), _escaped(str(source.resolve()))
        return _Line(*names, str(status.st_size), str(status.st_mtime_ns), self._made_by, below)

    def _below(self, path: Path) -> str:
        return _escaped(path.relative_to(self.folder).as_posix())

    def _read(self) -> list[_Line]:
        """Returns the whole lines; a kill may have left half of one."""
        if not self._path.is_file():
            return []
        content = text_of(self._path)
        lines, self._is_cut = content.splitlines()[1:], not content.endswith("\n")
        rows = [row for line in lines for row in csv.reader([line]) if len(row) == len(COLUMNS)]
        return [_Line(*map(unquoted, row)) for row in rows]


def _escaped(name: str) -> str:
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", name)


def _plain(name: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), name)
