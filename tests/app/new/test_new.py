"""`python -m segtrain new NAME ROOT` as a user types it: each layout is guessed, opened and compared."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segtrain.app.new import new as page
from segtrain.app.report.paired import SETTLING_UNITS
from segtrain.config import composition as config
from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset, build_split
from tests.app.new.layouts import CASES, SIZE, image, labels, make, mask_image, opened, save, unchecked
from tests.conftest import SMALL, CommandLine

__all__ = ["unchecked"]  # the fixture


@pytest.mark.parametrize("name", CASES)
def test_a_layout_is_guessed_and_read_right(name: str, segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    case = CASES[name]
    make(segtrain.folder / "data", case)
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    for key, value in case.expected.items():
        *above, last = key.split(".")
        node = written.dataset[above[0]] if above else written.dataset
        assert (node[last] is not None) if value is True else node[last] == value, written.dataset
    dataset = build_dataset(RunConfig(written))
    assert len(dataset.ids) == case.count
    order = {tuple(image(i)[0, 0]): i for i in range(case.count)}
    for index, split in enumerate(dataset.splits):
        sample = dataset.read(index)
        i = next((i for i in order.values() if np.array_equal(image(i), sample.image)), None)
        if i is None:  # JPEG changes pixels
            i = min(order.values(), key=lambda i: np.abs(image(i).astype(int) - sample.image).mean())
        assert np.array_equal(sample.mask, labels(i, len(case.codes)))
        assert split == case.splits(i)
    assert build_split(RunConfig(written), dataset).train


def test_a_field_of_view_is_told_from_the_masks(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    """DRIVE: names that end unlike, a mask that is none."""
    root, y, x = segtrain.folder / "data", *np.ogrid[: SIZE[0], : SIZE[1]]
    view = (y - 20) ** 2 + (x - 24) ** 2 < 19**2
    for i in range(21, 30):
        save(root / f"images/{i}_training.tif", Image.fromarray(image(i)))
        save(root / f"1st_manual/{i}_manual1.gif", Image.fromarray(255 * labels(i, 2)))
        save(root / f"mask/{i}_training_mask.gif", Image.fromarray(np.uint8(255) * view))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.images == "images/{id}_training.tif"
    assert written.dataset.masks == "1st_manual/{id}_manual1.gif"
    assert written.dataset.regions == "mask/{id}_training_mask.gif"
    dataset = build_dataset(RunConfig(written))
    assert dataset.ids == tuple(map(str, range(21, 30)))
    assert np.array_equal(dataset.read(0).mask, np.where(view, labels(21, 2), dataset.ignore_index))


@pytest.mark.parametrize(("prefix", "line"), [("", "{i}"), ("/far/away/", "/far/away/JPEGImages/{i}.jpg")])
def test_lists_of_the_parts(prefix: str, line: str, segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    """PASCAL VOC: more images than masks, and lists of those that have one."""
    root = segtrain.folder / "data"
    for i in range(20):
        save(root / f"JPEGImages/{i}.jpg", Image.fromarray(image(i)))
        if i < 12:
            save(root / f"SegmentationClass/{i}.png", mask_image(i, [0, 4, 9], "P"))
            save(root / f"SegmentationObject/{i}.png", mask_image(i, [0, 1, 2], "P"))
    for part, numbers in {"train": range(0, 6), "val": range(6, 12)}.items():
        path = root / f"ImageSets/Segmentation/{part}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line.format(i=i) + "\n" for i in numbers))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.masks == "SegmentationClass"
    assert set(written.dataset.lists) == {"train", "val"} and written.dataset.get("prefix", "") == prefix
    dataset = build_dataset(RunConfig(written))
    assert sorted(zip(map(int, dataset.ids), dataset.splits, strict=True)) == [
        (i, "train" if i < 6 else "val") for i in range(12)
    ]
    assert np.array_equal(dataset.read(dataset.ids.index("3")).mask, labels(3, 3))


@pytest.mark.parametrize("thin", [True, False])
def test_thin_lines_of_255_are_ignored_and_areas_are_a_class(
    thin: bool, segtrain: CommandLine, unchecked: list[list[str]]
) -> None:
    for i in range(6):
        drawn = labels(i, 3)
        drawn[0] = 0
        drawn[30 : 31 if thin else 40, :] = 255
        save(segtrain.folder / f"data/images/{i}.png", Image.fromarray(image(i)))
        save(segtrain.folder / f"data/masks/{i}.png", Image.fromarray(drawn))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    dataset = opened(segtrain).dataset
    assert dataset.ignore_value == (255 if thin else None)
    assert ("class_255" in dataset.classes) != thin
    assert ("of the pixels, in 6 of 6 masks" in segtrain_file(segtrain)) and build_dataset(
        RunConfig(opened(segtrain))
    ).read(0)


def segtrain_file(segtrain: CommandLine) -> str:
    return (segtrain.folder / "my_conf" / "dataset" / "mine.yaml").read_text()


@pytest.mark.parametrize(("images", "is_told"), [(76, False), (77, True)])
def test_find_is_told_where_it_can_settle_something(
    images: int, is_told: bool, segtrain: CommandLine, unchecked: list[list[str]]
) -> None:
    for i in range(images):
        save(segtrain.folder / f"data/images/{i:02d}a.png", Image.fromarray(image(i)))
        save(segtrain.folder / f"data/masks/{i:02d}a.png", Image.fromarray(labels(i, 2)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    find = [line for line in segtrain.out.splitlines() if " find " in line]
    assert (
        bool(find)
        == is_told
        == (
            len(build_split(RunConfig(opened(segtrain)), build_dataset(RunConfig(opened(segtrain)))).test)
            >= SETTLING_UNITS
        )
    )
    (train,) = [line for line in segtrain.out.splitlines() if line.startswith("train: ")]
    crop = [word for word in train.split() if word.startswith("data.")]
    assert crop and all(set(crop) < set(line.split()) for line in find)  # these images are small


def test_numbered_objects_become_one_class(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    """Cellpose: a mask of 16 bits that numbers its cells."""
    for i in range(6):
        numbers = np.kron(np.arange(80 + i).repeat(1)[: 80 + i], np.ones((1, 4))).astype(np.uint16)
        save(segtrain.folder / f"data/{i}_img.png", Image.fromarray(image(i)[:, :, 0]).resize((numbers.size, 40)))
        save(segtrain.folder / f"data/{i}_masks.png", Image.fromarray(np.repeat(numbers, 40, axis=0)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert list(written.dataset.classes) == ["background", "object"] and written.dataset.images == "{id}_img.png"
    dataset = build_dataset(RunConfig(written))
    assert [int(dataset.read(i).mask[:, 4:].min()) for i in range(6)] == [1] * 6


@pytest.mark.parametrize("moving", [True, False])
def test_slices_of_a_stack_are_cut_in_slabs(moving: bool, segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    world = np.random.default_rng(0).integers(0, 255, (6, 40)).astype(np.uint8)
    world = np.array(Image.fromarray(world).resize((400, 60), Image.Resampling.BICUBIC))
    for i in range(24):
        shown = world[:, 3 * i : 3 * i + 60] if moving else world[:, (137 * i) % 340 :][:, :60]
        save(segtrain.folder / f"data/images/{i}.png", Image.fromarray(shown))
        save(segtrain.folder / f"data/masks/{i}.png", Image.fromarray(np.uint8(255) * (shown > 128)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.split._target_.endswith("Blocks" if moving else "Ratios")
    assert ("neighbours look alike" in segtrain.out) == moving
    split = build_split(RunConfig(written), build_dataset(RunConfig(written)))
    assert len(split.unused) == (2 * written.dataset.split.gap if moving else 0)


def test_a_test_folder_without_masks_is_left_out(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    for i in range(9):
        save(segtrain.folder / f"data/train/images/{i}.png", Image.fromarray(image(i)))
        save(segtrain.folder / f"data/train/masks/{i}.png", mask_image(i, [0, 255], "L"))
        save(segtrain.folder / f"data/test/images/{i}.png", Image.fromarray(image(i + 50)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "test has images without masks" in segtrain.out
    assert len(build_dataset(RunConfig(opened(segtrain))).ids) == 9


def test_grey_among_colour(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    save(segtrain.folder / "data/images/3.png", Image.fromarray(image(3)).convert("L"))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert build_dataset(RunConfig(opened(segtrain))).channels == 3


def test_small_images_get_advice(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "data.crop=32 data.batch_size=16" in segtrain.out and "data.crop=32" in segtrain_file(segtrain)
    (train,) = (line for line in segtrain.out.splitlines() if line.startswith("train: "))
    assert train.endswith("data.crop=32 data.batch_size=16")


def test_what_is_asked_is_in_the_file_and_on_the_terminal(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["extensions in one folder"])
    assert segtrain("new", "mine", "data", "--config-dir", "own conf", "seconds=1") == 0, segtrain.err
    text = (segtrain.folder / "own conf" / "dataset" / "mine.yaml").read_text()
    assert text.count("name me") == 2 and yaml.safe_load(text)["classes"]["class_128"] == 128
    assert "class_128, class_255" in segtrain.out
    assert segtrain.out.splitlines()[-1].startswith(
        "train: python -m segtrain --config-dir 'own conf' dataset=mine data.crop="
    )
    assert unchecked[0][1:] == [
        "-m",
        "segtrain",
        "check",
        "--config-dir",
        "own conf",
        "dataset=mine",
        "seconds=1",
        "parts=[data]",
    ]


def test_the_folder_for_configs_may_stand_before_the_verb(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    for flags in (["--config-dir", "own"], ["--config-dir=my_own"]):
        assert segtrain(*flags, "new", "mine", "data") == 0, segtrain.err
    assert (segtrain.folder / "own" / "dataset" / "mine.yaml").is_file()
    assert (segtrain.folder / "my_own" / "dataset" / "mine.yaml").is_file()
    assert segtrain("--config-dir", "own", "check", "dataset=min") == 2 and "did you mean dataset=mine" in segtrain.err


def test_a_file_that_is_there_is_kept_unless_forced(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    own = segtrain.folder / "my_conf" / "dataset" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("mine\n")
    assert segtrain("new", "mine", "data") == 2 and own.read_text() == "mine\n"
    assert "'my_conf/dataset/mine.yaml' is there already" in segtrain.err and not unchecked
    assert segtrain("new", "mine", "data", "force=true") == 0 and "classes:" in own.read_text()


def test_names_are_written_so_that_they_are_read_back(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    for folder in ("it's: #1, [a] {b}", "yes"):
        make(segtrain.folder / folder / "no", CASES["images and masks"])
        assert segtrain("new", "mine", f"{folder}/no", "force=true") == 0, segtrain.err
        assert len(build_dataset(RunConfig(opened(segtrain))).ids) == 9


def test_a_name_that_no_config_can_hold(segtrain: CommandLine) -> None:
    make(segtrain.folder / "${HOME}", CASES["images and masks"])
    assert segtrain("new", "mine", "${HOME}") == 2
    assert "'${HOME}' has ${ in it" in segtrain.err and not (segtrain.folder / "my_conf").exists()


def test_a_failed_check_is_passed_on(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    monkeypatch.setattr(page.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    assert segtrain("new", "mine", "data") == 1
    assert "mend my_conf/dataset/mine.yaml" in segtrain.err and "train:" not in segtrain.out


@pytest.mark.slow
def test_from_a_folder_to_a_training_in_two_commands(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check runs in a process of its own, as typed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(config.__file__).parents[2]))
    make(segtrain.folder / "data", CASES["extensions in one folder"])
    assert segtrain("new", "mine", "data") == 0, segtrain.out + segtrain.err
    small = [override for override in SMALL if not override.startswith("dataset")]
    assert segtrain("--config-dir", "my_conf", "dataset=mine", *small) == 0, segtrain.err
    assert "mine: 3 classes" in segtrain.out


def test_copies_of_an_image_stay_in_one_part(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    case = CASES["images and masks"]._replace(count=30)
    make(segtrain.folder / "data", case)
    for a, b in ((3, 7), (11, 25), (11, 26)):
        save(segtrain.folder / f"data/images/{b}.png", Image.fromarray(image(a)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    for seed in range(6):
        written = opened(segtrain)
        written.dataset.split.seed = seed
        dataset = build_dataset(RunConfig(written))
        split = build_split(RunConfig(written), dataset)
        parts = {dataset.ids[i]: part for part in ("train", "val", "test") for i in getattr(split, part)}
        assert len(parts) == 30 and parts["3"] == parts["7"] and parts["11"] == parts["25"] == parts["26"]


@pytest.mark.parametrize("holders", [2, 5, 40])
def test_a_rare_class_has_its_share_in_every_part(
    holders: int, segtrain: CommandLine, unchecked: list[list[str]]
) -> None:
    for i in range(40):
        drawn = labels(i, 3)
        drawn[drawn == 2] = 2 if i >= 40 - holders else 0
        save(segtrain.folder / f"data/images/{i:02d}.png", Image.fromarray(image(i)))
        save(segtrain.folder / f"data/masks/{i:02d}.png", Image.fromarray(drawn))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert written.dataset.split._target_.endswith("Ratios" if holders == 40 else "Stratified")
    for seed in range(8):
        written.dataset.split.seed = seed
        dataset = build_dataset(RunConfig(written))
        assert any((dataset.read(i).mask == 2).any() for i in build_split(RunConfig(written), dataset).train)
