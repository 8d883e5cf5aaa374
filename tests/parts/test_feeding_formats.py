"""A cache changes no result: whatever the format, whatever happens to the files, reading says what it says without."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import csv_manifest
from segtrain.data.statistics import count_classes, find_labels, images_looked_at, measure_mean_and_std
from segtrain.errors import UserError
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding
from segtrain.spread import spread
from tests.data.datasets.test_contract import formats, given_values

FORMATS = ["folder", "large csv", *sorted(name for name, module in formats.items() if hasattr(module, "good"))]
KINDS = (None, "ram", "disk")
# Options of a dataset that change its pixels: none of them may be given what was kept for another.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "coco": [{"channels": 1}, {"classes": ["background", "dust"]}],
    "csv": [{"channels": 3}, {"classes": {"background": 255, "cell": 0}}],
    "folder": [{"channels": 3}, {"classes": {"background": 255, "cell": 0}}],
    "huggingface": [{"channels": 1}],
    "instances": [{"channels": 1}, {"border": 1}],
    "tiff": [{"channels": [1]}, {"channels": [1, 0]}],
    "volume": [{"window": [0, 9]}, {"normalise": "zscore"}, {"normalise": "percentile"}, {"axis": 0}],
}


class Place:
    """Right data of a format, and `outputs` in which every run keeps its caches."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.outputs = name.removeprefix("large "), folder / "outputs"
        self.data = folder / "data"
        self.data.mkdir()
        self.given = given_values(self.name, self.data)
        self.composed = composed("train", [f"dataset={self.name}", f"outputs={self.outputs}"])
        OmegaConf.set_struct(self.composed, False)
        self.files = sorted(path for path in self.data.rglob("*") if path.is_file() and path.suffix != ".csv")

    def config(self, kind: str | None, on_bad: str, more: dict[str, Any]) -> DictConfig:
        config = self.composed.copy()
        config.data.cache, config.data.on_bad = kind, on_bad
        config.dataset = OmegaConf.create({**OmegaConf.to_container(config.dataset), **self.given, **more})  # type: ignore[dict-item]
        return config

    def said(self, kind: str | None, on_bad: str = "raise", **more: Any) -> list[Any]:
        """What a run with this cache is given of every sample, and what it makes of those that can be read."""
        config = self.config(kind, on_bad, more)
        try:
            feeding = Feeding(RunConfig(config), build_dataset(RunConfig(config)))
        except UserError as error:
            return [str(error)]
        samples = [tried(lambda i=i: plain(feeding.dataset.read(i))) for i in range(len(feeding.dataset.ids))]
        good = [i for i, sample in enumerate(samples) if isinstance(sample, tuple)]
        return [*samples, *self.made_of(feeding, good)]

    def made_of(self, feeding: Feeding, good: Sequence[int]) -> Iterator[Any]:
        """Statistics and counts as they are kept; without a cache, as they are."""
        if good:
            kept = feeding.statistics(good), feeding._once("counts", good, lambda: count_classes(feeding.dataset, good))
            fresh = (
                measure_mean_and_std(feeding.dataset, images_looked_at(good)),
                list(count_classes(feeding.dataset, good)),
            )
            assert kept == fresh, "what is kept beside the cache is not what the data say"
            yield kept
            yield find_labels(feeding.dataset, good)

    def agree(self, on_bad: str = "raise", **more: Any) -> list[Any]:
        """What is said with no cache, which every cache says too."""
        expected, *others = (self.said(kind, on_bad, **more) for kind in KINDS)
        assert all(other == expected for other in others), (on_bad, more)
        return expected


def plain(sample: Any) -> tuple[Any, ...]:
    return tuple((array.dtype.name, array.shape, array.tobytes()) for array in sample)


def tried(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # a format may raise what it likes, with a cache and without
        return f"{type(error).__name__}: {error}"


def damage(path: Path) -> bytes:
    """Another byte in the middle, or in the pixels of a PNG; the size stays. What was there before."""
    before = path.read_bytes()
    at = before.find(b"IDAT") + 8 if b"IDAT" in before else len(before) // 2
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([before[at] ^ 1]))
    return before


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if "large" in request.param:
        monkeypatch.setattr(csv_manifest, "MOST_FILES", 2)
    monkeypatch.chdir(tmp_path)
    return Place(request.param, tmp_path)


@pytest.mark.parametrize("place", FORMATS, indirect=True)
def test_files_may_be_written_touched_and_broken_under_a_cache(place: Place) -> None:
    whole = place.agree()
    assert len(whole) > 3
    largest = max(place.files, key=lambda path: path.stat().st_size)  # of a table or a stream: the pixels
    for path, on_bad in (*((path, "raise") for path in spread(place.files, 2)), (largest, "skip")):
        before = damage(path)
        first, second = (place.agree(kind) for kind in (on_bad, "skip" if on_bad == "raise" else "raise"))
        assert whole not in (first, second), path
        path.write_bytes(before)
        assert place.agree(on_bad) == whole
        os.utime(path)
        assert place.agree("raise") == place.agree("skip") == whole


@pytest.mark.parametrize("place", ["folder", "large csv"], indirect=True)
def test_a_picture_is_replaced_by_another_of_the_same_size(place: Place) -> None:
    """BMP holds its pixels as they are: another picture has the same number of bytes."""
    for seed, path in enumerate(path for path in place.files if "images" in path.parts):
        with contextlib.suppress(FileNotFoundError):
            bitmap(path, seed)
    before = place.agree()
    image = next(path for path in place.files if "images" in path.parts)
    size = image.stat().st_size
    bitmap(image, 99)
    assert image.stat().st_size == size
    after = place.agree()
    assert after != before and sum(one != other for one, other in zip(after, before, strict=True)) == 2  # and the mean
    bitmap(image, 0)
    assert place.agree() == before


def bitmap(path: Path, seed: int) -> None:
    from PIL import Image

    with Image.open(path) as image:
        shape = image.size[::-1]
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path, "BMP")


@pytest.mark.parametrize("place", sorted(OPTIONS), indirect=True)
def test_other_options_are_other_samples(place: Place) -> None:
    plainly = place.agree()
    for options in OPTIONS[place.name]:
        assert place.agree(**options) != plainly or options.get("channels") == 1, options
        assert place.agree() == plainly
