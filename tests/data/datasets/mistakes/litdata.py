"""Mistakes in folders that convert has written; skipped where litdata is not installed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtrain.data.datasets import Shapes, Streamed
from segtrain.data.datasets.streamed import ABOUT, INDEX, write_stream

CHUNK = "chunk-0-0.bin"


def written(folder: str = "stream", dataset: Any = None, compress: bool = False) -> Path:
    """A folder as convert writes it."""
    pytest.importorskip("litdata")
    path = Path(folder)
    path.mkdir(exist_ok=True)
    write_stream(dataset or Shapes(12, size=16), path, compress)
    return path


def good() -> dict[str, object]:
    """Right data, in the current folder, with the arguments it needs beside that."""
    written(".")
    return {}


def changed(name: str, **values: Any) -> Callable[[], object]:
    """One of the JSON files says something else."""

    def made() -> None:
        file = written() / name
        file.write_text(json.dumps(json.loads(file.read_text()) | values))
        Streamed("stream")

    return made


def pickled() -> None:
    file = written() / INDEX
    index = json.loads(file.read_text())
    index["config"]["data_format"][1] = "pickle"
    file.write_text(json.dumps(index))
    Streamed("stream")


def missing() -> None:
    (written() / CHUNK).unlink()
    Streamed("stream")


def cut() -> None:
    file = written() / CHUNK
    file.write_bytes(file.read_bytes()[:-100])
    Streamed("stream")


def flipped() -> None:
    """One bit of a pixel of the first sample."""
    file = written() / CHUNK
    content = bytearray(file.read_bytes())
    content[400] ^= 1
    file.write_bytes(content)
    Streamed("stream").read(0)


def other_folder() -> None:
    pytest.importorskip("litdata")
    Path("stream").mkdir()
    Streamed("stream")


MISTAKES: dict[str, Callable[[], object]] = {
    "a folder that convert has not written": other_folder,
    "of another version": changed(ABOUT, format=2),
    "segtrain.json is not whole": changed(ABOUT, ids=None),
    "other samples than segtrain.json says": changed(ABOUT, ids=["a"], splits=[None]),
    "items of another kind, which would be run": pickled,
    "a chunk is missing": missing,
    "a chunk is cut short": cut,
    "a bit of a pixel is another": flipped,
}
