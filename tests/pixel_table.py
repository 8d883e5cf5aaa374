"""Makes the table of docs/pixels.md: what predict and evaluate say of other pixels than a run was trained on.

`python scripts/pixel_table.py` writes it there, tests/data/files/test_pixel_table.py compares.
"""

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import nibabel
import numpy as np
import tifffile
from PIL import Image

from segtrain.__main__ import main
from segtrain.data.datasets.streamed import write_stream
from tests.conftest import SMALL
from tests.data.datasets.layouts import LAYOUTS, Made, stacks
from tests.data.made import InMemory

Pixels = np.ndarray[Any, Any]
DOC = Path(__file__).parents[1] / "docs" / "pixels.md"
BEGIN, END = "<!-- written by scripts/pixel_table.py -->\n", "<!-- until here -->\n"
SAME, STORED, REFUSED, LEFT_OUT, NONE = "right", "as stored", "refused", "left out", "–"
NODATA = 42113  # GDAL's tag
TRAINING = [o for o in SMALL if not o.startswith(("dataset", "trainer.max", "data.crop"))]
TRAINING += ["trainer.max_epochs=1", "data.crop=null", "name=table", "dataset.split.val=0.3", "dataset.split.test=0.3"]


class Row(NamedTuple):
    """A format as `LAYOUTS` names it, and what is made of 8-bit images before they are written."""

    layout: str
    base: Callable[[Pixels], Pixels] = lambda image: image
    shallower: Callable[[Pixels], Pixels] | None = None  # what another depth is, where it is not 16 bits for 8

    @property
    def in_pictures(self) -> bool:
        """Whether images are files as of `Folder`, or cells of such files."""
        return not self.layout.startswith(("tiff", "volume"))


ROWS = {name: Row(name) for name in LAYOUTS} | {
    "folder, 12 of 16 bits": Row("folder", lambda image: image.astype(np.uint16) * 16, lambda image: image),
    "tiff, float32": Row("tiff", lambda image: image.astype(np.float32), lambda image: image),
}


def deeper(row: Row, image: Pixels) -> Pixels:
    """The image in another depth: 16 bits that are filled, or the 8 bits of which it was made."""
    return row.shallower(image) if row.shallower else image.astype(np.uint16) * 257


def white_first(pixels: Pixels) -> bytes:
    """A TIFF that shows the same picture, its low values white."""
    white = 65535 if pixels.dtype == np.uint16 else 255
    return tiff((white - pixels).astype(pixels.dtype), photometric="miniswhite")


def with_nodata(pixels: Pixels, **tags: Any) -> bytes:
    """A GeoTIFF whose upper left holds nothing, and says so unless `tags` are others."""
    pixels = pixels.copy()
    pixels[..., :6, :6] = 0
    return tiff(pixels, **(tags or {"extratags": [(NODATA, "s", 2, "0", True)]}))


def tiff(pixels: Pixels, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **({"photometric": "minisblack"} | options))
    return file.getvalue()


def in_colour(pixels: Pixels) -> bytes:
    """A file of one or several pictures with one channel more than there were, or three for grey."""
    if pixels.ndim == 3:
        return tiff(np.concatenate([pixels, pixels[:1]]))
    return tiff(np.stack([pixels] * 3, 2), photometric="rgb")


def coloured_pages(pixels: Pixels) -> bytes:
    return tiff(np.stack([pixels] * 3, 3), photometric="rgb")


def scan(change: Callable[[Pixels], Pixels], side: float = 1) -> Callable[[Path], None]:
    """Writes a scan anew, with other voxels or of other size."""

    def write(path: Path) -> None:
        voxels = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
        nibabel.Nifti1Image(change(voxels), np.diag([side, side, 1, 1])).to_filename(path)  # type: ignore[attr-defined]

    return write


def hollow(voxels: Pixels) -> Pixels:
    found = voxels.astype(np.float32)
    found[:6, :6] = np.nan
    return found


def rewritten(encode: Callable[[Pixels], bytes]) -> Callable[[Path], None]:
    """Writes a picture anew, under its name: the content says what it is."""
    return lambda path: path.write_bytes(encode(pixels_of(path))) and None


def pixels_of(path: Path) -> Pixels:
    if path.suffix == ".tif":
        found: Pixels = tifffile.imread(path)
        return found
    with Image.open(path) as image:
        return np.array(image)


class Change(NamedTuple):
    """What is done to the data: to the pixels before they are written, or to the files behind them."""

    words: str
    pixels: Callable[[Row, Pixels], Pixels] | None = None
    files: Callable[[Row], Callable[[Path], None] | None] = lambda row: None
    untagged: Callable[[Row], Callable[[Path], None] | None] = lambda row: None  # the same numbers without a word


def _white(row: Row) -> Callable[[Path], None] | None:
    return None if row.layout == "volume" else rewritten(white_first)


def _channels(row: Row) -> Callable[[Path], None]:
    if row.layout == "volume":
        return scan(lambda voxels: np.stack([voxels, voxels], 3))
    return rewritten(coloured_pages if "samples" in row.layout else in_colour)


def _nodata(row: Row) -> Callable[[Path], None]:
    return scan(hollow) if row.layout == "volume" else rewritten(with_nodata)


def _zeros(row: Row) -> Callable[[Path], None] | None:
    plain = rewritten(lambda pixels: with_nodata(pixels, software="none"))
    return None if row.layout == "volume" else plain


def _larger(row: Row) -> Callable[[Path], None] | None:
    return scan(lambda voxels: voxels, 3) if row.layout == "volume" else None


CHANGES = [
    Change("another depth", deeper),
    Change("16 times the values", lambda row, image: (row.base(image) * 16).astype(row.base(image).dtype)),
    Change("white as 0, by the tag", files=_white),
    Change("other channels", files=_channels),
    Change("pixels of 3 mm for 1", files=_larger),
    Change("nodata, by the tag or NaN", files=_nodata, untagged=_zeros),
]


def samples() -> list[Made]:
    """Six stacks of three, each with a bright box somewhere."""
    found = []
    for number, one in enumerate(stacks(6, 3)):
        top, left = 2 + number % 7, 3 + number % 5
        one = one._replace(box=(top, left, top + 10, left + 11))
        found.append(one._replace(image=(one.image // 3 + 150 * one.mask).astype(np.uint8)))
    return found


def write(name: str, root: Path, made: Sequence[Made], files: Callable[[Path], None] | None) -> dict[str, Any]:
    """The data in a layout, their images written anew; the values of the format's conf file."""
    if name == "huggingface" and files is not None:
        content = partial(_content, root=root, files=files)
        return LAYOUTS[name].write(root, [one._replace(encode=content) for one in made])
    values = LAYOUTS[name].write(root, made)
    for path in images_in(root) if files else ():
        assert files is not None
        files(path)
    if name == "volume":  # a label of the same grid
        for path in root.glob("labels/*"):
            side = float(nibabel.load(root / "images" / path.name).affine[0, 0])  # type: ignore[attr-defined]
            scan(lambda voxels: voxels, side)(path)
    return values


def images_in(root: Path) -> list[Path]:
    return sorted([*root.glob("images/*"), *root.glob("*/images/*")])


def _content(pixels: Pixels, root: Path, files: Callable[[Path], None]) -> bytes:
    path = root.with_name("cell.png")
    Image.fromarray(pixels).save(path)
    files(path)
    return path.read_bytes()


def write_stream_in_colour(root: Path, made: Sequence[Made]) -> dict[str, Any]:
    source = InMemory([(np.stack([one.image] * 3, 2), one.mask) for one in made])
    source.ids = tuple(one.name for one in made)
    root.mkdir(parents=True, exist_ok=True)
    write_stream(source, root, compress=False)
    return {"root": str(root)}


def typed(values: dict[str, Any]) -> list[str]:
    """As on the command line."""
    return [f"dataset.{key}={_hydra(value)}" for key, value in values.items()]


def _hydra(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_hydra(one)}" for key, one in value.items()) + "}"
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def call(folder: Path, *arguments: str) -> int:
    """`python -m segtrain …` in a folder, in this process, without a word."""
    quiet = io.StringIO()
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", ["segtrain", *arguments]),
        contextlib.redirect_stdout(quiet),
        contextlib.redirect_stderr(quiet),
    ):
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


class Trained:
    """A run of a row, and what it says of the data as they were."""

    def __init__(self, row: Row, folder: Path) -> None:
        """Train it."""
        self.row, self.folder = row, folder
        self.samples = [one._replace(image=row.base(one.image)) for one in samples()]
        values = write(row.layout, folder / "trained", self.samples, None)
        assert call(folder, f"dataset={row.layout.split(',')[0]}", *typed(values), *TRAINING) == 0
        (self.run,) = folder.glob("outputs/table/*")
        self.evaluated = self.evaluate(write(row.layout, folder / "again", self.samples, None))
        self.predicted = self.predict("input", self.samples, None)
        assert isinstance(self.evaluated, float) and isinstance(self.predicted, dict)

    def cell(self, change: Change) -> str:
        """What is said of changed data."""
        files = change.files(self.row)
        if change.words.startswith("16 times") and self.row.shallower is None:
            return NONE  # of 8 bits; the scans' is their other depth
        if change.pixels is None and files is None:
            return NONE
        made = self.samples
        if change.pixels is not None:
            made = [one._replace(image=change.pixels(self.row, one.image)) for one in samples()]
        name = change.words.replace(" ", "_").replace(",", "")
        plain = change.untagged(self.row)
        untold = self.predict(f"{name}_untold", made, plain) if plain else None
        predicted = _judged(self.predict(f"{name}_input", made, files), self.predicted, untold)
        evaluated = self._evaluated(change, self.folder / name, made, files)
        both = f"predict: {predicted}, evaluate: {evaluated}"
        return predicted if evaluated in (predicted, NONE) else both

    def _evaluated(self, change: Change, root: Path, made: Sequence[Made], files: Any) -> str:
        if self.row.layout != "litdata" or files is None:
            plain = change.untagged(self.row)
            beside = root.with_name(f"{root.name}_plain")
            untold = self.evaluate(write(self.row.layout, beside, made, plain)) if plain else None
            return _judged(self.evaluate(write(self.row.layout, root, made, files)), self.evaluated, untold)
        if "channels" in change.words:
            return _judged(self.evaluate(write_stream_in_colour(root, made)), self.evaluated)
        return NONE  # arrays have no tags

    def evaluate(self, values: dict[str, Any]) -> float | None:
        """A score that every probability moves; None: refused."""
        where = [f"dataset.{key}={values[key]}" for key in ("root", "manifest") if key in values]
        shutil.rmtree(self.folder / "outputs/evaluate", ignore_errors=True)
        command = ["evaluate", f"run='{self.run}'", *where, "split=all", "surface=false", "bootstrap=0"]
        status = call(self.folder, *command)
        assert status in (0, 2)
        if status:
            return None
        (results,) = self.folder.glob("outputs/evaluate/*/*/*/results.json")
        return float(json.loads(results.read_text())["all/calibration_error"])

    def predict(self, name: str, made: Sequence[Made], files: Any) -> dict[str, Pixels] | None:
        """The probabilities of each file; None: refused."""
        root = self.folder / name
        write("folder" if self.row.in_pictures else self.row.layout, root, made, files)
        output = self.folder / f"{name}_out"
        command = ["predict", f"run='{self.run}'", f"input={root / 'images'}", f"output={output}", "probabilities=npz"]
        if call(self.folder, *command):
            return None
        return {path.name: np.load(path)["probabilities"] for path in sorted(output.glob("*_probabilities.npz"))}


def _judged(found: Any, expected: Any, untold: Any = None) -> str:
    """In a word; `untold` is the answer where the files do not say what their numbers mean."""
    if found is None:
        return REFUSED
    if _is_same(found, expected):
        return SAME
    return STORED if untold is None or _is_same(found, untold) else LEFT_OUT


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(np.allclose(one[k], other[k], atol=1e-4) for k in one)
    return bool(abs(one - other) < 1e-6)


def line(name: str, folder: Path) -> str:
    """A row of the table, made anew in an empty folder."""
    trained = Trained(ROWS[name], folder)
    return " | ".join([f"| `{name}`", *(trained.cell(change) for change in CHANGES)]) + " |"


def head() -> list[str]:
    return [
        " | ".join(["| trained on", *(change.words for change in CHANGES)]) + " |",
        "|---" * (len(CHANGES) + 1) + "|",
    ]


def written() -> list[str]:
    """The lines of the table as docs/pixels.md has them."""
    return DOC.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()
