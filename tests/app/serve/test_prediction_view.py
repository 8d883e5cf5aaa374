"""What serve's page shows, by a predictor whose answers are known: no network, no server."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segtrain.app.serve.prediction_view import SIDE, Asked, Look, probability_picture
from segtrain.parts.policy import Shifts

CLASSES, PALETTE = ("background", "a <b>", "c"), ((0, 0, 0), (230, 159, 0), (86, 180, 233))


class Thirds(NamedTuple):
    labels: np.ndarray
    probabilities: np.ndarray


class Predictor:
    """Bright pixels are class 1, sure to a share; class 2 nowhere. Counts how often it is asked."""

    asked = 0

    def predict(self, image: np.ndarray) -> Thirds:
        self.asked += 1
        share = image[..., 0].astype(np.float32) / 255
        labels = (share > 0.5).astype(np.uint8)
        return Thirds(labels, np.stack([1 - share, share, 0 * share]))


@pytest.fixture
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture
def look(predictor: Predictor) -> Look:
    predict: dict[str, Callable[[np.ndarray], Any]] = {
        "none": predictor.predict,
        "flips": lambda image: predictor.predict(image[::-1]),
    }
    return Look(
        predict,
        lambda path, page: (np.load(path), "" if page is None else f"page {page}"),
        Shifts(["photometric"], 255),
        CLASSES,
        PALETTE,
        255,
    )


def saved(folder: Path, image: np.ndarray) -> str:
    path = folder / "image.npy"
    np.save(path, image)
    return str(path)


def halves(height: int = 40, width: int = 60) -> np.ndarray:
    image = np.zeros((height, width, 1), np.uint8)
    image[: height // 4] = 200
    return image


def test_pictures_are_of_one_size_and_show_the_labels(look: Look, tmp_path: Path) -> None:
    shown = look.show(Asked(saved(tmp_path, halves())))
    times = SIDE // 60
    pictures = [shown.image, shown.mask, shown.overlay, *shown.probabilities]
    assert all(p.shape == (40 * times, 60 * times, 3) and p.dtype == np.uint8 for p in pictures)
    assert (shown.mask[: 10 * times] == PALETTE[1]).all() and (shown.mask[10 * times :] == 0).all()
    assert (shown.overlay != shown.image).any(2)[: 10 * times].all()  # tinted, or its contour
    assert (shown.overlay == shown.image)[10 * times :].all()
    brightness = [p[0, 0].astype(int).sum() for p in shown.probabilities]
    assert brightness[1] > brightness[0] > brightness[2]  # 200/255, 55/255, 0


def test_the_legend_names_each_class_with_its_share(look: Look, tmp_path: Path) -> None:
    legend = look.show(Asked(saved(tmp_path, halves()))).legend
    assert legend.count("<li>") == 3 and "a &lt;b&gt;" in legend and "<b>" not in legend
    for share, colour in (("75.00%", PALETTE[0]), ("25.00%", PALETTE[1]), ("0.00%", PALETTE[2])):
        assert f">{share}<" in legend and f"rgb{colour}" in legend


def test_the_png_holds_the_labels_at_full_size(look: Look, tmp_path: Path) -> None:
    image = np.zeros((30, 2 * SIDE + 3, 1), np.uint8)
    image[:, -3:] = 255
    shown = look.show(Asked(saved(tmp_path, image)))
    assert shown.mask.shape == (15, SIDE, 3)
    with Image.open(io.BytesIO(shown.png)) as png:
        assert png.mode == "P" and (np.asarray(png) == (image[..., 0] > 127)).all()
        assert tuple(np.asarray(png.convert("RGB"))[0, -1]) == PALETTE[1]


def test_the_same_question_is_answered_once(look: Look, predictor: Predictor, tmp_path: Path) -> None:
    path = saved(tmp_path, halves())
    first = look.show(Asked(path))
    assert look.show(Asked(path)) is first and predictor.asked == 1
    assert (look.show(Asked(path, views="flips")).mask != first.mask).any() and predictor.asked == 2
    shifted = look.show(Asked(path, shift="photometric", strength=2.0))
    assert predictor.asked == 3 and (shifted.image != first.image).any()
    assert "photometric at strength 2" in shifted.facts and "shift" not in first.facts


def test_a_shift_of_16_bits_is_seen(look: Look, tmp_path: Path) -> None:
    """The grey scale is the unshifted image's: scaled for itself, a brighter image would look the same."""
    image = np.random.default_rng(0).integers(0, 30000, (40, 60, 1)).astype(np.uint16)
    path = saved(tmp_path, image)
    plain = look.show(Asked(path)).image.astype(float).mean()
    means = [look.show(Asked(path, shift="photometric", strength=2.0, draw=n)).image.mean() for n in range(4)]
    assert max(abs(mean - plain) for mean in means) > 10


@given(st.integers(1, 3 * SIDE), st.integers(1, 40))
def test_no_picture_is_longer_than_its_side(height: int, width: int) -> None:
    picture = probability_picture(np.full((height, width), 0.5, np.float32))
    assert max(picture.shape) <= SIDE and min(picture.shape) >= 1
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() <= 4  # means round
