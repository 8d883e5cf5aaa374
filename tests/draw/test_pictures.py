"""Pictures show what they say: checked on the pixels that come back from the PNG."""

import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from segtrain.draw.pictures import augmented_sheet, curves, overlay, predictions_sheet, thumbnailed, to_rgb
from segtrain.draw.sheet import GAP

pytestmark = pytest.mark.usefixtures("laid_out")

PALETTE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
NAMES = ("background", "cell", "nucleus")
IGNORE = 255


def scene(height=64, width=48, channels=1, dtype=np.uint8):
    image = np.full((height, width, channels), 100, dtype)
    image[:4] = 20
    mask = np.zeros((height, width), np.uint8)
    mask[8:30, 8:30], mask[20:40, 20:40], mask[:, -4:] = 1, 2, IGNORE
    return image, mask


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def has(shown, colour):
    return bool((shown == colour).all(-1).any())


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool])
def test_any_image_becomes_rgb(channels, dtype):
    image = np.random.default_rng(0).integers(0, 200, (9, 7, channels)).astype(dtype)
    before = image.copy()
    shown = to_rgb(image)
    assert shown.shape == (9, 7, 3) and shown.dtype == np.uint8
    assert np.array_equal(image, before)
    if channels < 3:
        assert np.array_equal(shown[..., 0], shown[..., 2])
    if dtype == np.uint8:
        assert np.array_equal(shown, image[..., :3] if channels >= 3 else image[..., [0, 0, 0]])


def test_scaling_is_not_moved_by_hot_or_broken_pixels():
    image = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100, 1)
    plain = to_rgb(image)
    image[50, 50], image[50, 51], image[50, 52], image[50, 53] = 1e6, np.nan, np.inf, -np.inf
    hot = to_rgb(image)
    assert np.abs(np.delete(hot, 50, 0).astype(int) - np.delete(plain, 50, 0)).max() <= 1
    assert hot[50, 50:54, 0].tolist() == [255, 0, 255, 0]


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_constant_image_can_be_shown(value):
    assert len(np.unique(to_rgb(np.full((5, 5, 1), value, np.float32)))) == 1


def test_overlay_marks_classes_and_leaves_background():
    image, mask = scene()
    before = image.copy()
    shown = overlay(image, mask, PALETTE, IGNORE)
    assert np.array_equal(image, before)
    assert np.array_equal(shown[mask == 0], to_rgb(image)[mask == 0])
    assert tuple(shown[8, 8]) == PALETTE[1] and tuple(shown[39, 39]) == PALETTE[2]  # contours
    inside = shown[15, 15].astype(int)
    assert inside[0] > 100 > inside[2] and inside[1] > 60  # a light fill: the image shows through
    assert not (shown == PALETTE[1]).all(-1)[mask != 1].any()  # inside its own class
    assert len(np.unique(shown[mask == IGNORE], axis=0)) == 2  # stripes


def test_overlay_draws_class_0_when_it_has_a_colour():
    image, mask = scene()
    assert has(overlay(image, mask, ((0, 255, 0), *PALETTE[1:]), IGNORE), (0, 255, 0))


def test_augmented_sheet_keeps_a_change_of_brightness_visible(tmp_path):
    image, mask = scene(64, 64, dtype=np.float32)
    views = [(image, mask), (image * 0.25, mask)]
    augmented_sheet(tmp_path / "a.png", [("s", views)], PALETTE, NAMES, IGNORE)
    sheet = pixels(tmp_path / "a.png")
    first, second = sheet[200, GAP + 200], sheet[200, 2 * GAP + 256 + 200]
    assert first[0] > 2 * second[0]


def test_augmented_sheet_has_a_tile_a_view_and_a_legend_for_what_it_shows(tmp_path):
    rows = [(f"sample_{index}", [scene(64, 64) for _ in range(3)]) for index in range(2)]
    augmented_sheet(tmp_path / "a.png", rows, PALETTE, NAMES, IGNORE, ["original", "epoch 1", "epoch 2"])
    sheet = pixels(tmp_path / "a.png")
    assert sheet.shape[1] == 3 * (256 + GAP) + GAP
    assert sheet.shape[0] > 4 * (256 + GAP)
    legend = sheet[-30:]
    assert has(legend, PALETTE[1]) and has(legend, PALETTE[2])


def test_predictions_sheet_colours_each_kind_of_error(tmp_path):
    image, mask = scene(128, 128)
    pred = mask.copy()
    pred[mask == IGNORE] = 2  # ignored: no error
    items = [("right", image, mask, pred, {"cell": 1.0, "nucleus": math.nan})]
    predictions_sheet(tmp_path / "right.png", items, PALETTE, NAMES, IGNORE)
    kinds = {"missed": (213, 94, 0), "extra": (86, 180, 233), "confused": (240, 228, 66)}
    tiles = pixels(tmp_path / "right.png")[:300]  # without the legend
    assert not any(has(tiles, colour) for colour in kinds.values())
    for kind, before, after in (("missed", 1, 0), ("extra", 0, 1), ("confused", 1, 2)):
        pred = mask.copy()
        pred[mask == before] = after
        predictions_sheet(tmp_path / "p.png", [("wrong", image, mask, pred, {})], PALETTE, NAMES, IGNORE)
        tiles = pixels(tmp_path / "p.png")[:300]
        assert [name for name, colour in kinds.items() if has(tiles, colour)] == [kind]


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (1000, 20), (513, 511)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_size_and_many_classes_fit(tmp_path, size, dtype):
    rng = np.random.default_rng(0)
    names = [f"a class with a $long$ name {index}" for index in range(30)]
    palette = [tuple(int(part) for part in rng.integers(0, 256, 3)) for _ in names]
    image = rng.integers(0, 255, (*size, 3)).astype(dtype)
    mask = rng.integers(0, 30, size).astype(np.int64)
    items = [("x" * 200 + "_$1$.png", image, mask, mask.astype(np.uint8), dict.fromkeys(names, 0.5))]
    predictions_sheet(tmp_path / "p.png", items, palette, names, IGNORE)
    assert pixels(tmp_path / "p.png").shape[1] <= 4 * (256 + GAP) + GAP


def test_sheets_of_nothing(tmp_path):
    augmented_sheet(tmp_path / "a.png", [], PALETTE, NAMES, IGNORE)
    predictions_sheet(tmp_path / "p.png", [], PALETTE, NAMES, IGNORE)
    assert pixels(tmp_path / "a.png").size and pixels(tmp_path / "p.png").size


def metrics(count):
    for epoch in range(count):
        dice = {"val/dice": 1 - 1 / (epoch + 2), "val/dice/cell": math.nan, "val/dice/nucleus": 0.5}
        yield {
            "epoch": epoch,
            "step": epoch,
            "train/loss": 1.0,
            "train/lr": 1e-3,
            **(dice if epoch % 2 else {}),
        }


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_curves_of_any_length(tmp_path, count):
    curves(tmp_path / "curves.png", list(metrics(count)))
    picture = pixels(tmp_path / "curves.png")
    assert picture.shape[1] == 900 and (len(np.unique(picture.reshape(-1, 3), axis=0)) > 2)


def test_curves_depend_on_the_best_epoch_and_on_nothing_unnamed(tmp_path):
    rows = [{"epoch": e, "step": e, "train/loss": 1.0, "val/dice": d} for e, d in enumerate((0.1, 0.9, 0.3))]
    curves(tmp_path / "a.png", rows)
    curves(tmp_path / "b.png", [{**row, "other": 7.0} for row in rows])
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    rows[2]["val/dice"] = 0.95
    curves(tmp_path / "b.png", rows)
    loss_panel = slice(30, 250)  # the same losses, but the line of the best epoch has moved
    assert not np.array_equal(pixels(tmp_path / "a.png")[loss_panel], pixels(tmp_path / "b.png")[loss_panel])


def test_no_pyplot_and_no_torch():
    code = "import sys, segtrain.draw.pictures; print(sorted({'matplotlib.pyplot', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_which_images_have_a_thumbnail_stays_as_it_is_in_old_runs() -> None:
    """By this rule a report finds an image in the thumbnails.jpg of a run that was made long ago."""
    names = [f"{number:03d}" for number in range(100)]
    kept = thumbnailed(names)
    assert kept == [names[number * 100 // 64] for number in range(64)] and kept[-1] == "098"
    assert thumbnailed(names[:64]) == names[:64]
