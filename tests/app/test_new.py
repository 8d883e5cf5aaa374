"""`python -m segtrain new NAME ROOT`: layouts as the world has them, each guessed, opened and compared."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

from segtrain import config
from segtrain.app import new as page
from segtrain.app.sources import build_dataset, build_split
from tests.conftest import SMALL, CommandLine

SIZE = (40, 48)
Codes = list[int] | list[str]
Placed = tuple[str, int]  # path below root, number of the sample


class Case(NamedTuple):
    """Where files lie and how masks are written, and what of the config must come out."""

    images: Callable[[int], str]
    masks: Callable[[int], str]
    expected: dict[str, Any]
    codes: Codes = [0, 255]  # noqa: RUF012 never changed
    count: int = 9
    splits: Callable[[int], str | None] = lambda i: None
    how: str = "L"  # of masks: L, P, 1, RGB, I;16


def labels(i: int, classes: int) -> np.ndarray:
    """Blobs of all classes, background commonest."""
    rng = np.random.default_rng(i)
    found = np.zeros(SIZE, np.uint8)
    for label in range(1, classes):
        y, x = rng.integers(0, 28), rng.integers(0, 36)
        found[y : y + 9, x : x + 8] = label
    found[0, :classes] = range(classes)
    return found


def image(i: int) -> np.ndarray:
    return np.random.default_rng(i + 1000).integers(0, 255, (*SIZE, 3)).astype(np.uint8)


def mask_image(i: int, codes: Codes, how: str) -> Image.Image:
    drawn = labels(i, len(codes))
    if how == "RGB":
        table = np.array([[int(str(c)[k : k + 2], 16) for k in (1, 3, 5)] for c in codes], np.uint8)
        return Image.fromarray(table[drawn])
    coded = np.array(codes)[drawn]
    if how == "I;16":
        return Image.fromarray(coded.astype(np.uint16))
    if how == "1":
        return Image.fromarray(coded.astype(bool))
    found = Image.fromarray(coded.astype(np.uint8))
    if how == "P":
        found.putpalette([value for n in range(256) for value in (n, 255 - n, 7 * n % 256)])
    return found


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def make(root: Path, case: Case) -> None:
    for i in range(case.count):
        save(root / case.images(i), Image.fromarray(image(i)))
        save(root / case.masks(i), mask_image(i, case.codes, case.how))


def third(i: int, names: tuple[str, str, str] = ("train", "val", "test")) -> str:
    return names[i % 3]


def of_split(i: int) -> str:
    return third(i)


CASES = {
    "images and masks": Case(
        lambda i: f"images/{i}.png", lambda i: f"masks/{i}.png", {"images": "images", "masks": "masks"}
    ),
    "other names": Case(
        lambda i: f"Original/{i}.tif",
        lambda i: f"Ground truth/{i}.png",
        {"images": "Original", "masks": "Ground truth"},
    ),
    "names that say nothing": Case(
        lambda i: f"a/{i}.png", lambda i: f"b/{i}.png", {"images": "a", "masks": "b"}, codes=[0, 1, 2]
    ),
    "names that lie behind their pixels": Case(
        lambda i: f"b/{i}.png", lambda i: f"a/{i}.png", {"images": "b", "masks": "a"}, how="1", codes=[0, 1]
    ),
    "suffix beside": Case(
        lambda i: f"{i}.png", lambda i: f"{i}_mask.png", {"images": "{id}.png", "masks": "{id}_mask.png"}
    ),
    "suffix beside, two extensions": Case(
        lambda i: f"ISIC_{i:04d}.jpg",
        lambda i: f"ISIC_{i:04d}_segmentation.png",
        {"images": "{id}.jpg", "masks": "{id}_segmentation.png"},
    ),
    "suffix in another folder": Case(
        lambda i: f"imgs/{i}.bmp", lambda i: f"masks/{i}_mask.gif", {"images": "imgs", "masks": "masks/{id}_mask.gif"}
    ),
    "prefixes": Case(
        lambda i: f"image/img_{i}.png",
        lambda i: f"label/mask_{i}.png",
        {"images": "image/img_{id}.png", "masks": "label/mask_{id}.png"},
    ),
    "extensions in one folder": Case(
        lambda i: f"{i:03d}.bmp",
        lambda i: f"{i:03d}.png",
        {"images": "{id}.bmp", "masks": "{id}.png"},
        codes=[0, 128, 255],
    ),
    "masks below the images": Case(
        lambda i: f"{i}.png", lambda i: f"masks/{i}.png", {"images": "{id}.png", "masks": "masks"}
    ),
    "a folder a sample": Case(
        lambda i: f"case_{i}/image.png",
        lambda i: f"case_{i}/label.png",
        {"images": "{id}/image.png", "masks": "{id}/label.png"},
    ),
    "a folder a patient": Case(
        lambda i: f"p{i // 3}/images/p{i // 3}_{i}.png",
        lambda i: f"p{i // 3}/masks/p{i // 3}_{i}.png",
        {"images": "*/images/{id}.png", "masks": "*/masks/{id}.png", "split.group": True},
    ),
    "nested": Case(
        lambda i: f"images/site{i % 3}/{i}.png",
        lambda i: f"labels/site{i % 3}/{i}.png",
        {"images": "images", "masks": "labels", "split.group": r"^([^/]+)/"},
    ),
    "splits below": Case(
        lambda i: f"images/{third(i)}/{i}.png",
        lambda i: f"masks/{third(i)}/{i}.png",
        {"images": "images/{split}/{id}.png"},
        splits=of_split,
    ),
    "splits above, other spellings": Case(
        lambda i: f"{third(i, ('Training', 'validation', 'testing'))}/images/{i}.png",
        lambda i: f"{third(i, ('Training', 'validation', 'testing'))}/masks/{i}.png",
        {"images": "{split}/images/{id}.png", "masks": "{split}/masks/{id}.png"},
        splits=of_split,
    ),
    "CamVid": Case(
        lambda i: f"{third(i)}/0001TP_{i:06d}.png",
        lambda i: f"{third(i)}annot/0001TP_{i:06d}.png",
        {"images": "{split}/{id}.png", "masks": "{split}annot/{id}.png"},
        codes=[0, 1, 2, 3],
        splits=of_split,
    ),
    "Cityscapes": Case(
        lambda i: f"leftImg8bit/{'train' if i < 6 else 'val'}/city{i % 2}/a_{i}_leftImg8bit.png",
        lambda i: f"gtFine/{'train' if i < 6 else 'val'}/city{i % 2}/a_{i}_gtFine_labelIds.png",
        {
            "images": "leftImg8bit/{split}/{id}_leftImg8bit.png",
            "masks": "gtFine/{split}/{id}_gtFine_labelIds.png",
        },
        codes=[0, 7, 8],
        splits=lambda i: "train" if i < 6 else "val",
    ),
    "palette": Case(
        lambda i: f"JPEGImages/{i}.jpg",
        lambda i: f"SegmentationClass/{i}.png",
        {"masks": "SegmentationClass"},
        codes=[0, 1, 2, 5],
        how="P",
    ),
    "colours": Case(
        lambda i: f"images/{i}.png",
        lambda i: f"masks/{i}.png",
        {"classes": {"background": "#000000", "class_40e0d0": "#40e0d0", "class_ff0000": "#ff0000"}},
        codes=["#000000", "#40e0d0", "#ff0000"],
        how="RGB",
    ),
    "16 bits": Case(
        lambda i: f"images/{i}.png",
        lambda i: f"masks/{i}.png",
        {"classes": {"background": 0, "class_300": 300, "class_1000": 1000}},
        codes=[0, 300, 1000],
        how="I;16",
    ),
    "patients in names": Case(
        lambda i: f"images/patient{i // 4:03d}_slice{i % 4}.png",
        lambda i: f"masks/patient{i // 4:03d}_slice{i % 4}.png",
        {"split.group": r"^(?:.*/)?([A-Za-z]*[_-]?\d[^_\-/]*)[_-]"},
        count=16,
    ),
    "scans of people": Case(
        lambda i: f"TCGA_CS_{i // 3}_{i % 3}.tif",
        lambda i: f"TCGA_CS_{i // 3}_{i % 3}_mask.tif",
        {"images": "{id}.tif", "masks": "{id}_mask.tif", "split.group": r"^(?:.*/)?(.+)[_-][A-Za-z]*\d+$"},
        count=12,
    ),
}


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that `new` would have run."""
    ran: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(page.subprocess, "run", run)
    return ran


def opened(segtrain: CommandLine) -> Any:
    """What the written file composes to, as `--config-dir my_conf dataset=mine` has it."""
    search = f"hydra.searchpath=[file://{segtrain.folder / 'my_conf'}]"
    return config.composed("train", [search, "dataset=mine"])


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
    dataset = build_dataset(written)
    assert len(dataset.ids) == case.count
    order = {tuple(image(i)[0, 0]): i for i in range(case.count)}
    for index, split in enumerate(dataset.splits):
        sample = dataset.read(index)
        i = next((i for i in order.values() if np.array_equal(image(i), sample.image)), None)
        if i is None:  # JPEG changes pixels
            i = min(order.values(), key=lambda i: np.abs(image(i).astype(int) - sample.image).mean())
        assert np.array_equal(sample.mask, labels(i, len(case.codes)))
        assert split == case.splits(i)
    assert build_split(written, dataset).train


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
    dataset = build_dataset(written)
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
    dataset = build_dataset(written)
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
    assert ("of the pixels, in 6 of 6 masks" in segtrain_file(segtrain)) and build_dataset(opened(segtrain)).read(0)


def segtrain_file(segtrain: CommandLine) -> str:
    return (segtrain.folder / "my_conf" / "dataset" / "mine.yaml").read_text()


def test_numbered_objects_become_one_class(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    """Cellpose: a mask of 16 bits that numbers its cells."""
    for i in range(6):
        numbers = np.kron(np.arange(80 + i).repeat(1)[: 80 + i], np.ones((1, 4))).astype(np.uint16)
        save(segtrain.folder / f"data/{i}_img.png", Image.fromarray(image(i)[:, :, 0]).resize((numbers.size, 40)))
        save(segtrain.folder / f"data/{i}_masks.png", Image.fromarray(np.repeat(numbers, 40, axis=0)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    assert list(written.dataset.classes) == ["background", "object"] and written.dataset.images == "{id}_img.png"
    dataset = build_dataset(written)
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
    split = build_split(written, build_dataset(written))
    assert len(split.unused) == (2 * written.dataset.split.gap if moving else 0)


def test_a_test_folder_without_masks_is_left_out(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    for i in range(9):
        save(segtrain.folder / f"data/train/images/{i}.png", Image.fromarray(image(i)))
        save(segtrain.folder / f"data/train/masks/{i}.png", mask_image(i, [0, 255], "L"))
        save(segtrain.folder / f"data/test/images/{i}.png", Image.fromarray(image(i + 50)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "test has images without masks" in segtrain.out
    assert len(build_dataset(opened(segtrain)).ids) == 9


def test_grey_among_colour(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    save(segtrain.folder / "data/images/3.png", Image.fromarray(image(3)).convert("L"))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert build_dataset(opened(segtrain)).channels == 3


def test_small_images_get_advice(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "data.crop=32 data.batch_size=16" in segtrain.out and "data.crop=32" in segtrain_file(segtrain)


def test_what_is_asked_is_in_the_file_and_on_the_terminal(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["extensions in one folder"])
    assert segtrain("new", "mine", "data", "--config-dir", "own conf", "seconds=1") == 0, segtrain.err
    text = (segtrain.folder / "own conf" / "dataset" / "mine.yaml").read_text()
    assert text.count("name me") == 2 and yaml.safe_load(text)["classes"]["class_128"] == 128
    assert "yours to tell: name the classes class_128, class_255" in segtrain.out
    assert segtrain.out.splitlines()[-1] == "train: python -m segtrain --config-dir 'own conf' dataset=mine"
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
        assert len(build_dataset(opened(segtrain)).ids) == 9


def test_a_name_that_no_config_can_hold(segtrain: CommandLine) -> None:
    make(segtrain.folder / "${HOME}", CASES["images and masks"])
    assert segtrain("new", "mine", "${HOME}") == 2
    assert "'${HOME}' has ${ in it" in segtrain.err and not (segtrain.folder / "my_conf").exists()


def test_a_failed_check_is_passed_on(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    monkeypatch.setattr(page.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    assert segtrain("new", "mine", "data") == 1
    assert "the check did not pass; mend my_conf/dataset/mine.yaml" in segtrain.err and "train:" not in segtrain.out


@pytest.mark.slow
def test_from_a_folder_to_a_training_in_two_commands(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check runs in a process of its own, as typed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(config.__file__).parents[1]))
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
    assert "images that are there twice: 11 = 25 = 26, 3 = 7" in segtrain.out
    for seed in range(6):
        written = opened(segtrain)
        written.dataset.split.seed = seed
        dataset = build_dataset(written)
        split = build_split(written, dataset)
        parts = {dataset.ids[i]: part for part in ("train", "val", "test") for i in getattr(split, part)}
        assert len(parts) == 30 and parts["3"] == parts["7"] and parts["11"] == parts["25"] == parts["26"]


def test_more_copies_than_fit_in_a_group_are_told(segtrain: CommandLine, unchecked: list[list[str]]) -> None:
    make(segtrain.folder / "data", CASES["images and masks"])
    for b in range(4):
        save(segtrain.folder / f"data/images/{b}.png", Image.fromarray(image(8)))
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert "yours to tell: images that are there twice: 0 = 1 = 2; in two parts they leak" in segtrain.out
    assert opened(segtrain).dataset.split.get("group") is None
