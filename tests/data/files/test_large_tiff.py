"""TIFF files by rows: the pixels that reading them whole gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.data.files import large_tiff
from segtrain.data.files.large_tiff import LargeTiff, pages_and_pixels
from segtrain.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (150, 70), np.uint8)
RGB = RNG.integers(0, 255, (150, 70, 3), np.uint8)
DEEP = RNG.integers(0, 65535, (150, 70, 5)).astype(np.uint16)
WAYS: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
    "plain": (GREY, {}),
    "big endian": (DEEP[..., 0], {"byteorder": ">"}),
    "strips": (RGB, {"compression": "zlib", "rowsperstrip": 16}),
    "tiles": (RGB, {"tile": (32, 48), "compression": "zlib", "predictor": True}),
    "plain tiles": (GREY, {"tile": (64, 64)}),
    "planes": (DEEP.transpose(2, 0, 1), {"planarconfig": "separate", "photometric": "minisblack"}),
    "planes in tiles": (
        DEEP.transpose(2, 0, 1),
        {"planarconfig": "separate", "photometric": "minisblack", "tile": (32, 32), "compression": "zlib"},
    ),
    "channels": (DEEP.astype(np.float32), {"planarconfig": "contig", "photometric": "minisblack"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_those_of_the_whole(way: str, tmp_path: Path) -> None:
    pixels, options = WAYS[way]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    whole = pixels.transpose(1, 2, 0) if "planes" in way else pixels.reshape(150, 70, -1)
    large = LargeTiff(tmp_path / "a.tif", drops_alpha=False)
    assert (large.height, large.width, large.channels) == whole.shape
    for top, end in ((0, 40), (30, 70), (60, 150), (149, 150), (0, 150)):
        rows = large.rows(top, end)
        assert rows.dtype == whole.dtype
        np.testing.assert_array_equal(rows, whole[top:end])


def test_alpha_is_dropped_as_pictures_are_read(tmp_path: Path) -> None:
    alpha = np.dstack([RGB, GREY])
    tifffile.imwrite(tmp_path / "a.tif", alpha, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(LargeTiff(tmp_path / "a.tif", drops_alpha=True).rows(0, 150), RGB)
    np.testing.assert_array_equal(LargeTiff(tmp_path / "a.tif", drops_alpha=False).rows(0, 150), alpha)


def test_a_file_that_ends_too_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for options in ({}, {"tile": (32, 32), "compression": "zlib"}):
        tifffile.imwrite(path, RNG.integers(0, 255, (150, 70), np.uint8), metadata=None, **options)
        large = LargeTiff(path, drops_alpha=True)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 3000)
        with pytest.raises(UserError, match=r"a\.tif' cannot be read"):
            large.rows(100, 150)


def test_what_cannot_be_read_by_rows_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY.astype(np.float64))
    with pytest.raises(UserError, match="got pixels of float64"):
        LargeTiff(path, drops_alpha=True)
    Image.fromarray(GREY).convert("P").save(path)
    with pytest.raises(UserError, match="got photometric 3"):
        LargeTiff(path, drops_alpha=True)
    monkeypatch.setattr(large_tiff, "TALLEST", 100)
    tifffile.imwrite(path, GREY, compression="zlib", rowsperstrip=150)
    with pytest.raises(UserError, match="compressed strips of 150 rows"):
        LargeTiff(path, drops_alpha=True)


def test_pages_and_pixels_are_told_without_reading_them(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * 3), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", shape=(30000, 20000), dtype=np.uint8)
    (tmp_path / "c.tif").write_bytes(b"nothing")
    assert pages_and_pixels(tmp_path / "a.tif") == (3, 150 * 70)
    assert pages_and_pixels(tmp_path / "b.tif") == (1, 600_000_000)
    assert pages_and_pixels(tmp_path / "c.tif") == (1, 0)
