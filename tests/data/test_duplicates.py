"""Copies are found to the bit and to the eye, and what lies on both sides of a split is refused."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segtrain.data import duplicates
from segtrain.data.duplicates import (
    exact,
    find_leaks,
    find_torn,
    group_near,
    group_same,
    mark,
    refuse_leaks,
    refuse_torn,
)
from segtrain.data.files.columns import as_codes
from segtrain.data.split import Split
from segtrain.errors import UserError
from tests.data.made import picture

Pixels = np.ndarray[Any, Any]
IDS = [f"s{i}" for i in range(8)]
SPLIT = Split((0, 1, 2, 3), (4, 5), (6,), (7,))


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
    assert group_near([mark(image) for image in images]) == [[7, 20]]


def test_different_images_are_not_alike_and_flat_ones_are_in_no_group() -> None:
    images = [picture(seed) for seed in range(60)] + [np.full((9, 9, 1), value, np.uint8) for value in (0, 0, 5)]
    assert group_near([mark(image) for image in images]) == []
    assert group_near([mark(images[0])]) == group_near([]) == []


def test_a_chain_of_alike_images_is_one_group() -> None:
    marks = [mark(picture(0)), mark(picture(1)), mark(as_jpeg(picture(0))), mark(picture(0))]
    assert group_near(marks) == [[0, 2, 3]]


def test_identical_means_shape_and_dtype_too() -> None:
    image = picture(0)
    marks = [exact(image), exact(image.copy()), exact(image.astype(np.uint16)), exact(image.reshape(24, 96, 3))]
    assert group_same(marks) == [[0, 1]]


def test_not_a_number_is_no_trouble() -> None:
    image = picture(0).astype(np.float32)
    image[:3] = np.nan
    assert group_near([mark(image), mark(image)]) == [[0, 1]]


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


def test_copies_within_a_part_or_unused_leak_nothing() -> None:
    refuse_leaks(IDS, SPLIT, ["a", "a", "b", "c", "d", "d", "e", "e"], allow=False)


def test_copies_across_parts_are_named_with_their_parts() -> None:
    with pytest.raises(UserError, match=r"'s1' \(train\) = 's4' \(val\); 's3' \(train\) = 's6' \(test\);.*allow_leak"):
        refuse_leaks(IDS, SPLIT, ["a", "b", "c", "d", "b", "e", "d", "f"], allow=False)


def test_of_many_copies_one_of_each_part_is_shown_first() -> None:
    with pytest.raises(UserError, match=r"'s0' \(train\) = 's4' \(val\) = 's6' \(test\) and 4 more"):
        refuse_leaks(IDS, SPLIT, ["a"] * 7 + ["b"], allow=False)


def test_of_many_leaks_five_are_named_and_all_counted() -> None:
    split = Split(tuple(range(6)), tuple(range(6, 12)), (), ())
    with pytest.raises(UserError, match="6 such images in all") as error:
        refuse_leaks([f"s{i}" for i in range(12)], split, [i % 6 for i in range(12)], allow=False)
    assert str(error.value).count(" = ") == 5


def test_allowed_they_pass() -> None:
    refuse_leaks(IDS, SPLIT, ["a"] * 8, allow=True)


def test_a_group_leaks_when_it_lies_in_two_parts() -> None:
    assert find_leaks(SPLIT, [[0, 1], [1, 5], [6, 7]]) == [[("train", 1), ("val", 5)]]


def test_none_is_a_copy_of_nothing() -> None:
    refuse_leaks(IDS, SPLIT, [None] * 8, allow=False)


def test_a_group_in_two_parts_is_refused_unless_that_is_allowed() -> None:
    groups = as_codes(["p", "p", "q", "q", "r", "p", "s", "s"])
    assert find_torn(groups, SPLIT) == {"p": ("train", "val")}
    with pytest.raises(UserError, match=r"group 'p' lies in train and in val.* 1 such.*allow_leak=true"):
        refuse_torn(groups, SPLIT, allow=False)
    refuse_torn(groups, SPLIT, allow=True)
    refuse_torn(as_codes(["p", "p", "q", "q", "r", "r", "s", "s"]), SPLIT, allow=False)  # s lies in a gap too
