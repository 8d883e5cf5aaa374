"""Files as the run's training read its own."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.data.datasets import Folder, Tiff, Volume
from segtrain.data.pixel_meaning import PixelMeaning, spacings_of, span_of
from segtrain.errors import UserError
from segtrain.parts import input_images as images
from segtrain.parts.input_images import Images, InputFile

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (20, 30), np.uint8)
RGB = RNG.integers(0, 255, (20, 30, 3), np.uint8)


def whole(opened: InputFile, page: int = 0) -> np.ndarray[Any, Any]:
    found = np.concatenate([opened.rows(page, 0, 7), opened.rows(page, 7, opened.height)])
    assert found.shape[:2] == (opened.height, opened.width)
    return found


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_pictures_are_read_as_by_the_dataset(tmp_path: Path, ending: str, channels: int | None) -> None:
    for side in ("images", "masks"):
        (tmp_path / side).mkdir()
    Image.fromarray(RGB).save(tmp_path / f"images/a.{ending}")
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "masks/a.png")
    dataset = Folder(tmp_path, {"background": 0}, channels=channels)
    opened = Images({"kind": "Folder", "channels": channels}, dataset.channels).open(tmp_path / f"images/a.{ending}")
    np.testing.assert_array_equal(whole(opened), dataset.read(0).image)
    assert opened.kind == "image" and opened.pages == 1


def test_another_number_of_channels_is_said(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png' .*1 channels.* expected 3"):
        Images({"kind": "Folder", "channels": None}, 3).open(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    with pytest.raises(UserError, match=r"1 channels.* expected 5 .*\[0, 4\]"):
        Images({"kind": "Tiff", "channels": [0, 4]}, 2).open(tmp_path / "a.tif")


def test_channels_of_a_tiff_run_are_taken_as_in_training(tmp_path: Path) -> None:
    for side in ("images", "masks"):
        (tmp_path / side).mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", RNG.integers(0, 9999, (5, 20, 30)).astype(np.uint16))
    tifffile.imwrite(tmp_path / "masks/a.tif", np.zeros((20, 30), np.uint8))
    dataset = Tiff(tmp_path, {"background": 0}, channels=[4, 0])
    opened = Images({"kind": "Tiff", "channels": [4, 0], "pages": "channels"}, 2).open(tmp_path / "images/a.tif")
    np.testing.assert_array_equal(whole(opened), dataset.read(0).image)


def test_pages_are_images_unless_the_run_took_them_for_channels(tmp_path: Path) -> None:
    stack = np.stack([GREY, 255 - GREY, GREY // 2])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    opened = Images({"kind": "Folder"}, 1).open(tmp_path / "a.tif")
    assert (opened.kind, opened.pages) == ("stack", 3)
    for page in (2, 0, 1):
        np.testing.assert_array_equal(whole(opened, page)[..., 0], stack[page])
    assert Images({"kind": "Folder"}, 3, pages="channels").open(tmp_path / "a.tif").pages == 1


def test_a_large_tiff_is_read_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGE", 500)
    tifffile.imwrite(tmp_path / "a.tif", RGB, tile=(16, 16), compression="zlib")
    opened = Images({"kind": "Folder", "channels": 1}, 1).open(tmp_path / "a.tif")
    assert opened.kind == "large"
    monkeypatch.setattr(images, "LARGE", 5000)
    expected = Images({"kind": "Folder", "channels": 1}, 1).open(tmp_path / "a.tif")
    assert expected.kind == "image"
    np.testing.assert_array_equal(whole(opened), whole(expected))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"window": [-50, 150]}, {"normalise": "zscore"}, {"normalise": "percentile"}])
def test_slices_of_a_scan_are_those_of_the_dataset(tmp_path: Path, axis: int, options: dict[str, Any]) -> None:
    voxels = RNG.integers(-100, 300, (6, 8, 9)).astype(np.int16)
    affine = np.diag([-1.0, 2, 3, 1])[[1, 0, 2, 3]]
    for side, content in (("images", voxels), ("labels", np.zeros_like(voxels))):
        (tmp_path / side).mkdir()
        nibabel.save(nibabel.Nifti1Image(content, affine), tmp_path / side / "a.nii.gz")
    dataset = Volume(tmp_path, {"background": 0}, axis=axis, **options)
    reading = {"kind": "Volume", "axis": axis, "percentiles": [0.5, 99.5], **options}
    opened = Images(reading, 1).open(tmp_path / "images/a.nii.gz")
    assert (opened.kind, opened.pages) == ("volume", len(dataset.ids))
    for page in range(opened.pages):
        np.testing.assert_array_equal(whole(opened, page), dataset.read(page).image)


def test_a_picture_is_no_scan(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="is no NIfTI file"):
        Images({"kind": "Volume", "axis": 2}, 1).open(tmp_path / "a.png")


@pytest.mark.parametrize(("choice", "message"), [({"axis": 3}, "axis is 3"), ({"pages": "all"}, "pages is 'all'")])
def test_choices_that_cannot_be_are_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Images({}, 1, **choice)


MEANT: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
    "0 is white": (GREY, {"photometric": "miniswhite"}),
    "0 is white, 16 bits": (GREY.astype(np.uint16) * 200, {"photometric": "miniswhite"}),
    "nodata": (GREY, {"extratags": [(42113, 2, 0, "9", False)]}),
    "nodata of 16 bits": (GREY.astype(np.uint16) * 200, {"extratags": [(42113, 2, 0, "1800", False)]}),
    "nodata of floats": (GREY.astype(np.float32) / 3, {"extratags": [(42113, 2, 0, "3", False)]}),
    "nodata of colours": (RGB, {"extratags": [(42113, 2, 0, "9", False)]}),
    "nodata, and 0 is white": (GREY, {"photometric": "miniswhite", "extratags": [(42113, 2, 0, "9", False)]}),
    "not a number": (
        np.where(GREY == 9, np.nan, GREY).astype(np.float32),
        {"extratags": [(42113, 2, 0, "nan", False)]},
    ),
}


@pytest.mark.parametrize("what", MEANT)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", [Folder, Tiff])
def test_what_a_file_says_of_its_pixels_is_heeded_as_in_training(
    what: str, large: bool, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read whole or by rows, by both of our decoders."""
    pixels, options = MEANT[what]
    pixels = pixels.copy()
    pixels[3:5, 2:9] = 3 if "float" in what else 1800 if "16" in what else 9
    for side, array, more in (("images", pixels, options), ("masks", np.zeros((20, 30), np.uint8), {})):
        (tmp_path / side).mkdir()
        tifffile.imwrite(tmp_path / f"{side}/a.tif", array, **more)  # type: ignore[arg-type]
    dataset = kind(tmp_path, {"background": 0})
    image, mask = dataset.read(0)
    monkeypatch.setattr(images, "LARGE", 0 if large else images.LARGE)
    opened = Images({"kind": kind.__name__, "channels": None}, dataset.channels).open(tmp_path / "images/a.tif")
    assert opened.kind == ("large" if large else "image")
    np.testing.assert_array_equal(whole(opened), image)
    found = [opened.missing(0, 0, 7), opened.missing(0, 7, 20)]
    missing = np.concatenate(
        [np.zeros((n, 30), bool) if one is None else one for n, one in zip((7, 13), found, strict=True)]
    )
    np.testing.assert_array_equal(missing, mask == 255)
    assert missing.any() == opened.has_nodata == ("nodata" in what or "not a" in what)


GEOREFERENCE = [
    (33550, 12, 3, (0.5, 0.5, 0.0), False),
    (33922, 12, 6, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0), False),
    (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32611), False),
    (34737, 2, 0, "WGS 84 / UTM zone 11N|", False),
]


@pytest.mark.parametrize("large", [False, True])
def test_the_georeference_of_a_file_is_known(large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGE", 0 if large else images.LARGE)
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=GEOREFERENCE)
    known = Images({"kind": "Folder"}, 1).open(tmp_path / "a.tif").georeference
    tifffile.imwrite(tmp_path / "b.tif", GREY, extratags=known)
    for file in ("a", "b"):
        with tifffile.TiffFile(tmp_path / f"{file}.tif") as opened:
            tags = {code: opened.pages[0].tags.valueof(code) for code, *_ in GEOREFERENCE}  # type: ignore[union-attr]
        assert tags == {code: value for code, _, _, value, _ in GEOREFERENCE}
    Image.fromarray(GREY).save(tmp_path / "c.tif")
    assert Images({"kind": "Folder"}, 1).open(tmp_path / "c.tif").georeference == ()


def scan(path: Path, voxels: np.ndarray[Any, Any], side: float = 1.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    nibabel.Nifti1Image(voxels, np.diag([side, side, 3, 1])).to_filename(path)  # type: ignore[attr-defined]
    return path


@pytest.mark.parametrize("how", [{}, {"window": [0, 900]}, {"normalise": "zscore"}, {"normalise": "percentile"}])
def test_a_scan_fits_what_was_trained_on_scans_read_so_unless_its_pixels_are_of_another_size(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    voxels = RNG.integers(1, 1000, (20, 30, 6)).astype(np.int16)
    for kind, values in (("images", voxels), ("labels", (voxels > 500).astype(np.uint8))):
        scan(tmp_path / kind / "a.nii.gz", values)
    dataset = Volume(tmp_path, {"background": 0, "bright": 1}, **how)
    every = range(len(dataset.ids))
    known = PixelMeaning.of([span_of(dataset.read(i).image) for i in every], spacings_of(dataset, every))
    reader = Images({"kind": "Volume", "axis": 2, **how}, 1, pixels=[known])
    for gain in (0.6, 1, 1.5):
        assert reader.open(scan(tmp_path / "other.nii", (voxels[::-1] * gain).astype(np.int16))).pages == 6
    with pytest.raises(UserError, match=r"far\.nii' .*2 mm.* expected 1 mm"):
        reader.open(scan(tmp_path / "far.nii", voxels, 2.0))
    if not how:  # else every scan is brought to the same range, whatever it holds
        with pytest.raises(UserError, match=r"far\.nii' holds values from"):
            reader.open(scan(tmp_path / "far.nii", (voxels * 30).astype(np.int16)))


def test_a_scan_for_a_model_of_pictures_is_of_the_depth_that_its_file_has(tmp_path: Path) -> None:
    voxels = RNG.integers(0, 255, (20, 30, 6)).astype(np.uint8)
    reader = Images({"kind": "Folder"}, 1, pixels=[PixelMeaning.of([span_of(voxels[..., :1])])])
    assert reader.open(scan(tmp_path / "a.nii", voxels)).pages == 6
    for dtype in (np.int16, np.float32):
        with pytest.raises(UserError, match=r"a\.nii' has float32 pixels; expected uint8"):
            reader.open(scan(tmp_path / "a.nii", voxels.astype(dtype)))


@pytest.mark.parametrize("rows", [False, True])
def test_stacks_and_large_tiffs_are_asked_by_a_part_of_them(
    tmp_path: Path, rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is read whole for it."""
    monkeypatch.setattr(images, "LARGE", 100 if rows else 10**9)
    monkeypatch.setattr(images, "MOST_ROWS", 4)
    pixels = RNG.integers(1000, 2000, (20, 30) if rows else (9, 20, 30)).astype(np.uint16)
    reader = Images({"kind": "Folder"}, 1, pixels=[PixelMeaning.of([span_of(pixels.reshape(-1, 30, 1))])])
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    opened = reader.open(tmp_path / "a.tif")
    assert opened.kind == ("large" if rows else "stack") and len(opened.spans) == (1 if rows else 5)
    np.testing.assert_array_equal(whole(opened)[..., 0], pixels if rows else pixels[0])
    tifffile.imwrite(tmp_path / "a.tif", pixels * np.uint16(30))
    with pytest.raises(UserError, match=r"a\.tif' holds values from 30"):
        reader.open(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", pixels.astype(np.float32))
    with pytest.raises(UserError, match=r"a\.tif' has float32 pixels; expected uint16"):
        reader.open(tmp_path / "a.tif")
