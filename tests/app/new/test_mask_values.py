"""What the values of masks mean: JPEG's about those of classes, labels that count nowhere."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.app.new.class_names import ClassNames
from segtrain.app.new.mask_values import read_meaning

VALUES = [(0, 255), (0, 128, 255), (0, 85, 170, 255), (10, 200)]


def areas(values: tuple[int, ...], seed: int, side: int = 64) -> np.ndarray:
    """Blocks of 16 pixels, each of one of the values, and each value somewhere."""
    count = (side // 16) ** 2
    drawn = np.random.default_rng(seed).permutation(np.resize(values, count)).reshape(side // 16, -1)
    return np.kron(drawn, np.ones((16, 16))).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(values=st.sampled_from(VALUES), seed=st.integers(0, 999), quality=st.integers(60, 95))
def test_the_values_that_jpeg_blurred_are_found_with_a_tolerance_that_reads_all(
    values: tuple[int, ...], seed: int, quality: int
) -> None:
    drawn, memory = areas(values, seed), io.BytesIO()
    Image.fromarray(drawn).save(memory, "JPEG", quality=quality)
    stored = np.asarray(Image.open(memory))
    found = read_meaning([Path("a.jpg")], lambda path: stored, smeared=len(np.unique(stored)) > 2)
    codes = np.array(sorted(int(str(code)) for code in found.classes.values()))
    assert np.abs(codes - np.array(values)).max() <= 10 and len(codes) == len(values)
    off = np.abs(stored[..., None].astype(int) - codes)
    assert off.min(2).max() <= (found.tolerance or 0)
    assert (codes[off.argmin(2)] == codes[np.searchsorted(values, drawn)]).mean() > 0.97


@pytest.mark.parametrize("labels", [3, 4, 8])
def test_255_beside_labels_that_are_counted_is_no_label(labels: int) -> None:
    """Beside three labels an area of 255 may be one, and is asked about; beside more it counts nowhere."""
    mask = np.arange(20 * 20).reshape(20, 20) % labels
    mask[5:15] = 255
    found = read_meaning([Path("a.png")], lambda path: mask.astype(np.uint8))
    assert (found.ignored == [255]) == (labels >= 4) == ("class_255" not in found.unnamed)


def test_what_is_named_void_and_what_files_call_nodata_counts_nowhere() -> None:
    mask = np.arange(20 * 20).reshape(20, 20) % 4
    names = ClassNames({0: "sky", 1: "road", 2: "void"}, frozenset([2]), "a list")
    found = read_meaning([Path("a.png")], lambda path: mask, names=names, nodata=[3, -9999])
    assert found.classes == {"sky": 0, "road": 1} and sorted(map(int, found.ignored)) == [2, 3] and not found.unnamed


def test_nodata_of_zero_may_be_the_background() -> None:
    mask = np.arange(20 * 20).reshape(20, 20) % 3
    assert read_meaning([Path("a.tif")], lambda path: mask, nodata=[0]).classes["background"] == 0
