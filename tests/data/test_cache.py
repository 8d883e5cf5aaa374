"""Samples that were decoded before are those of the dataset."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segtrain.data import cache
from segtrain.data.cache import INDEX, SAMPLES, Cached, Mapped, held, pack
from segtrain.data.datasets import Sample
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


def mapped(dataset: Any, folder: Path) -> Mapped:
    with open(folder / SAMPLES, "wb") as file:
        index = pack(dataset, file, lambda done: None)
    np.save(folder / INDEX, index)
    return Mapped(folder, dataset.channels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_samples_come_back_as_they_were_and_cannot_be_changed(kind: str, dtype: str, tmp_path: Path) -> None:
    dataset: Any = Drawn(dtype)
    samples = held(dataset, lambda done: None) if kind == "ram" else mapped(dataset, tmp_path)
    kept = pickle.loads(pickle.dumps(Cached(dataset, samples)))  # as a spawned loader process gets it
    assert kept.ids == dataset.ids and kept.classes == dataset.classes and kept.fingerprint() == "0a"
    for index in (3, 0, 6):
        for array, before in zip(kept.read(index), dataset.read(index), strict=True):
            assert array.dtype == before.dtype
            np.testing.assert_array_equal(array, before)
            assert kind == "ram" or not array.flags.writeable
    first = (samples[0]).image
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    held(Drawn(), told.append)  # type: ignore[arg-type]
    assert told == list(range(1, 8))


def test_more_than_the_free_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "free_memory", lambda: 1000)
    with pytest.raises(
        UserError, match=r"data.cache=ram would take about .* GiB for 7 decoded samples.*data.cache=disk"
    ):
        held(Drawn(), lambda done: None)  # type: ignore[arg-type]


def test_a_file_that_was_cut_is_named(tmp_path: Path) -> None:
    mapped(Drawn(), tmp_path)
    with open(tmp_path / SAMPLES, "r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match=r"is damaged; expected \d+ bytes in samples.bin; got 100; delete the folder"):
        Mapped(tmp_path, 3)
