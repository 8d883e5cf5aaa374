"""Files that are dropped on serve's page."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.app.upload import Upload
from segtrain.errors import UserError

RANDOM = np.random.default_rng(0)


def test_pixels_come_as_stored(tmp_path: Path) -> None:
    colour = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.png")
    assert (Upload(3, 600).read(tmp_path / "a.png") == colour).all()
    deep = RANDOM.integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.png")
    assert (Upload(1, 600).read(tmp_path / "b.png")[..., 0] == deep).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pages_of_a_tiff_are_channels(tmp_path: Path, dtype: str) -> None:
    pages = (RANDOM.random((5, 20, 30)) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    image = Upload(5, 600).read(tmp_path / "a.tif")
    assert image.dtype == dtype and (image == np.moveaxis(pages, 0, 2)).all()


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 31), np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 31), np.uint8))
    for name in ("a.png", "a.tif"):
        with pytest.raises(UserError, match=r"31 x 20 pixels; expected up to 600; .*max_pixels=…"):
            Upload(1, 600).read(tmp_path / name)


def test_other_channels_than_the_networks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="has 3 channels; expected 1"):
        Upload(1, 600).read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no picture at all")
    with pytest.raises(UserError, match=rf"'.*{name}' cannot be read"):
        Upload(1, 600).read(tmp_path / name)
