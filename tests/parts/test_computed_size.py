"""What is computed of an image, and what that takes: limits by the header, of the size that the network sees."""

import time
import tracemalloc
import zlib
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st

from segtrain.config.run_config import RunConfig
from segtrain.data.files.pixels import read_header, read_image
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.padding import MOST_GROWN, grown_size
from segtrain.parts.computed_size import Computable, goes_at_once
from segtrain.parts.input_images import Images
from segtrain.parts.limits import crop_size
from segtrain.parts.predictor import Predictor

MEANING: dict[str, Any] = {"classes": "abc", "palette": [(0, 0, 0)] * 3, "channels": 1, "ignore_index": 255}


def computable(**changed: Any) -> Computable:
    usual: dict[str, Any] = {"channels": 3, "classes": 4, "windows": Windows(), "whole": 1024**2, "least": (0, 0)}
    usual |= {"most_pixels": 40_000_000_000, "most_gigabytes": 8, "is_in_one": False}
    return Computable(**{**usual, **changed})


def thin(path: Path, width: int) -> Path:
    """A grey PNG of one row, of some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    rows = chunk(b"IDAT", zlib.compress(bytes(width + 1)))
    head = chunk(b"IHDR", pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("size", "is_by_rows"),
    [
        ((40_000, 40_000), True),
        ((150_000, 200_000), True),
        ((12_000, 9_000), False),
        ((512, 512), False),
        ((1, 1), False),
    ],
)
def test_ordinary_images_and_slides_are_taken(size: tuple[int, int], is_by_rows: bool) -> None:
    computable().require(Path("a.tif"), size, is_by_rows)


@pytest.mark.parametrize("size", [(1, 16_000_000), (1, 2**31), (400_000, 2**31), (300_000, 300_000)])
@pytest.mark.parametrize("is_by_rows", [False, True])
def test_what_would_fill_the_memory_or_take_for_ever_is_not(size: tuple[int, int], is_by_rows: bool) -> None:
    with pytest.raises(UserError, match=rf"'a\.tif' is {size[1]} x {size[0]} pixels.*expected up to .* give max_"):
        computable().require(Path("a.tif"), size, is_by_rows)


def test_the_trainings_crop_and_the_classes_count() -> None:
    with pytest.raises(UserError, match="max_pixels="):
        computable(least=(2**20, 2**20)).require(Path("a.png"), (8, 8))
    with pytest.raises(UserError, match=r"with 1000 classes; .*max_gb="):
        computable(classes=1000).require(Path("a.png"), (2000, 2000))


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, 32 * 32, 100 * 100]), st.sampled_from([32, 64]))
def test_no_more_pixels_go_through_the_network_at_once_than_said(
    height: int, width: int, whole: int, side: int
) -> None:
    seen = []

    def model(image: torch.Tensor) -> torch.Tensor:
        seen.append(image.shape[-1] * image.shape[-2])
        return torch.zeros(len(image), 3, *image.shape[-2:])

    predictor = Predictor(model, **MEANING, windows=Windows(side, 0, 1), whole=whole)
    found = predictor.predict(np.zeros((height, width), np.uint8))
    assert found.labels.shape == (height, width)
    assert max(seen) <= max(side * side, 2 * whole)
    if goes_at_once((height, width), whole):
        assert seen == [np.prod(grown_size((height, width)))]


@pytest.mark.parametrize(("size", "classes"), [((600, 700), 3), ((64, 20_000), 2), ((3000, 40), 5)])
def test_what_is_held_is_no_less_than_what_is_said(size: tuple[int, int], classes: int) -> None:
    """By what numpy and torch are asked for: pixels, logits and probabilities of an answer in one piece."""
    meaning = {**MEANING, "classes": [str(label) for label in range(classes)], "palette": [(0, 0, 0)] * classes}
    predictor = Predictor(
        lambda image: torch.zeros(len(image), classes, *image.shape[-2:]),
        **meaning,
        windows=Windows(64, 0.25, 1),
        whole=0,
    )
    said = predictor.computable(1 << 40, 1e9, is_in_one=True).held(size, False)
    image = np.zeros(size, np.uint8)
    tracemalloc.start()
    found = predictor.predict(image)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.probabilities.nbytes + most <= said


def test_a_thin_image_is_refused_by_its_header(tmp_path: Path) -> None:
    path, began = thin(tmp_path / "a.png", 16_000_000), time.process_time()
    assert path.stat().st_size < 20_000
    images = Images({}, 1, computable=computable(channels=1))
    tracemalloc.start()
    for read in (read_header, read_image, images.open):
        with pytest.raises(UserError, match=rf"16000000 x 1 pixels, 512000000 once .* at most {MOST_GROWN}"):
            read(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert time.process_time() - began < 2
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, 20_000_000), np.uint8), compression="zlib")
    with pytest.raises(UserError, match="20000000 x 1 pixels"):
        images.open(tmp_path / "a.tif")


def test_a_crop_has_a_size_that_can_be_computed() -> None:
    from omegaconf import OmegaConf

    assert crop_size(RunConfig(OmegaConf.create({"data": {"crop": 4096}}))) == (4096, 4096)
    with pytest.raises(UserError, match=r"data\.crop is 1000000 x 1000000 pixels"):
        crop_size(RunConfig(OmegaConf.create({"data": {"crop": 1_000_000}})))
