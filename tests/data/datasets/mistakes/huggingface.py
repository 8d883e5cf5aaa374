"""Mistakes in datasets of the library `datasets`; skipped where it is not installed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.datasets import HuggingFace

CLASSES = {"background": 0, "cell": 255}


def table(rows: int = 4, **columns: list[Any]) -> Any:
    """A table of pictures of 9 x 8 pixels; columns given replace or join image and mask."""
    library = pytest.importorskip("datasets")
    pictures = {
        "image": [Image.fromarray(np.full((8, 9, 3), 10 * i, np.uint8)) for i in range(rows)],
        "mask": [Image.fromarray(np.full((8, 9), 255 * (i % 2), np.uint8)) for i in range(rows)],
    }
    pictures |= columns
    types = {"image": library.Image(), "mask": library.Image()}
    others = {name: library.Value("string") for name in columns if name not in types}
    return library.Dataset.from_dict(pictures, features=library.Features(types | others))


def save(what: Any, folder: str = "data") -> str:
    """On disk, without a bar."""
    library = pytest.importorskip("datasets")
    library.disable_progress_bars()
    shutil.rmtree(folder, ignore_errors=True)
    what.save_to_disk(folder)
    library.enable_progress_bars()
    return folder


def splits(**parts: Any) -> Any:
    """A dictionary of splits."""
    return pytest.importorskip("datasets").DatasetDict(parts)


def opened(**options: Any) -> HuggingFace:
    return HuggingFace(**({"root": "data", "classes": CLASSES} | options))


def good() -> dict[str, object]:
    """Right data, with the arguments it needs; it lies in the current folder."""
    save(splits(train=table(6), validation=table(3), test=table(3)), ".")
    return {"classes": CLASSES}


def with_table(what: Callable[[], Any], **options: Any) -> Callable[[], object]:
    """Saves it and reads the first sample."""

    def made() -> None:
        save(what())
        opened(**options).read(0)

    return made


def broken() -> Any:
    """A cell whose bytes are no picture."""
    library = pytest.importorskip("datasets")
    stored = table().cast_column("image", library.Image(decode=False)).to_list()
    stored[0]["image"]["bytes"] = b"no picture"
    return library.Dataset.from_list(stored, features=table().features)


def no_dataset() -> None:
    pytest.importorskip("datasets")
    Path("data").mkdir()
    Path("data/notes.txt").write_text("notes")
    opened()


def empty() -> None:
    pytest.importorskip("datasets")
    Path("data").mkdir()
    opened()


def no_folder() -> None:
    pytest.importorskip("datasets")
    opened(root="./data")


MISTAKES: dict[str, Callable[[], object]] = {
    "no such folder": no_folder,
    "an empty folder": empty,
    "a folder with something else": no_dataset,
    "no such column": with_table(table, mask="label"),
    "a column of another type": with_table(lambda: table(label=["a"] * 4), mask="label"),
    "classes from a column without names": with_table(table, classes="mask"),
    "splits of other names": with_table(lambda: splits(train=table(), unlabelled=table())),
    "a split that is not there": with_table(lambda: splits(train=table()), splits={"train": "training"}),
    "a name twice": with_table(lambda: table(name=["a", "b", "a", "c"]), id="name"),
    "no rows": with_table(lambda: table().select([])),
    "an empty cell": with_table(lambda: table(image=[None] * 4)),
    "a cell that is no picture": with_table(broken),
    "a mask has a value that is no class": with_table(table, classes={"background": 1, "cell": 255}),
    "a mask of another size": with_table(lambda: table(mask=[Image.fromarray(np.zeros((4, 4), np.uint8))] * 4)),
    "images of other channels": lambda: (
        save(table(image=[Image.fromarray(np.zeros((8, 9, 3)[: 2 + i % 2], np.uint8)) for i in range(4)])),
        opened().read(1),
    ),
}
