"""Samples that were decoded before are those of the dataset."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segtrain.data import cache
from segtrain.data.cache import INDEX, SAMPLES, Cached, Mapped, hold_samples, pack_samples, reading_code
from segtrain.data.datasets import Sample, Shapes
from segtrain.data.survey import Skipping
from segtrain.errors import UserError


class Drawn:
    """Images of several sizes and one dtype."""

    classes, palette, ignore_index, channels = ("a", "b"), ((0, 0, 0), (1, 1, 1)), 255, 3

    def __init__(self, dtype: str = "uint8", n: int = 7) -> None:
        self.dtype, self.ids, self.splits = dtype, [f"s{i}" for i in range(n)], [None] * n

    def read(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        shape = int(rng.integers(1, 40)), int(rng.integers(1, 40))
        image = rng.integers(0, 250, (*shape, 3)).astype(self.dtype)
        return Sample(image, rng.integers(0, 2, shape).astype(np.uint8))

    def fingerprint(self) -> str:
        return "0a"


class Wrapping:
    """A dataset around another, of a module that may read it in its own way."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


def mapped(dataset: Any, folder: Path) -> Mapped:
    with open(folder / SAMPLES, "wb") as file:
        index = pack_samples(dataset, file, lambda done: None)
    np.save(folder / INDEX, index)
    return Mapped(folder, dataset.channels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_samples_come_back_as_they_were_and_cannot_be_changed(kind: str, dtype: str, tmp_path: Path) -> None:
    dataset: Any = Drawn(dtype)
    samples = hold_samples(dataset, lambda done: None) if kind == "ram" else mapped(dataset, tmp_path)
    kept = pickle.loads(pickle.dumps(Cached(dataset, samples)))  # as a spawned loader process gets it
    assert kept.ids == dataset.ids and kept.classes == dataset.classes and kept.fingerprint() == "0a"
    for index in (3, 0, 6):
        for array, before in zip(kept.read(index), dataset.read(index), strict=True):
            assert array.dtype == before.dtype
            np.testing.assert_array_equal(array, before)
            assert kind == "ram" or not array.flags.writeable
    first = samples[0].image  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


class Faulty(Drawn):
    """Some samples of which nothing can be kept; the stamps of the others may be set."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps = [5] * 7

    def stamp(self, index: int) -> int:
        return self.stamps[index]

    def read(self, index: int) -> Sample:
        image, mask = super().read(index)
        if index == 1:
            raise ValueError("a reader of the user's own")
        strange = {2: (image[:, :, :2], mask), 3: (image.astype(np.float64), mask), 4: (image, mask.astype(np.int64))}
        return Sample(*strange.get(index, (image + np.uint8(self.stamps[index] - 5), mask)))


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_what_cannot_be_kept_is_asked_of_the_dataset(kind: str, tmp_path: Path) -> None:
    dataset: Any = Faulty()
    kept = Cached(dataset, hold_samples(dataset, lambda done: None) if kind == "ram" else mapped(dataset, tmp_path))
    with pytest.raises(ValueError, match="a reader of the user's own"):
        kept.read(1)
    for index in (0, 2, 3, 4, 5, 6):
        for array, expected in zip(kept.read(index), dataset.read(index), strict=True):
            assert array.dtype == expected.dtype and np.array_equal(array, expected)


def test_a_sample_whose_stamp_is_another_is_read_again(tmp_path: Path) -> None:
    dataset: Any = Faulty()
    samples = mapped(dataset, tmp_path)
    kept = pickle.loads(pickle.dumps(Cached(dataset, samples, samples.stamps)))
    before = kept.read(5).image.copy()
    dataset.stamps[5] = kept.dataset.stamps[5] = 8
    assert np.array_equal(kept.read(5).image, before + np.uint8(3)) and kept.read(5).image.flags.writeable
    assert not kept.read(6).image.flags.writeable  # of the file


def test_the_code_of_a_dataset_that_another_wraps_counts() -> None:
    data: Any = Drawn()
    assert reading_code(data) == reading_code(Drawn()) != reading_code(Shapes(n=3))
    assert reading_code(Wrapping(data)) not in (reading_code(data), reading_code(Wrapping(Shapes(n=3))))


def test_leaving_samples_out_reads_none_in_another_way() -> None:
    for data in (Drawn(), Shapes(n=3), Wrapping(Drawn())):
        assert reading_code(Skipping(data)) == reading_code(data)  # type: ignore[arg-type]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    hold_samples(Drawn(), told.append)  # type: ignore[arg-type]
    assert told == list(range(1, 8))


def test_more_than_the_free_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "free_memory", lambda: 1000)
    with pytest.raises(
        UserError, match=r"data.cache=ram would take about .* GiB for 7 decoded samples.*data.cache=disk"
    ):
        hold_samples(Drawn(), lambda done: None)  # type: ignore[arg-type]


def test_a_file_that_was_cut_is_named(tmp_path: Path) -> None:
    mapped(Drawn(), tmp_path)
    with open(tmp_path / SAMPLES, "r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match=r"is damaged; expected \d+ bytes in samples.bin; got 100; delete the folder"):
        Mapped(tmp_path, 3)
