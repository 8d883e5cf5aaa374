"""A cache changes no result, is built once, and is shared."""

import hashlib
import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data import cache
from segtrain.data.statistics import images_looked_at, measure_mean_and_std
from segtrain.errors import UserError
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.conftest import SMALL, CommandLine

SAME = ("metrics.csv", "per_image.csv", "results.json", "checkpoints/best.safetensors")


def run_in(folder: Path, name: str) -> Path:
    (run,) = (folder / "outputs" / name).iterdir()
    return run


def test_a_cache_changes_no_result(segtrain: CommandLine) -> None:
    small = [*SMALL, "aug=medical_elastic", "data.crop_class=0.5"]
    for kind in ("null", "ram", "disk"):
        assert segtrain(*small, f"data.cache={kind}", f"name=of_{kind}") == 0, segtrain.err
    first = run_in(segtrain.folder, "of_null")
    for kind in ("ram", "disk"):
        run = run_in(segtrain.folder, f"of_{kind}")
        assert run.name == first.name
        for file in SAME:
            assert reproducible_bytes(run / file) == reproducible_bytes(first / file), (kind, file)
    (folder,) = (segtrain.folder / "outputs/cache").iterdir()
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"samples.bin", "index.npy", "statistics"}


def test_transforms_of_others_may_write_into_their_image(segtrain: CommandLine) -> None:
    (segtrain.folder / "my_conf/aug").mkdir(parents=True)
    text = (
        "defaults: [none, _self_]\ntransforms:\n"
        "  - {_target_: albumentations.HorizontalFlip}\n"
        "  - {_target_: albumentations.RandomBrightnessContrast, p: 1.0}\n"
    )
    (segtrain.folder / "my_conf/aug/mine.yaml").write_text(text)
    command = ["--config-dir", "my_conf", *SMALL, "aug=mine"]
    for kind in ("null", "disk"):
        assert segtrain(*command, f"data.cache={kind}", f"name=of_{kind}") == 0, segtrain.err
    tables = [run_in(segtrain.folder, f"of_{kind}") / "metrics.csv" for kind in ("null", "disk")]
    assert len({reproducible_bytes(table) for table in tables}) == 1


def test_class_weights_by_name_are_those_of_the_training_masks(segtrain: CommandLine) -> None:
    assert segtrain(*SMALL, "loss.class_weights=inverse", "name=named") == 0, segtrain.err
    (folder,) = (segtrain.folder / "outputs/cache").iterdir()
    (counts,) = folder.glob("counts-*.json")
    shares = [1 / pixels for pixels in json.loads(counts.read_text())[0]]
    listed = ",".join(str(round(share / (sum(shares) / len(shares)), 6)) for share in shares)
    assert segtrain(*SMALL, f"loss.class_weights=[{listed}]", "name=listed") == 0, segtrain.err
    named, plain = (run_in(segtrain.folder, name) / "metrics.csv" for name in ("named", "listed"))
    assert reproducible_bytes(named) == reproducible_bytes(plain)
    assert segtrain(*SMALL, "loss.class_weights=inverted", "name=wrong") == 2
    assert "loss.class_weights is 'inverted'; expected" in segtrain.err and "inverse" in segtrain.err
    assert segtrain(*SMALL, "data.cache=tape", "name=wrong") == 2 and "null, ram or disk" in segtrain.err


def test_samples_may_be_drawn_by_class_or_by_weights_of_the_datas_own(segtrain: CommandLine) -> None:
    assert segtrain(*SMALL, "data.sampling=classes", "name=classes") == 0, segtrain.err
    assert segtrain(*SMALL, "name=uniform") == 0, segtrain.err
    classes, uniform = (run_in(segtrain.folder, name) / "metrics.csv" for name in ("classes", "uniform"))
    assert reproducible_bytes(classes) != reproducible_bytes(uniform)
    assert segtrain(*SMALL, "data.sampling=weights", "name=weights") == 2
    assert "expected a dataset with some above 0" in segtrain.err and "got none" in segtrain.err


def folder_of(root: Path, names: str, broken: str = "") -> list[str]:
    """images/ and masks/ of 40 x 40 pixels; the override that names them."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
        for name in names:
            pixels = rng.integers(0, 2 if kind == "masks" else 256, (40, 40)).astype(np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{name}.png")
    for name in broken:
        path = root / "images" / f"{name}.png"
        path.write_bytes(path.read_bytes()[:-40])
    return ["dataset=folder", f"dataset.root={root}", "dataset.classes={a:0,b:1}", *SMALL[2:]]


@pytest.mark.parametrize("cache", ["null", "ram", "disk"])
def test_samples_that_cannot_be_read_are_left_out_where_asked_and_listed(segtrain: CommandLine, cache: str) -> None:
    command = [*folder_of(segtrain.folder / "data", "abcdefghijkl", broken="cf"), f"data.cache={cache}"]
    assert segtrain(*command, "name=raised") == 2 and "cannot be read" in segtrain.err
    assert segtrain(*command, "data.on_bad=skip", "name=skipped") == 0, segtrain.err
    split = json.loads((run_in(segtrain.folder, "skipped") / "split.json").read_text())
    assert sorted(split["skipped"]) == ["c", "f"] == sorted(split["unused"])
    assert f"'{segtrain.folder / 'data/images/c.png'}' cannot be read" in split["skipped"]["c"]
    assert segtrain(*command, "name=again") == 2 and "c.png' cannot be read" in segtrain.err  # not as nothing, ignored


@pytest.mark.parametrize("broken", ["", "c"])
def test_leaving_samples_out_or_not_one_cache_serves_both(segtrain: CommandLine, broken: str) -> None:
    typed = [*folder_of(segtrain.folder / "data", "abcdef", broken=broken), "data.cache=disk"]
    folders, readers = set(), []
    for on_bad in ("skip", "raise"):
        config = composed("train", [*typed, f"data.on_bad={on_bad}", f"outputs={segtrain.folder / 'outputs'}"])
        feeding = Feeding(RunConfig(config), build_dataset(RunConfig(config)))
        folders.add(feeding.folder)
        readers.append(feeding.dataset)
    (folder,) = folders
    assert [*(segtrain.folder / "outputs/cache").iterdir()] == [folder]
    for array, other in zip(*(reader.read(0) for reader in readers), strict=True):
        assert np.array_equal(array, other)
    for reader in readers if broken else ():
        with pytest.raises(UserError, match=r"c\.png' cannot be read"):
            reader.read(2)


def test_one_image_in_two_parts_is_kept_together_or_refused(segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    command = folder_of(root, "abcdefghijkl")
    for copy in "defgh":
        (root / "images" / f"{copy}.png").write_bytes((root / "images" / "a.png").read_bytes())
    assert segtrain(*command, "name=drawn") == 0, segtrain.err
    split = json.loads((run_in(segtrain.folder, "drawn") / "split.json").read_text())
    assert len([side for side in ("train", "val", "test") if {*"adefgh"} & {*split[side]}]) == 1
    blocks = [*command, "split=blocks", "dataset.split.gap=0", "dataset.split.val=0.4"]
    assert segtrain(*blocks, "name=blocks") == 2
    assert "the same image lies in more than one of train, val and test" in segtrain.err
    assert segtrain(*blocks, "dataset.split.allow_leak=true", "name=allowed") == 0, segtrain.err


def test_what_was_kept_by_another_rule_is_not_taken_for_the_mean(tmp_path: Path) -> None:
    """Before, the file was named by all training samples, and held the mean of the first of them."""
    config = composed("train", ["dataset=shapes", "dataset.n=300", f"outputs={tmp_path}"])
    feeding = Feeding(RunConfig(config), build_dataset(RunConfig(config)))
    feeding.folder.mkdir(parents=True)
    for train in (range(300), range(100)):
        name = hashlib.blake2b(np.asarray(train, np.int64).tobytes(), digest_size=10).hexdigest()
        (feeding.folder / f"statistics-{name}.json").write_text(json.dumps([[7.0], [1.0]]))
    mean, std = feeding.statistics(range(300))
    assert (mean, std) == measure_mean_and_std(feeding.dataset, images_looked_at(range(300))) != ([7.0], [1.0])
    assert feeding.statistics(range(100)) == ([7.0], [1.0])  # the right name: what is kept is used


def test_the_pixels_come_of_the_pass_that_takes_the_mean_and_also_beside_a_mean_kept_before(tmp_path: Path) -> None:
    config = composed("train", ["dataset=shapes", "dataset.n=300", f"outputs={tmp_path}"])
    dataset: Any = build_dataset(RunConfig(config))
    read, seen = dataset.read, []
    dataset.read = lambda index: seen.append(index) or read(index)
    feeding = Feeding(RunConfig(config), dataset)
    seen.clear()
    mean, pixels = feeding.statistics(range(300)), feeding.pixels(range(300))
    assert len(seen) == len(images_looked_at(range(300))) and pixels.dtypes == ("uint8",) and pixels.images == len(seen)
    assert mean == measure_mean_and_std(feeding.dataset, images_looked_at(range(300)))
    (kept,) = feeding.folder.glob("statistics-*.json")
    known = json.loads(kept.read_text())
    less = {key: known[2][key] for key in ("dtypes", "images", "lowest", "highest", "low", "high", "spacing")}
    for before in (known[:2], [*known[:2], less]):  # as versions before wrote it
        kept.write_text(json.dumps(before))
        assert feeding.statistics(range(300)) == mean and feeding.pixels(range(300)) == pixels
        assert feeding.scales(range(300)) == ""


def test_data_that_are_written_while_they_are_cached_are_not_cached(tmp_path: Path) -> None:
    root = tmp_path / "data"
    typed = [*folder_of(root, "abcdefghijkl"), "data.cache=disk", f"outputs={tmp_path / 'outputs'}"]
    config = composed("train", typed)
    dataset: Any = build_dataset(RunConfig(config))
    read = dataset.read

    def meddled(index: int) -> Any:
        if index == 5:
            (root / "images/a.png").write_bytes((root / "images/b.png").read_bytes())
        return read(index)

    dataset.read = meddled
    with pytest.raises(UserError, match=r"were written while data.cache=disk read them.*start again"):
        Feeding(RunConfig(config), dataset)
    again = Feeding(RunConfig(config), build_dataset(RunConfig(config))).dataset
    assert np.array_equal(again.read(0).image, again.read(1).image)


def _builds(folder: str, log: str) -> None:
    config = composed("train", [*SMALL, "data.cache=disk", f"outputs={folder}"])

    def noted(*arguments: object) -> object:
        with open(log, "a", encoding="utf-8") as file:
            file.write("built\n")
        return pack(*arguments)  # type: ignore[arg-type]

    pack, cache_module = cache.pack_samples, __import__("segtrain.parts.feeding", fromlist=["pack_samples"])
    cache_module.pack_samples = noted
    feeding = Feeding(RunConfig(config), build_dataset(RunConfig(config)))
    assert feeding.dataset.read(3).mask.shape == (64, 64)
    feeding.statistics([0, 1, 2])


@pytest.mark.slow
def test_four_processes_build_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [
        multiprocessing.get_context("spawn").Process(target=_builds, args=(str(tmp_path), str(log))) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text() == "built\n"
    (folder,) = (tmp_path / "cache").iterdir()
    assert not list(folder.glob("*.part"))
