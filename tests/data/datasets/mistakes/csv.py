"""Mistakes in a CSV file of samples and in the files that it names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from segtrain.data.datasets import Csv

ROWS = "image,mask\na.png,m.png\n"


def files(*names: str, size: tuple[int, ...] = (8, 8), value: int = 0) -> None:
    """Grey pictures of these names."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(size, value, np.uint8)).save(name)


def opened(text: str | bytes = ROWS, **options: object) -> Csv:
    """The data set of a manifest of this content; a.png, b.png and m.png are there."""
    files("a.png", "b.png", "m.png")
    Path("cells.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    given = {"manifest": "cells.csv", "classes": {"background": 0, "cell": 255}}
    return Csv(**(given | options))  # type: ignore[arg-type]


def good() -> dict[str, object]:
    """Right data, with the arguments it needs."""
    rows = [f"images/{i}.png,masks/{i}.png,p{i // 2},{i}" for i in range(10)]
    files(*(name for row in rows for name in row.split(",")[:2]))
    Path("cells.csv").write_text("\n".join(["image,mask,group,weight", *rows]))
    return {"manifest": str(Path("cells.csv").absolute()), "classes": {"background": 0, "cell": 255}}


def with_text(text: str | bytes, **options: object) -> Callable[[], object]:
    """Opens a manifest of this content."""
    return lambda: opened(text, **options)


def link_out() -> None:
    Path("data").mkdir()
    files("elsewhere/a.png", "data/m.png")
    Path("data/a.png").symlink_to(Path("elsewhere/a.png").absolute())
    Path("data/cells.csv").write_text(ROWS)
    opened(manifest="data/cells.csv")


def other_size() -> None:
    files("wide.png", size=(8, 9))
    opened("image,mask\na.png,wide.png\n")


def other_channels() -> None:
    files("rgb.png", size=(8, 8, 3))
    opened("image,mask\na.png,m.png\nrgb.png,m.png\n")


def unknown_value() -> None:
    files("odd.png", value=7)
    opened("image,mask\na.png,odd.png\n").read(0)


def gone_later() -> None:
    dataset = opened()
    Path("m.png").unlink()
    dataset.read(0)


MISTAKES = {
    "no such manifest": lambda: opened(manifest="cell.csv"),
    "an empty file": with_text(""),
    "no row": with_text("image,mask\n"),
    "no such column": with_text("path,mask\na.png,m.png\n"),
    "a column that differs in case": with_text("image,mask,Split\na.png,m.png,val\n"),
    "a chosen column that is not there": with_text(ROWS, columns={"group": "patient"}),
    "a column that stands twice": with_text("image,image,mask\na.png,b.png,m.png\n"),
    "columns of an unknown kind": with_text(ROWS, columns={"picture": "path"}),
    "one column for two": with_text(ROWS, columns={"image": "mask"}),
    "an unknown delimiter": with_text(ROWS, delimiter="|"),
    "another delimiter than the file has": with_text(ROWS, delimiter="tab"),
    "too few cells": with_text("image,mask\na.png,m.png\nb.png\n"),
    "broken quotes": with_text('image,mask\na.png,"m.png"x\n'),
    "text that is not UTF-8": with_text("image,mask\né.png,m.png\n".encode("latin-1")),
    "an empty path": with_text("image,mask\na.png,\n"),
    "a path that leads out": with_text("image,mask\n../a.png,m.png\n"),
    "an absolute path": with_text("image,mask\n/data/a.png,m.png\n"),
    "a link that leads out": link_out,
    "backslashes": with_text("image,mask\nimages\\a.png,m.png\n"),
    "an image twice": with_text("image,mask\na.png,m.png\nb.png,m.png\n./a.png,m.png\n"),
    "two images that differ in extension": with_text("image,mask\na.png,m.png\na.jpg,m.png\n"),
    "an unknown split": with_text("image,mask,split\na.png,m.png,valid\n"),
    "an empty group": with_text("image,mask,group\na.png,m.png,p1\nb.png,m.png,\n"),
    "a weight that is no number": with_text('image,mask,weight\na.png,m.png,"0,5"\n'),
    "a negative weight": with_text("image,mask,weight\na.png,m.png,-1\n"),
    "no weight above 0": with_text("image,mask,weight\na.png,m.png,0\n"),
    "missing files": with_text("image,mask\nc.png,m.png\n"),
    "a file that is gone when it is read": gone_later,
    "a mask of another size": other_size,
    "images that differ in channels": other_channels,
    "a mask has a value that is no class": unknown_value,
}
