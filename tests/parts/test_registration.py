"""What the verbs say of an image lies where the image has it, whatever the way: windows, views, ONNX, pictures."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.app.preview import sheets
from segtrain.app.serve.prediction_view import PredictionView, Question
from segtrain.config.trust import trust
from segtrain.draw import pictures
from segtrain.parts import input_images as images
from segtrain.parts.policy import Shifts
from segtrain.parts.predictor import load_predictor
from tests.conftest import SMALL, CommandLine, train
from tests.registered_data import save
from tests.registration import Array, large_pair, offset, reddish, scene

CLOSE = 0.06  # px, of a mean over some scenes: see tests/test_registration.py
PALETTE = ((0, 0, 0), (230, 0, 0))
NAMES = ("background", "cell")
SIZES = [(79, 90), (97, 131), (64, 96), (150, 101)]  # most are no multiples of the stride
OURS = ["trust=[tests]"]
COMMON = [option for option in SMALL if not option.startswith(("dataset", "model", "+model", "data.crop"))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a network that says what is bright, on images whose objects are bright to the pixel."""
    folder = tmp_path_factory.mktemp("registered")
    for seed in range(12):
        labels = scene(seed, *SIZES[seed % 4]).labels
        save(folder / f"data/images/{seed}.png", np.repeat((40 + 160 * labels)[..., None], 3, 2))
        save(folder / f"data/masks/{seed}.png", 255 * labels)
    data = ["dataset=folder", f"dataset.root={folder}/data", "dataset.classes={background:0,cell:255}", "data.crop=64"]
    (folder / "conf/model").mkdir(parents=True)
    (folder / "conf/model/bright.yaml").write_text("_target_: tests.registered_network.Bright\n")
    network = ["--config-dir", "conf", "model=bright", "optimizer.lr=1e-12"]
    return train(folder, *network, *data, *COMMON, *OURS, "trainer.max_epochs=1")


@pytest.fixture
def soft(segtrain: CommandLine) -> list[Array]:
    """Files data/0.png, …, whose objects cover parts of pixels; their images."""
    drawn = [scene(seed, *SIZES[seed % 4]).rgb for seed in range(8)]
    for number, image in enumerate(drawn):
        save(segtrain.folder / f"data/{number}.png", image)
    return drawn


def labels_of(folder: Path, count: int, suffix: str = "png") -> Iterator[Array]:
    for number in range(count):
        with Image.open(folder / f"{number}.{suffix}") as opened:
            yield np.array(opened)


def close(pairs: Any) -> bool:
    found = np.array([offset(image, labels) for image, labels in pairs])
    return bool((np.abs(found.mean(0)) < CLOSE).all() and (np.abs(found) < 0.2).all())


WAYS = {
    "whole": [],
    "windows": ["window=64", "whole=32"],
    "flips and turns": ["views=[flips,turns]"],
    "scales": ["views=[scales]"],
    "scales of windows": ["views=[flips,scales]", "window=[64,96]", "whole=32", "overlap=0.5"],
}


@pytest.mark.parametrize("way", list(WAYS))
def test_predicted_labels_lie_where_the_image_has_them(
    way: str, run: Path, soft: list[Array], segtrain: CommandLine
) -> None:
    assert segtrain("predict", f"run={run}", "input=data", "output=out", *WAYS[way], *OURS) == 0, segtrain.err
    assert close(zip(soft, labels_of(segtrain.folder / "out", len(soft)), strict=True))


def test_a_large_file_by_rows_and_its_overlay(
    run: Path, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGE", 0)
    monkeypatch.setattr(
        "segtrain.app.predict.output_folder.MOST_OVERLAY", 100
    )  # of larger ones every second pixel is shown
    pairs = [large_pair(seed, 190, 171) for seed in range(4)]
    (segtrain.folder / "data").mkdir()
    for number, (image, _) in enumerate(pairs):
        tifffile.imwrite(segtrain.folder / f"data/{number}.tif", image, photometric="rgb", tile=(64, 48))
    typed = ["input=data", "output=out", "window=64", "whole=32", "overlay=true"]
    assert segtrain("predict", f"run={run}", *typed, *OURS) == 0, segtrain.err
    for (_, truth), found in zip(pairs, labels_of(segtrain.folder / "out", 4, "tif"), strict=True):
        np.testing.assert_array_equal(found, truth)
    for number, (image, _) in enumerate(pairs):
        with Image.open(segtrain.folder / f"out/{number}_overlay.png") as opened:
            shown = np.array(opened)
        drawn = (shown != image[::2, ::2]).any(2)
        np.testing.assert_array_equal(drawn, image[::2, ::2, 0] > 100)


@pytest.mark.parametrize("way", list(WAYS))
def test_evaluate_finds_every_label_where_it_is(way: str, run: Path, segtrain: CommandLine) -> None:
    typed = [option for option in WAYS[way] if not option.startswith("whole")]
    assert segtrain("evaluate", f"run={run}", "split=all", "surface=false", *typed, *OURS) == 0, segtrain.err
    (file,) = (segtrain.folder / "outputs/evaluate").glob("*/*/*/results.json")
    dice = json.loads(file.read_text())["all/dice"]
    assert dice > 0.9 if "scales" in way else dice == 1, dice  # edges that were scaled are soft, but stay in place


@pytest.mark.slow
def test_an_exported_file_says_the_same_by_views(run: Path, soft: list[Array], segtrain: CommandLine) -> None:
    pytest.importorskip("onnxruntime")
    assert segtrain("export", f"run={run}", "output=model.onnx", "card=false", *OURS) == 0, segtrain.err
    typed = ["model=model.onnx", "input=data", "output=out", "views=[scales]"]
    assert segtrain("predict", *typed) == 0, segtrain.err
    assert close(zip(soft, labels_of(segtrain.folder / "out", len(soft)), strict=True))


def test_the_page_of_serve_shows_labels_where_the_image_has_them(run: Path) -> None:
    trust(["tests"])
    predictor = load_predictor(run)
    pairs = [large_pair(seed, *size)[0] for seed, size in enumerate([(1301, 1100), (600, 1280)])]
    shifts = Shifts([], 255, [])
    look = PredictionView(
        {"none": predictor.predict}, lambda path, page: (pairs[int(path.name)], ""), shifts, NAMES, PALETTE, 255
    )
    shown = [look.show(Question(str(number))) for number in range(2)]
    assert close((one.image, reddish(one.mask)) for one in shown)
    assert close((one.image, reddish(one.overlay)) for one in shown)


PAIRS = [
    large_pair(seed, height, width) for seed, (height, width) in enumerate([(512, 512), (700, 431), (333, 640)] * 2)
]


def tiles() -> list[tuple[Array, Array]]:
    """The image and the truth of the sheet of predictions."""
    found = [pictures.prediction_tiles(image, mask, mask, PALETTE, NAMES, 255) for image, mask in PAIRS]
    return [(one[0], reddish(one[1])) for one in found]


def thumbnails(folder: Path) -> list[tuple[Array, Array]]:
    """A pair of truth and prediction a sample, JPEG: the green channel is the image, red is drawn over it."""
    pictures.thumbnails(folder / "t.jpg", [("", image, mask, mask) for image, mask in PAIRS], PALETTE, 255)
    with Image.open(folder / "t.jpg") as opened:
        sheet = np.array(opened)
    side = pictures.THUMBNAIL
    squares = [sheet[:side, 2 * side * number : 2 * side * number + side] for number in range(len(PAIRS))]
    sizes = [np.rint(np.array(mask.shape) * side / max(mask.shape)).astype(int) for _, mask in PAIRS]
    shown = [square[: size[0], : size[1]] for square, size in zip(squares, sizes, strict=True)]
    return [(one[..., 1], reddish(one)) for one in shown]


def inlined(page: Path) -> list[Array]:
    """The pictures inside a page."""
    contents = re.findall(r"base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    return [np.array(Image.open(io.BytesIO(base64.b64decode(content)))) for content in contents]


class Known:
    """What write_page asks of a data set."""

    classes, palette, ignore_index = NAMES, PALETTE, 255


def page(folder: Path) -> list[tuple[Array, Array]]:
    """The pictures of preview's page: each image, and the same drawn over."""
    strips = [sheets.Strip(str(number), [sheets.Version("0", pair, {})]) for number, pair in enumerate(PAIRS)]
    known: Any = Known()
    path = sheets.write_page(folder, "", "", [sheets.Sheet("a", "", "", strips)], known)
    found = inlined(path)
    return [(image, reddish(over)) for image, over in zip(found[::2], found[1::2], strict=True)]


@pytest.mark.parametrize("shown", [lambda _: tiles(), thumbnails, page], ids=["tiles", "thumbnails", "page"])
def test_pictures_show_labels_where_the_image_has_them(
    shown: Callable[[Path], list[tuple[Array, Array]]], tmp_path: Path
) -> None:
    pairs = shown(tmp_path)
    assert len(pairs) == len(PAIRS) and close(pairs)


def test_the_page_of_check_shows_labels_where_the_image_has_them(segtrain: CommandLine) -> None:
    halved = [large_pair(seed, 320, 250) for seed in range(6)]  # where the pixel at the middle lies a quarter off
    for number, (image, mask) in enumerate(halved):
        for copy in "ab":  # copies are shown
            save(segtrain.folder / f"data/images/{number}{copy}.png", image)
            save(segtrain.folder / f"data/masks/{number}{copy}.png", 255 * mask)
    known = ["dataset.root=data", "dataset.classes={background:0,cell:255}", "dataset.palette=[[0,0,0],[230,0,0]]"]
    segtrain("check", "dataset=folder", *known, "parts=[data]")
    (path,) = (segtrain.folder / "outputs/check").glob("*/*/check.html")
    halves = [np.split(one, 2, 1) for one in inlined(path)]
    assert len(halves) >= len(halved) and close((image, reddish(over)) for image, over in halves)
