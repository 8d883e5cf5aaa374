"""Files that are dropped on serve's page."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.app.serve.upload_reader import DEEPEST, Upload
from segtrain.data.pixel_meaning import PixelMeaning, span_of
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.parts.computed_size import Computable
from segtrain.parts.input_images import Images

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


def upload(channels: int, most: int = 1024, **reading: object) -> Upload:
    """Of images up to 32 x 32, to which smaller ones are grown."""
    return Upload(Images(reading, channels), computable(most, channels), most)


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
        Upload(Images({}, 1, pixels=[known]), computable(1024), 1024).read(tmp_path / "a.png")


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
