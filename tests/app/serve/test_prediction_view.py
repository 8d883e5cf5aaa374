"""What serve's page shows, by a predictor whose answers are known: no network, no server."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segtrain.app.serve.prediction_view import (
    DEEPEST,
    SIDE,
    PredictionView,
    Question,
    UploadReader,
    probability_picture,
)
from segtrain.data.pixel_meaning import PixelMeaning, span_of
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.parts.computed_size import Computable
from segtrain.parts.input_images import Images
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
def view(predictor: Predictor) -> PredictionView:
    predict: dict[str, Callable[[np.ndarray], Any]] = {
        "none": predictor.predict,
        "flips": lambda image: predictor.predict(image[::-1]),
    }
    return PredictionView(
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


def test_pictures_are_of_one_size_and_show_the_labels(view: PredictionView, tmp_path: Path) -> None:
    shown = view.show(Question(saved(tmp_path, halves())))
    times = SIDE // 60
    pictures = [shown.image, shown.mask, shown.overlay, *shown.probabilities]
    assert all(p.shape == (40 * times, 60 * times, 3) and p.dtype == np.uint8 for p in pictures)
    assert (shown.mask[: 10 * times] == PALETTE[1]).all() and (shown.mask[10 * times :] == 0).all()
    assert (shown.overlay != shown.image).any(2)[: 10 * times].all()  # tinted, or its contour
    assert (shown.overlay == shown.image)[10 * times :].all()
    brightness = [p[0, 0].astype(int).sum() for p in shown.probabilities]
    assert brightness[1] > brightness[0] > brightness[2]  # 200/255, 55/255, 0


def test_the_legend_names_each_class_with_its_share(view: PredictionView, tmp_path: Path) -> None:
    legend = view.show(Question(saved(tmp_path, halves()))).legend
    assert legend.count("<li>") == 3 and "a &lt;b&gt;" in legend and "<b>" not in legend
    for share, colour in (("75.00%", PALETTE[0]), ("25.00%", PALETTE[1]), ("0.00%", PALETTE[2])):
        assert f">{share}<" in legend and f"rgb{colour}" in legend


def test_the_png_holds_the_labels_at_full_size(view: PredictionView, tmp_path: Path) -> None:
    image = np.zeros((30, 2 * SIDE + 3, 1), np.uint8)
    image[:, -3:] = 255
    shown = view.show(Question(saved(tmp_path, image)))
    assert shown.mask.shape == (15, SIDE, 3)
    with Image.open(io.BytesIO(shown.png)) as png:
        assert png.mode == "P" and (np.asarray(png) == (image[..., 0] > 127)).all()
        assert tuple(np.asarray(png.convert("RGB"))[0, -1]) == PALETTE[1]


def test_the_same_question_is_answered_once(view: PredictionView, predictor: Predictor, tmp_path: Path) -> None:
    path = saved(tmp_path, halves())
    first = view.show(Question(path))
    assert view.show(Question(path)) is first and predictor.asked == 1
    assert (view.show(Question(path, views="flips")).mask != first.mask).any() and predictor.asked == 2
    shifted = view.show(Question(path, shift="photometric", strength=2.0))
    assert predictor.asked == 3 and (shifted.image != first.image).any()
    assert "photometric at strength 2" in shifted.facts and "shift" not in first.facts


def test_a_shift_of_16_bits_is_seen(view: PredictionView, tmp_path: Path) -> None:
    """The grey scale is the unshifted image's: scaled for itself, a brighter image would look the same."""
    image = np.random.default_rng(0).integers(0, 30000, (40, 60, 1)).astype(np.uint16)
    path = saved(tmp_path, image)
    plain = view.show(Question(path)).image.astype(float).mean()
    means = [view.show(Question(path, shift="photometric", strength=2.0, draw=n)).image.mean() for n in range(4)]
    assert max(abs(mean - plain) for mean in means) > 10


@given(st.integers(1, 3 * SIDE), st.integers(1, 40))
def test_no_picture_is_longer_than_its_side(height: int, width: int) -> None:
    picture = probability_picture(np.full((height, width), 0.5, np.float32))
    assert max(picture.shape) <= SIDE and min(picture.shape) >= 1
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() <= 4  # means round


RANDOM = np.random.default_rng(0)


def computable(most: int, channels: int = 1) -> Computable:
    return Computable(
        channels=channels,
        classes=3,
        windows=Windows(),
        whole=1024**2,
        least=(0, 0),
        most_pixels=most,
        most_gigabytes=1,
        is_in_one=True,
    )


def upload(channels: int, most: int = 1024, **reading: object) -> UploadReader:
    """Of images up to 32 x 32, to which smaller ones are grown."""
    return UploadReader(Images(reading, channels), computable(most, channels), most)


def test_pixels_come_as_stored(tmp_path: Path) -> None:
    colour = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.png")
    image, words = upload(3).read(tmp_path / "a.png")
    assert (image == colour).all() and words == ""
    deep = RANDOM.integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    assert (upload(1).read(tmp_path / "b.png")[0][..., 0] == deep).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pages_of_a_tiff_are_what_the_runs_were(tmp_path: Path, dtype: str) -> None:
    pages = (RANDOM.random((5, 20, 30)) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    image, words = upload(5, kind="Tiff", pages="channels").read(tmp_path / "a.tif")
    assert image.dtype == dtype and (image == np.moveaxis(pages, 0, 2)).all() and words == ""
    image, words = upload(1, kind="Tiff", pages="samples").read(tmp_path / "a.tif")
    assert (image[..., 0] == pages[2]).all() and words == "page 2 of 0 to 4"
    assert (upload(1).read(tmp_path / "a.tif", 4)[0][..., 0] == pages[4]).all()
    with pytest.raises(UserError, match="has 5 pages; expected a page from 0 to 4"):
        upload(1).read(tmp_path / "a.tif", 5)


def test_slices_of_a_scan(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 256, (12, 10, 7)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    image, words = upload(1).read(tmp_path / "a.nii.gz")
    assert words == "page 3 of 0 to 6" and sorted(image.ravel()) == sorted(values[..., 3].ravel())


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 33), np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, 33), np.uint8))
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 1, 33), np.uint8), np.eye(4)), tmp_path / "a.nii")
    for name, size, grown in (("a.png", "33 x 1", "2,048"), ("a.tif", "33 x 1", "2,048"), ("a.nii", "33 x 5", "2,048")):
        with pytest.raises(UserError, match=rf"is {size} pixels, {grown} once .*; expected up to 1,024; .*max_pixels="):
            upload(1).read(tmp_path / name)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((DEEPEST + 1, 32, 32), np.uint8))
    with pytest.raises(UserError, match=f"32 x 32 x {DEEPEST + 1} pixels"):
        upload(1).read(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((DEEPEST, 32, 32), np.uint8))
    assert upload(1).read(tmp_path / "c.tif")[0].shape == (32, 32, 1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.nii", "a.nii.gz"])
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no picture at all")
    with pytest.raises(UserError, match=rf"'.*{name}' cannot be read"):
        upload(1).read(tmp_path / name)


def test_another_depth_than_the_trainings_is_refused(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)
    known = PixelMeaning.of([span_of(pixels[..., None])])
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png' has uint16 pixels; expected uint8"):
        UploadReader(Images({}, 1, pixels=[known]), computable(1024), 1024).read(tmp_path / "a.png")


def test_other_channels_than_the_networks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="has 3 channels; expected 1"):
        upload(1).read(tmp_path / "a.png")


def test_pixels_that_hold_nothing_are_told(tmp_path: Path) -> None:
    values = RANDOM.integers(1, 256, (20, 30), dtype=np.uint8)
    values[:5] = 0
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42113, 2, 0, "0", False)])
    image, words = upload(1).read(tmp_path / "a.tif")
    assert (image[:5] == np.rint(values[5:].mean())).all() and "25.0% hold nothing" in words
