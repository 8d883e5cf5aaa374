"""What docs/formats.md promises of the data, over every format: copies, groups, fingerprint, skipping, cache."""

import contextlib
import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data.cache import INDEX, SAMPLES, Cached, Mapped, hold_samples, pack_samples
from segtrain.data.datasets import SegmentationDataset, csv_manifest
from segtrain.data.duplicates import copies_of, find_leaks, find_torn, group_same, mark, refuse_leaks
from segtrain.data.split import PARTS, Split
from segtrain.errors import UserError
from segtrain.parts.data import allows_leak, build_dataset, build_groups, build_split
from tests.data.datasets.layouts import DRAWN, LAYOUTS, Made, stacks

ROOT = Path(__file__).parents[3]
CONF = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))
STACK = r"(p\d+)_"  # in ids, which in a manifest begin with the folder
DRAWING = ("ratios", "stratified", "folds")

every = pytest.mark.parametrize("name", LAYOUTS)
Opened = tuple[DictConfig, SegmentationDataset]


def exceptions() -> set[tuple[str, str]]:
    """(Format, promise) of the lines of docs/formats.md's table of what is not promised."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").split("## What is promised")[1].split("\n#")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {(name, promise) for names, promise, _ in rows[2:] for name in re.findall(r"`([^`]+)`", names)}


def configured(name: str, values: dict[str, Any], *typed: str) -> DictConfig:
    config, other = (
        _composed(name.split(",")[0]).copy(),
        _composed("shapes", *typed),
    )  # composing takes most of the time
    OmegaConf.set_struct(config, False)
    if typed:
        config.data, config.dataset.split = other.data, other.dataset.split
    for key, value in values.items():  # whole: classes that are given take the place of those of the file
        OmegaConf.update(config, f"dataset.{key}", value, merge=False)
    return config


@functools.cache
def _composed(dataset: str, *typed: str) -> DictConfig:
    return composed("train", [f"dataset={dataset}", *typed])


def opened(name: str, root: Path, samples: Sequence[Made], *typed: str) -> Opened:
    config = configured(name, LAYOUTS[name].write(root, samples), *typed)
    return config, build_dataset(RunConfig(config))


def part_of(split: Split) -> dict[int, str]:
    return {i: part for part in PARTS for i in getattr(split, part)}


def test_every_format_is_asked() -> None:
    assert {name.split(",")[0] for name in LAYOUTS} | {*DRAWN} == {*CONF}


@every
def test_samples_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    samples = stacks(4, 3)
    _, dataset = opened(name, tmp_path, samples)
    assert len(dataset.ids) == len(samples)
    for index, one in enumerate(samples):
        image, mask = dataset.read(index)
        assert np.array_equal(image[..., 0], one.image) and np.array_equal(mask, one.mask)


@every
def test_copies_are_drawn_into_one_part(name: str, tmp_path: Path) -> None:
    """Every image twice, under another name: in another stack."""
    half = stacks(6, 3)
    samples = [*half, *(one._replace(stack=f"q{one.stack}") for one in half)]
    config, dataset = opened(name, tmp_path, samples)
    assert sorted(map(sorted, copies_of(dataset))) == [[i, i + 18] for i in range(18)]
    for choice in DRAWING:
        for seed in range(3):
            drawn = configured(name, OmegaConf.to_container(without_split(config)), f"split={choice}")
            drawn.dataset.split.seed = seed
            split = build_split(RunConfig(drawn), dataset)
            places = part_of(split)
            assert all(places[i] == places[i + 18] for i in range(18)), (choice, seed)


@every
def test_copies_count_as_one_image(name: str, tmp_path: Path) -> None:
    """Every image twice, under another name: half of the images or stacks are independent, those of the first half."""
    half = stacks(6, 3)
    samples = [*half, *(one._replace(stack=f"q{one.stack}") for one in half)]
    config, dataset = opened(name, tmp_path, samples, "split=ratios")
    groups = build_groups(RunConfig(config), dataset)
    named = [one.stack for one in half] if LAYOUTS[name].stacked else list(dataset.ids[:18])
    assert list(groups) == named * 2
    if not LAYOUTS[name].stacked:
        config.dataset.split.group = r"(q?p\d+)_"
        assert list(build_groups(RunConfig(config), dataset)) == [one.stack for one in half] * 2


def without_split(config: DictConfig) -> Any:
    return OmegaConf.masked_copy(config.dataset, [key for key in config.dataset if key not in ("split", "_target_")])


@every
def test_copies_that_a_split_tears_apart_are_refused(name: str, tmp_path: Path) -> None:
    """Each stack's last image is its first once more, so that slabs tear them."""
    samples = stacks(3, 12)
    samples = [one._replace(image=samples[i - i % 12].image) if i % 12 == 11 else one for i, one in enumerate(samples)]
    config, dataset = opened(name, tmp_path, samples, "split=blocks", "dataset.split.gap=1")
    if not LAYOUTS[name].stacked:
        config.dataset.split.group = STACK
    split = build_split(RunConfig(config), dataset)
    assert len(find_leaks(split, copies_of(dataset))) == 3
    hashes = cast(Any, dataset).hashes()
    with pytest.raises(UserError, match="in more than one"):
        refuse_leaks(dataset.ids, split, hashes, allows_leak(RunConfig(config)))
    config.dataset.split.allow_leak = True
    refuse_leaks(dataset.ids, split, hashes, allows_leak(RunConfig(config)))


@every
def test_images_with_nothing_in_them_are_no_copies(name: str, tmp_path: Path) -> None:
    samples = [one._replace(image=one.image * 0) if one.number == 1 else one for one in stacks(5, 3)]
    _, dataset = opened(name, tmp_path, samples)
    assert copies_of(dataset) == []


@pytest.mark.parametrize("name", DRAWN)
def test_data_that_nobody_fills_hold_no_copies(name: str) -> None:
    if name != "shapes":
        pytest.importorskip("nibabel")
    dataset = build_dataset(RunConfig(configured(name, {})))
    images = {dataset.read(index).image.tobytes() for index in range(len(dataset.ids))}
    assert len(images) == len(dataset.ids)


@every
@pytest.mark.parametrize("choice", DRAWING)
def test_a_stack_is_a_group_that_stays_in_one_part(name: str, choice: str, tmp_path: Path) -> None:
    """Of its own where a file is a stack; else by the expression."""
    samples = stacks(7, 4)
    config, dataset = opened(name, tmp_path, samples, f"split={choice}")
    if not LAYOUTS[name].stacked:
        config.dataset.split.group = STACK
    groups = build_groups(RunConfig(config), dataset)
    assert [groups[i] for i in range(len(samples))] == [one.stack for one in samples]
    for seed in range(3):
        config.dataset.split.seed = seed
        split = build_split(RunConfig(config), dataset)
        assert not find_torn(groups, split) and len({groups[i] for part in split[:3] for i in part}) == 7


@every
def test_slabs_are_cut_within_each_stack(name: str, tmp_path: Path) -> None:
    samples = stacks(3, 30)
    config, dataset = opened(name, tmp_path, samples, "split=blocks", "dataset.split.gap=2")
    if not LAYOUTS[name].stacked:
        config.dataset.split.group = STACK
    split = build_split(RunConfig(config), dataset)
    for stack in range(3):
        numbers = [[samples[i].number for i in part if i // 30 == stack] for part in split[:3]]
        assert numbers == [[*range(16)], [*range(18, 23)], [*range(25, 30)]]
    groups = build_groups(RunConfig(config), dataset)
    assert {groups[i] for i in split.test} == {"p00", "p01", "p02"}


@every
def test_a_single_stack_is_cut_into_slabs_and_is_one_group(name: str, tmp_path: Path) -> None:
    config, dataset = opened(name, tmp_path, stacks(1, 30), "split=blocks")
    split = build_split(RunConfig(config), dataset)
    assert [len(part) for part in split] == [10, 5, 5, 10]
    for group in (None, r"(p\d+_\d+)") if not LAYOUTS[name].stacked else (None,):  # said or not that each is alone
        config.dataset.split.group = group
        assert [*build_split(RunConfig(config), dataset)] == [*split]
        groups = build_groups(RunConfig(config), dataset)
        assert len({groups[i] for i in split.test}) == 1
    if LAYOUTS[name].stacked:
        with pytest.raises(UserError, match="leaves val empty"):
            build_split(RunConfig(configured(name, OmegaConf.to_container(without_split(config)))), dataset)


@every
def test_the_fingerprint_changes_with_pixels_and_masks(name: str, tmp_path: Path) -> None:
    samples = stacks(3, 4)
    _, dataset = opened(name, tmp_path / "0", samples)
    before = dataset.fingerprint()
    assert dataset.fingerprint() == before
    pixel = samples[5].image.copy()
    pixel[3, 3] ^= 1
    for number, other in enumerate((samples[5]._replace(image=pixel), samples[5]._replace(box=(4, 5, 15, 18)))):
        _, changed = opened(name, tmp_path / f"{number + 1}", [*samples[:5], other, *samples[6:]])
        assert changed.fingerprint() != before


@pytest.mark.parametrize(("name", "number"), [(n, i) for n, one in LAYOUTS.items() for i in range(len(one.other))])
def test_the_fingerprint_changes_with_what_is_read_of_the_files(name: str, number: int, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    values = layout.write(tmp_path, stacks(3, 4))
    one, other = (build_dataset(RunConfig(configured(name, values | more))) for more in ({}, layout.other[number]))
    assert one.fingerprint() != other.fingerprint()


@every
def test_fingerprint_and_ids_do_not_hang_on_folder_or_listing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = stacks(3, 4)
    values = LAYOUTS[name].write(tmp_path / "here", samples)
    dataset = build_dataset(RunConfig(configured(name, values)))
    before, ids = dataset.fingerprint(), list(dataset.ids)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    place = "manifest" if "manifest" in values else "root"
    moved = values | {place: values[place].replace("here", "there")}
    relative = {place: os.path.relpath(values[place], tmp_path)}
    with turned(monkeypatch), contextlib.chdir(tmp_path):
        for changed in (values, moved, values | relative):
            again = build_dataset(RunConfig(configured(name, changed)))
            assert (again.fingerprint(), list(again.ids)) == (before, ids)


@contextlib.contextmanager
def turned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A block in which folders list their files the other way round."""
    listdir, scandir = os.listdir, os.scandir

    class Turned(contextlib.AbstractContextManager[Any]):
        def __init__(self, path: Any = ".") -> None:
            with scandir(path) as found:
                self.found = iter([*found][::-1])

        def __iter__(self) -> Any:
            return self.found

        def __next__(self) -> Any:
            return next(self.found)

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", lambda path=".": listdir(path)[::-1])
        patched.setattr(os, "scandir", Turned)
        yield


@every
@pytest.mark.parametrize("number", [0, 10])
def test_a_sample_that_cannot_be_read_is_left_out_where_asked(name: str, number: int, tmp_path: Path) -> None:
    """The first too, of which much is read when a data set is opened; of a stack all of its images."""
    samples = stacks(12, 3)
    config, dataset = opened(name, tmp_path, samples, "data.on_bad=skip", "dataset.split.val=0.3")
    fine = [{dataset.ids[i] for i in part} for part in build_split(RunConfig(config), dataset)[:3]]
    victim = samples[number]
    LAYOUTS[name].damage(tmp_path, samples, victim)
    dataset = build_dataset(RunConfig(config))
    whole = LAYOUTS[name].stacked
    bad = {dataset.ids[i] for i, one in enumerate(samples) if one is victim or (whole and one.stack == victim.stack)}
    assert {*cast(Any, dataset).bad} == bad
    split = build_split(RunConfig(config), dataset)
    assert [{dataset.ids[i] for i in part} for part in split[:3]] == [part - bad for part in fine]  # no other moves
    config.data.on_bad = "raise"
    with pytest.raises(UserError):
        build_dataset(RunConfig(config)).read(number)


@every
@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_a_cache_gives_the_same_samples(name: str, kind: str, tmp_path: Path) -> None:
    _, dataset = opened(name, tmp_path / "data", stacks(2, 3))
    if kind == "disk":
        with open(tmp_path / SAMPLES, "wb") as file:
            index = pack_samples(dataset, file, lambda done: None)
        np.save(tmp_path / INDEX, index)
    kept: Any = Mapped(tmp_path, dataset.channels) if kind == "disk" else hold_samples(dataset, lambda done: None)
    cached = Cached(dataset, kept)
    assert cached.fingerprint() == dataset.fingerprint() and copies_of(cast(Any, cached)) == copies_of(dataset)
    for index in range(len(dataset.ids)):
        for array, before in zip(cached.read(index), dataset.read(index), strict=True):
            assert array.dtype == before.dtype and np.array_equal(array, before)


def twice(name: str, root: Path) -> SegmentationDataset:
    """A data set of two stacks of which one is the other's copy, and a third that has a single image of theirs."""
    one = stacks(1, 3)
    other = [made._replace(stack="p02") for made in stacks(1, 3, seed=50)]
    samples = [*one, *(made._replace(stack="p01") for made in one), *other[:2], other[2]._replace(image=one[0].image)]
    return opened(name, root, samples)[1]


def no_copies_of_many(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[type(twice(name, root / "few")).__module__]
    monkeypatch.setattr(module, "MOST_FILES" if name == "csv" else "MOST_HASHED", 3)
    dataset = twice(name, root / "many")
    assert copies_of(dataset) == []
    found = group_same([mark(dataset.read(index).image).exact for index in range(len(dataset.ids))])  # as `check` does
    assert found == [[0, 3, 8], [1, 4], [2, 5]]


def whole_copies_of_large_ones(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = twice(name, root / "small")
    assert copies_of(dataset) == [[0, 3, 8], [1, 4], [2, 5]]
    monkeypatch.setattr(sys.modules[type(dataset).__module__], "MOST_VALUES", 1)
    assert copies_of(twice(name, root / "large")) == [[0, 3], [1, 4], [2, 5]]


def no_copies_of_older_folders(name: str, root: Path, _: pytest.MonkeyPatch) -> None:
    dataset = twice(name, root)
    assert copies_of(dataset) == [[0, 3, 8], [1, 4], [2, 5]]
    about = json.loads((root / "segtrain.json").read_text())
    del about["hashes"]
    (root / "segtrain.json").write_text(json.dumps(about) + "\n")
    older = build_dataset(RunConfig(configured(name, {"root": str(root)})))
    assert copies_of(older) == [] and older.fingerprint() == dataset.fingerprint()


def bytes_changed_in_place(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte in the middle of the largest file, of which the fingerprint sees the size alone."""
    if name == "csv":
        monkeypatch.setattr(csv_manifest, "MOST_FILES", 3)
    values = LAYOUTS[name].write(root, stacks(3, 4))
    before = build_dataset(RunConfig(configured(name, values))).fingerprint()
    path = max((path for path in root.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert build_dataset(RunConfig(configured(name, values))).fingerprint() == before


# What docs/formats.md says is not promised, and what shows it.
EXCEPT: dict[tuple[str, str], Callable[[str, Path, pytest.MonkeyPatch], None]] = {
    ("csv", "copies"): no_copies_of_many,
    ("huggingface", "copies"): no_copies_of_many,
    ("volume", "copies"): whole_copies_of_large_ones,
    ("tiff, pages=samples", "copies"): whole_copies_of_large_ones,
    ("litdata", "copies"): no_copies_of_older_folders,
    ("csv", "fingerprint"): bytes_changed_in_place,
    ("huggingface", "fingerprint"): bytes_changed_in_place,
    ("litdata", "fingerprint"): bytes_changed_in_place,
}


def test_the_docs_name_these_exceptions_and_no_others() -> None:
    assert exceptions() == {*EXCEPT}


@pytest.mark.parametrize(("name", "promise"), EXCEPT)
def test_the_exceptions_are_as_the_docs_say(
    name: str, promise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXCEPT[name, promise](name, tmp_path, monkeypatch)
