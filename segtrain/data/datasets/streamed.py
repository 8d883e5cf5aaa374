"""Reads and writes image and mask pairs in litdata's optimised chunks, in a folder or an object store.

Beside litdata's chunks and index.json lies segtrain.json, which says what litdata does not know: classes, palette,
ids, splits. Each item is two arrays, image and labels, as `packed`: nothing is unpickled. Samples are read by index, in
the order that our sampler asks for; litdata's own shuffling and resuming are not used.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import tempfile
import warnings
import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.data.datasets.contract import Sample, SegmentationDataset
from segtrain.data.files.digest import Hashes, hash_pixels, is_flat, stamp_files
from segtrain.data.files.extras import need
from segtrain.data.files.samples import Pixels
from segtrain.errors import UserError
from segtrain.files import bytes_of, require_regular, write_whole

FORMAT = 1  # of segtrain.json and of the items; another number, another layout
ABOUT, INDEX = "segtrain.json", "index.json"
LEAVES = ["bytes", "bytes"]  # of an item: image and mask
LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
TREE = [1, {"type": "builtins.list", "context": "null", "children_spec": [LEAF, LEAF]}]  # an item, as litdata says it
CHUNK_NAME, VERSION = (
    re.compile(r"[\w-]+\.bin"),
    re.compile(r"\d+(\.\d+)?"),
)  # of litdata's files, and when it wrote them
HASHES = "hashes"  # of the images, hex: the source's own, else of their pixels
BESIDE = ("groups", "weights")  # what some datasets say of each sample, and others do not
CHUNK = "64MB"  # a file of chunks: litdata's own default; what one download from an object store brings
NPY = b"\x93NUMPY"  # how an array that is not compressed begins
MOST_BYTES = 1 << 34  # of an array: 2**31 values of the longest kind
LONGEST_HEADER = 256  # bytes; of our arrays it has 128
REMOTE = re.compile(r"[a-z0-9]+:(//|/)")  # s3://bucket/folder; local:/folder is litdata's own stand-in for one


class Streamed:
    """Reads a folder, or one in an object store, that `python -m segtrain convert` has written.

    Pixels, labels, classes, ids and splits are those of the dataset it was made from.
    """

    def __init__(self, root: str | Path, cache: str | Path | None = None) -> None:
        """Reads what lies beside the chunks, no chunk.

        Args:
            root: the folder, or its address: s3://, gs://, r2://, azure://, hf:// as litdata reads them, with the
                credentials it finds in the environment.
            cache: folder for chunks that come from an object store; None: litdata's own, below the home folder.

        Raises:
            UserError: litdata is not installed, there is no such folder, or it holds something else.
        """
        need("litdata", "stream")
        self._root = str(root) if REMOTE.match(str(root)) else str(Path(root).expanduser())
        self._cache = None if cache is None else str(Path(cache).expanduser())
        text = _fetched(self._root, ABOUT)
        about = _about(text, self._root)
        self.classes, self.ids = tuple(about["classes"]), tuple(about["ids"])
        self.palette = tuple((red, green, blue) for red, green, blue in about["palette"])
        self.channels, self.ignore_index = int(about["channels"]), int(about["ignore_index"])
        self.splits: tuple[str | None, ...] = tuple(about["splits"])
        self.groups: list[str | None] | None = about.get("groups")
        self.weights = None if about.get("weights") is None else np.array(about["weights"], np.float64)
        self._hashes = _hashes(about.pop(HASHES, None), self._root)
        plain = text if self._hashes is None else _written(about)
        self._fingerprint = hashlib.blake2b(plain, digest_size=16).hexdigest()
        _check_index(_fetched(self._root, INDEX), len(self.ids), self._root)
        local = not REMOTE.match(self._root)
        self._stamp = _stamp_of(Path(self._root)) if local else 0  # where a sample lies, litdata knows
        self._open: tuple[int, Any] = (-1, None)

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a chunk is missing, cannot be had, or is not as it was written.
        """
        at = range(len(self.ids))[index]
        try:
            item = self._stream()[at]
            return Sample(unpacked(item[0]), unpacked(item[1]))
        except Exception as error:  # litdata and the clients of object stores raise nearly anything
            raise UserError(
                f"sample '{self.ids[at]}' of '{self._root}' cannot be read; expected the chunks as convert wrote them; "
                f"got {type(error).__name__}: {error}; convert again, or copy the folder again"
            ) from error

    def fingerprint(self) -> str:
        """Returns BLAKE2b over segtrain.json but for its hashes; it holds a digest of all pixels and labels."""
        return self._fingerprint

    def stamp(self, index: int) -> int:
        """Returns what changes when a chunk in a local folder is written; 0 of an object store."""
        return self._stamp

    def hashes(self) -> Hashes | None:
        """Returns the hashes of the images that convert wrote; None where it was a version that wrote none."""
        return self._hashes

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the open stream out: another process opens its own."""
        return self.__dict__ | {"_open": (-1, None)}

    def _stream(self) -> Any:
        """Returns the stream of this process: open files and threads do not survive a fork."""
        process, stream = self._open
        if process != os.getpid():
            library = need("litdata", "stream")
            stream = library.StreamingDataset(self._root, cache_dir=self._cache, serializers=_bytes_alone())
            stream[0:0]  # a slice makes litdata keep the chunks it fetches; else each sample would be a request
            self._open = os.getpid(), stream
        return stream


def _bytes_alone() -> dict[str, Any]:
    """Returns how each kind of item is read, as bytes: nothing is unpickled, whatever an index says by now."""
    kinds = need("litdata.streaming.serializers", "stream")
    return dict.fromkeys(kinds._SERIALIZERS, kinds.BytesSerializer())


def write_stream(
    dataset: SegmentationDataset, folder: Path, compress: bool, order: Callable[[range], Iterable[int]] = list
) -> None:
    """Fills an empty folder with a dataset, for `Streamed` to read.

    Args:
        dataset: what to write; every sample is read once.
        folder: where to; whoever calls sees to it that a half-written one is not taken for a whole one.
        compress: whether arrays are deflated: smaller, and slower to read.
        order: gives the indices 0, 1, … back, for someone who watches them.

    Raises:
        UserError: litdata is not installed, or a sample cannot be read.
    """
    need("litdata", "stream")
    from litdata.streaming import Cache

    cache = Cache(str(folder), chunk_bytes=CHUNK)
    content, hashes = hashlib.blake2b(digest_size=16), getattr(dataset, HASHES, lambda: None)()
    found: Hashes = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "An item was larger than the target chunk size")  # it has a chunk to itself
        for index in order(range(len(dataset.ids))):
            arrays = dataset.read(index)
            content.update(b"".join(npy(array) for array in arrays))
            found.append(None if is_flat(arrays[0]) else hash_pixels(arrays[0]))
            cache[index] = [packed(array, compress) for array in arrays]  # a list: dicts are written as Arrow tables
        cache.done()
        cache.merge()
    about = {
        "format": FORMAT,
        **{name: getattr(dataset, name) for name in ("channels", "ignore_index")},
        **{name: list(getattr(dataset, name)) for name in ("classes", "palette", "ids", "splits")},
        **{name: list(getattr(dataset, name)) for name in BESIDE if getattr(dataset, name, None) is not None},
        "content": content.hexdigest(),
        HASHES: _stored(found if hashes is None else hashes),
    }
    write_whole(folder / ABOUT, _written(about))


def _written(about: Mapping[str, Any]) -> bytes:
    """Returns what is known beside the chunks as segtrain.json holds it."""
    return (json.dumps(about, default=float) + "\n").encode()


def packed(array: Pixels, compress: bool) -> bytes:
    """Returns an array as NumPy's npy format holds it, deflated or not, and its CRC-32, which the format lacks."""
    data = zlib.compress(npy(array), 1) if compress else npy(array)
    return data + zlib.crc32(data).to_bytes(4)


def unpacked(data: bytes | memoryview) -> Pixels:
    """Returns the array that was `packed`, a copy.

    Raises:
        ValueError: the checksum does not fit.
    """
    body, checksum = memoryview(data)[:-4], memoryview(data)[-4:]
    if zlib.crc32(body) != int.from_bytes(checksum):
        raise ValueError("the checksum of its pixels does not fit")
    if body[: len(NPY)] != NPY:
        body = memoryview(_inflated(body))
    header = io.BytesIO(body[:LONGEST_HEADER])
    np.lib.format.read_magic(header)
    shape, _, dtype = np.lib.format.read_array_header_1_0(header)
    return np.frombuffer(body, dtype, offset=header.tell()).reshape(shape).copy()


def _inflated(body: memoryview) -> bytes:
    """Returns as many bytes as its header asks for, and no more: some kilobytes may swell to any size.

    Raises:
        ValueError: they are more than `MOST_BYTES`, or others than it asks for.
    """
    inflater = zlib.decompressobj()
    first = inflater.decompress(body, LONGEST_HEADER)
    header = io.BytesIO(first)
    np.lib.format.read_magic(header)
    shape, _, dtype = np.lib.format.read_array_header_1_0(header)
    length = header.tell() + math.prod(shape) * dtype.itemsize
    if length > MOST_BYTES:
        raise ValueError(f"its header asks for {length} bytes")
    rest = inflater.decompress(inflater.unconsumed_tail, max(1, length + 1 - len(first)))
    if len(first) + len(rest) != length or not inflater.eof:
        raise ValueError(f"its header asks for {length} bytes, its data holds others")
    return first + rest


def npy(array: Pixels) -> bytes:
    """Returns the array with its dtype and shape, in C order."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def _stamp_of(folder: Path) -> int:
    """Returns the stamp of the chunks, which litdata opens by name; raises UserError where one is no file."""
    chunks = sorted(folder.glob("*.bin"))
    for chunk in chunks:
        with suppress(FileNotFoundError):  # told when it is read
            require_regular(chunk)
    return stamp_files(chunks)


def _fetched(root: str, name: str) -> bytes:
    """Returns the content of one of the small files."""
    try:
        if not REMOTE.match(root):
            return bytes_of(Path(root, name))
        downloader = need("litdata.streaming.downloader", "stream").get_downloader
        with tempfile.TemporaryDirectory() as folder:
            downloader(root, folder, []).download_file(f"{root.rstrip('/')}/{name}", f"{folder}/{name}")
            return bytes_of(Path(folder, name))
    except UserError:
        raise
    except Exception as error:  # the clients of object stores raise nearly anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        raise UserError(
            f"'{root}/{name}' cannot be read: {reason}; expected in dataset.root a folder that `python -m segtrain "
            "convert dataset=… to=FOLDER` has written, or its address in an object store, such as s3://bucket/folder"
        ) from error


def _about(text: bytes, root: str) -> dict[str, Any]:
    """Returns what segtrain.json says, once it says all that is needed."""
    with contextlib.suppress(ValueError):
        about = json.loads(text)
        lists = ("classes", "palette", "ids", "splits")
        whole = isinstance(about, dict) and about.get("format") == FORMAT and about.get("content")
        if whole and all(isinstance(about.get(name), list) for name in lists):
            return dict(about)
    raise _not_whole(root)


def _not_whole(root: str) -> UserError:
    return UserError(
        f"'{root}/{ABOUT}' is not of format {FORMAT}, which this version of segtrain writes and reads, or not whole; "
        "convert the data again, or copy the folder again"
    )


def _stored(hashes: Sequence[Hashable | None]) -> dict[str, Any]:
    """Returns the hashes as segtrain.json holds them, with a checksum: the fingerprint leaves them out."""
    of = [None if one is None else _hex(one) for one in hashes]
    return {"of": of, "crc": zlib.crc32(json.dumps(of).encode())}


def _hex(one: Hashable) -> str:
    return (one if isinstance(one, bytes) else hashlib.blake2b(repr(one).encode(), digest_size=16).digest()).hex()


def _hashes(stored: Any, root: str) -> Hashes | None:
    """Returns what was `_stored`; None where nothing was, by a version before."""
    if stored is None:
        return None
    with contextlib.suppress(LookupError, TypeError, ValueError):
        if stored["crc"] == zlib.crc32(json.dumps(stored["of"]).encode()):
            return [None if one is None else bytes.fromhex(one) for one in stored["of"]]
    raise _not_whole(root)


def _check_index(text: bytes, samples: int, root: str) -> None:
    """Raises UserError unless our items, one for each id, lie in the chunks that index.json names, and these are there.

    Asked before litdata reads: an index may name another type of item, "pickle", which would be run, a tree of them
    whose types are imported, or files and a version (`updated_at`, a folder's name in litdata's cache) elsewhere.
    """
    got = "no such list"
    with contextlib.suppress(ValueError, KeyError, TypeError):
        index = json.loads(text)
        leaves, held = index["config"]["data_format"], sum(chunk["chunk_size"] for chunk in index["chunks"])
        got = f"{held} of {leaves}"
        if leaves == LEAVES and held == samples and not (got := _strange(index)):
            if not REMOTE.match(root):
                _check_chunks(Path(root), {chunk["filename"]: chunk["chunk_bytes"] for chunk in index["chunks"]})
            return
    raise UserError(
        f"'{root}/{INDEX}' does not list what {ABOUT} beside it says; expected {samples} items of image and mask, as "
        f"convert writes them; got {got}; convert the data again, or copy the folder again"
    )


def _strange(index: dict[str, Any]) -> str:
    """Returns what in an index convert never writes; "" where there is nothing."""
    config, names = index["config"], [chunk["filename"] for chunk in index["chunks"]]
    if json.loads(config["data_spec"]) != TREE:
        return f"a data_spec of {str(config['data_spec'])[:200]}"
    packed_by = {key: config[key] for key in ("compression", "encryption") if config.get(key) is not None}
    if packed_by:
        return f"{packed_by}"
    strange = [name for name in names if not CHUNK_NAME.fullmatch(name)]
    if strange or not VERSION.fullmatch(index.get("updated_at", "0")):
        return f"the names {[*strange, index.get('updated_at')]}"
    return ""


def _check_chunks(root: Path, sizes: dict[str, int]) -> None:
    """Raises UserError unless each chunk is there, of its size: litdata would wait long for one that is missing."""
    for name, size in sizes.items():
        path = root / name
        got = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
        if got != f"{size} bytes":
            raise UserError(f"'{path}' should have {size} bytes; got {got}; convert the data again, or copy it again")
