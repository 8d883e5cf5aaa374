"""Which images are the same, to the bit or to the eye."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segtrain.data import duplicates
from segtrain.data.duplicates import exact, mark, near, same
from tests.data.made import picture

Pixels = np.ndarray[Any, Any]


def as_jpeg(image: Pixels) -> Pixels:
    memory = io.BytesIO()
    Image.fromarray(image).save(memory, "JPEG", quality=50)
    return np.array(Image.open(memory))


CHANGES = {
    "recompressed": as_jpeg,
    "half its size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "float": lambda image: image.astype(np.float32) / 255,
    "noise": lambda image: (image + np.random.default_rng(0).normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8),
    "grey of it": lambda image: image.mean(2, keepdims=True).astype(np.uint8),
    "six channels": lambda image: np.concatenate([image, image], axis=2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_others(change: str) -> None:
    images = [picture(seed) for seed in range(30)]
    images[20] = CHANGES[change](images[7])
    assert near([mark(image) for image in images]) == [[7, 20]]


def test_different_images_are_not_alike_and_flat_ones_are_in_no_group() -> None:
    images = [picture(seed) for seed in range(60)] + [np.full((9, 9, 1), value, np.uint8) for value in (0, 0, 5)]
    assert near([mark(image) for image in images]) == []
    assert near([mark(images[0])]) == near([]) == []


def test_a_chain_of_alike_images_is_one_group() -> None:
    marks = [mark(picture(0)), mark(picture(1)), mark(as_jpeg(picture(0))), mark(picture(0))]
    assert near(marks) == [[0, 2, 3]]


def test_identical_means_shape_and_dtype_too() -> None:
    image = picture(0)
    marks = [exact(image), exact(image.copy()), exact(image.astype(np.uint16)), exact(image.reshape(24, 96, 3))]
    assert same(marks) == [[0, 1]]


def test_not_a_number_is_no_trouble() -> None:
    image = picture(0).astype(np.float32)
    image[:3] = np.nan
    assert near([mark(image), mark(image)]) == [[0, 1]]


def test_the_search_finds_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "AT_ONCE", 50)  # several portions
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, 300, np.uint64)
    for copy in range(100, 300):  # copies with 0 to 9 bits turned
        turned = rng.choice(64, copy % 10, replace=False)
        hashes[copy] = hashes[copy % 100] ^ np.bitwise_or.reduce(np.uint64(1) << turned.astype(np.uint64))
    hashes = np.unique(hashes)
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None])
    wanted = {(int(a), int(b)) for a, b in zip(*np.nonzero(bits <= duplicates.WITHIN), strict=True) if a < b}
    found = {pair for a, b in duplicates._close(hashes) for pair in zip(a.tolist(), b.tolist(), strict=True)}
    assert found == wanted and len(wanted) > 100
