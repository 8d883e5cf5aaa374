"""Reads images and masks in the columns of a Hugging Face `datasets` dataset, saved on disk or named on the hub."""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

from segtrain.counted import counted, some_of
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.channels import Colour
from segtrain.data.files.digest import MOST_HASHED, Hashes, stamp_files, without_flat
from segtrain.data.files.extras import need
from segtrain.data.files.label_coding import Code, Coding
from segtrain.data.files.pixels import read_coded, read_header
from segtrain.data.files.samples import PARTS
from segtrain.data.files.tiff_tags import sample_of
from segtrain.errors import UserError, is_noting
from segtrain.files import bytes_of, require_regular
from segtrain.folders import files_below

Table = Any  # datasets.Dataset
STATES = ("state.json", "dataset_dict.json")  # what save_to_disk leaves in a folder
SPELLINGS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}


class _Row(NamedTuple):
    """Holds a sample's name and place; `split` and `group` are empty where there is none."""

    id: str
    split: str
    number: int
    group: str


class HuggingFace:
    """Reads rows of a dataset with an image and a mask in columns of type Image, decoded as files: see `pixels`.

    `ids` are the values of a column, or the split and the number of the row, "train/000012".
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Mapping[str, Code | Sequence[Code]] | str,
        image: str = "image",
        mask: str = "mask",
        id: str | None = None,
        group: str | None = None,
        splits: Mapping[str, str] | None = None,
        config: str | None = None,
        revision: str | None = None,
        channels: int | None = None,
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        tolerance: int | None = None,
    ) -> None:
        """Opens the tables; no image is decoded. No code that comes with a dataset is ever run.

        Args:
            root: folder that `save_to_disk` wrote, or one of Parquet files; or OWNER/NAME on the hub, fetched once.
            classes: name -> value in the mask, 0..65535, or colour "#rrggbb", or a list of either, in label order; or a
                column of ClassLabel, whose names stand for the values 0, 1, …
            image: column of images.
            mask: column of masks.
            id: column that names samples, each differently; None: split and number of the row.
            group: column whose equal values belong together, such as a patient; None: there is none.
            splits: train, val or test -> the dataset's own name of that split; others are left out. None: all are
                taken, by their usual names.
            config: which configuration, of a dataset on the hub that has several.
            revision: which version, of a dataset on the hub: a commit or a tag; None: the newest.
            channels: 1 or 3; None: as the first image, and others are refused.
            ignore_value: value, colour or list of them in the mask that becomes `ignore_index`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the masks' own colours, or chooses some.
            tolerance: levels by which a value in the mask, of a colour each channel, may be off that of the nearest
                class, as in JPEG; None: none.

        Raises:
            UserError: `datasets` is not installed, the dataset cannot be had, or splits, columns or ids are not so.
        """
        tables = _tables_of(_load(str(root), config, revision), splits)
        wanted = [column for column in (image, mask, id, group) if column is not None]
        for table in tables.values():
            _check_columns(table, wanted, (image, mask))
        self._coding = Coding(_named(classes, tables), ignore_value, palette, tolerance)
        self.classes, self.palette = self._coding.names, self._coding.palette
        self._columns = image, mask
        self._tables = {split: _undecoded(table, image, mask) for split, table in tables.items()}
        rows = sorted(row for split in tables for row in _rows(tables[split], split, id, group))
        self.ids: tuple[str, ...] = tuple(row.id for row in rows)
        _check_ids(self.ids, id)
        self._places = [(row.split, row.number) for row in rows]
        self.splits: tuple[str | None, ...] = tuple(row.split or None for row in rows)
        self.groups = None if group is None else tuple(row.group or None for row in rows)
        self._colour = Colour(channels, self._first())
        self.channels = self._colour.channels
        if len(self.ids) <= MOST_HASHED:
            self._colour.look_over(self._dtypes())
        self._meaning = (classes, ignore_value, self.channels, id, group, self._columns, *self._coding.meaning)
        self._stored = stamp_files(file["filename"] for table in self._tables.values() for file in table.cache_files)
        self._named = any(_names_files(table, column) for table in self._tables.values() for column in self._columns)

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a cell is empty or broken, image and mask differ in size, or the mask holds a value outside
                `classes`.
        """
        of_image, of_mask = self._files(index)
        image, missing = self._colour.picture(of_image)
        mask, unlabelled = read_coded(of_mask, self._coding.in_colour)
        if image.shape[:2] != mask.shape[:2]:
            raise UserError(
                f"mask '{of_mask}' is {mask.shape[1]} x {mask.shape[0]} pixels, image '{of_image}' {image.shape[1]} x "
                f"{image.shape[0]}; expected the same; resize the masks by nearest neighbour"
            )
        return sample_of(image, self._coding.labels(mask, of_mask, unlabelled), missing, self.ids[index])

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the library's own fingerprints, sizes of files, and what the masks' values mean."""
        known = [repr(self._meaning)]
        for split, table in self._tables.items():
            sizes = [os.path.getsize(file["filename"]) for file in table.cache_files]
            known += [split, table._fingerprint, str(len(table)), repr(sizes)]
        return hashlib.blake2b("\0".join(known).encode(), digest_size=16).hexdigest()

    def stamp(self, index: int) -> int:
        """Returns what changes when the tables on disk are written, or files that the cells name."""
        if not self._named:
            return self._stored
        return stamp_files([str(file) for file in self._files(index) if not isinstance(file, ImageCell)]) ^ self._stored

    def hashes(self) -> Hashes | None:
        """Returns a hash of each image's bytes, or of its file's; None of more than `MOST_HASHED` rows."""
        return self._hashes if len(self.ids) <= MOST_HASHED else None

    @cached_property
    def _hashes(self) -> Hashes:
        found = [self._content(index) for index in range(len(self.ids))]
        return without_flat(found, lambda index: self._colour.read(self._files(index)[0]))

    def _content(self, index: int) -> bytes | None:
        try:
            content = bytes_of(self._files(index)[0])
        except (UserError, OSError):  # named when it is read
            return None
        return hashlib.blake2b(content, digest_size=16).digest()

    def _first(self) -> Path:
        """Returns the first image; while an audit looks on the first that opens."""
        for index in range(len(self.ids)) if is_noting() else ():
            with suppress(UserError):
                read_header(self._files(index)[0])
                return self._files(index)[0]
        return self._files(0)[0]

    def _dtypes(self) -> Iterator[tuple[str, str]]:
        """Yields name and dtype of the images that open: of the others reading tells."""
        for index in range(len(self.ids)):
            with suppress(UserError):
                image, _ = self._files(index)
                yield str(image), read_header(image).dtype

    def _files(self, index: int) -> tuple[Path, Path]:
        """Returns the two cells as files: their bytes, or the files that they name."""
        split, row = self._places[index]
        cells = self._tables[split][row]
        image, mask = (_file(cells[column], f"{self.ids[index]}, column {column}") for column in self._columns)
        return image, mask


class ImageCell:
    """Holds bytes in a table under the methods of `Path` that `pixels` asks of a file."""

    def __init__(self, name: str, content: bytes) -> None:
        """Takes a name for messages, and the bytes."""
        self._name, self._content = name, content

    def __str__(self) -> str:
        return self._name

    def open(self, mode: str) -> io.BytesIO:
        """Returns a file of it; `mode` is "rb"."""
        return io.BytesIO(self._content)

    def is_file(self) -> bool:
        """Returns whether it holds anything."""
        return bool(self._content)

    def stat(self) -> os.stat_result:
        """Returns its size; nothing else about it is known."""
        return os.stat_result((0, 0, 0, 0, 0, 0, len(self._content), 0, 0, 0))


def _file(cell: Mapping[str, Any] | None, name: str) -> Path:
    content, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if content is None and path is None:
        raise UserError(f"the cell '{name}' is empty; expected a picture; fill it in, or leave the row out")
    return Path(str(path)) if content is None else cast(Path, ImageCell(name, content))


def _names_files(table: Table, column: str) -> bool:
    """Returns whether there are cells without bytes, which then name a file."""
    return any(chunk.field("bytes").null_count for chunk in table.data.column(column).chunks)


def _check_columns(table: Table, wanted: Sequence[str], pictures: Sequence[str]) -> None:
    """Raises UserError unless the columns are there, and those of pictures of type Image."""
    image_type = need("datasets", "huggingface").Image
    missing = [column for column in wanted if column not in table.features]
    if missing:
        raise UserError(
            f"the dataset has no column {some_of([repr(name) for name in missing])}; it has "
            f"{some_of([*table.features])}; give dataset.image, dataset.mask, dataset.id and dataset.group as they are"
        )
    for column in pictures:
        if not isinstance(table.features[column], image_type):
            raise UserError(
                f"column '{column}' holds {table.features[column]}; expected Image, pictures that decode; choose "
                "another column, or cast it: dataset.cast_column(…, datasets.Image())"
            )


def _named(classes: Mapping[str, Any] | str, tables: Mapping[str, Table]) -> Mapping[str, Any]:
    if not isinstance(classes, str):
        return classes
    features = next(iter(tables.values())).features
    feature = features.get(classes)
    names = getattr(getattr(feature, "feature", feature), "names", None)  # a list of labels has them inside
    if names is None:
        raise UserError(
            f"dataset.classes names the column '{classes}', which is {feature or 'not there'}; expected one of "
            f"ClassLabel; the columns are {some_of([*features])}; or give {{background: 0, cell: 1}}, name: value"
        )
    return {name: value for value, name in enumerate(names)}


def _undecoded(table: Table, *columns: str) -> Table:
    """Returns the columns alone, with pictures as their bytes."""
    chosen = table.with_format(None).select_columns(list(columns))
    for column in columns:
        chosen = chosen.cast_column(column, need("datasets", "huggingface").Image(decode=False))
    return chosen


def _rows(table: Table, split: str, id: str | None, group: str | None) -> Iterator[_Row]:
    plain = table.with_format(None)
    names = plain[id] if id else (f"{split}/{row:06d}".lstrip("/") for row in range(len(plain)))
    groups = plain[group] if group else [None] * len(plain)
    for row, (name, member) in enumerate(zip(names, groups, strict=True)):
        yield _Row(str(name), split, row, "" if member is None else str(member))


def _check_ids(ids: Sequence[str], column: str | None) -> None:
    if not ids:
        raise UserError(
            "the dataset has no rows; expected at least one in each of train, val and test; give another root"
        )
    twice = sorted({one for one, other in pairwise(ids) if one == other})
    if twice:
        raise UserError(
            f"column '{column}' names {counted(len(twice), 'sample')} more than once: {some_of(twice)}; expected "
            "another name for each; choose another dataset.id, or null for the numbers of the rows"
        )


def _load(root: str, config: str | None, revision: str | None) -> Any:
    """Returns a `Dataset`, or a `DatasetDict` of splits, from a folder or from the hub.

    Raises:
        UserError: there is none, or it cannot be read or fetched.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    library = need("datasets", "huggingface")
    folder = Path(root).expanduser()
    there = folder.is_dir()
    if not there and (root.count("/") != 1 or root.startswith((".", "/", "~"))):
        raise UserError(
            f"there is no folder '{root}'; expected one that save_to_disk wrote, or OWNER/NAME on the hub; relative "
            "paths start from the current directory; give dataset.root as it is"
        )
    if there:
        _require_files(folder)
    shown = library.is_progress_bar_enabled()
    library.disable_progress_bars()
    try:
        if there and any((folder / state).is_file() for state in STATES):
            return library.load_from_disk(str(folder))
        return library.load_dataset(str(folder) if there else root, config, revision=revision)
    except Exception as error:  # the library and its readers raise nearly anything
        expected = (
            "a folder that save_to_disk wrote, or one of Parquet files"
            if there
            else "a folder, or a dataset of that name on the hub or in its cache; without a network, run load_dataset "
            "and save_to_disk once where there is one, and carry the folder over"
        )
        first = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"the dataset '{root}' cannot be had; expected {expected}; got {type(error).__name__}: {first}"
        ) from error
    finally:
        if shown:
            library.enable_progress_bars()


def _tables_of(dataset: Any, splits: Mapping[str, str] | None) -> dict[str, Table]:
    """Returns split -> table; "" is the split of a dataset without any.

    Args:
        dataset: what was `_load`.
        splits: train, val or test -> the dataset's own name; None: by their usual names.

    Raises:
        UserError: a name is none of the dataset's, or, without `splits`, none that is usual.
    """
    have = dict(dataset) if isinstance(dataset, Mapping) else {}
    if splits is not None:
        bad = [f"{part}={name}" for part, name in splits.items() if part not in PARTS or name not in have]
        if bad or not splits:
            raise UserError(
                f"dataset.splits names {some_of(bad) or 'nothing'}; expected train, val or test, each with one of the "
                f"dataset's own splits ({some_of([*have]) or 'it has none'}); such as {{train: train, val: validation}}"
            )
        return {part: have[name] for part, name in splits.items()}
    if not have:
        return {"": dataset}
    named = [(SPELLINGS.get(name, ""), name) for name in have]
    if any(not part for part, _ in named) or len({part for part, _ in named}) < len(named):
        raise UserError(
            f"the dataset has the splits {some_of([*have])}; expected train, validation and test, or some of them, "
            "once each; say which is which by dataset.splits, such as {train: train, val: validation}"
        )
    return {part: have[name] for part, name in named}


def _require_files(folder: Path) -> None:
    """Raises UserError where a pipe, a device or a socket lies in the folder, or links without end: the library hangs.

    Its own readers walk the folder, and open by name.
    """
    for path in files_below(folder):
        with suppress(FileNotFoundError):  # a link that leads nowhere, which the library names where it is read
            require_regular(path)
