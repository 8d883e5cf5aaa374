"""What images must be for a network that was trained on others: told apart where it matters, and only there."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segtrain.data.pixel_meaning import (
    PixelMeaning,
    Span,
    require_data_fit,
    require_fit,
    require_one_dtype,
    spacings_of,
    span_of,
)
from segtrain.errors import UserError
from tests.data.made import InMemory, picture

CLOUDS = [picture(seed).astype(np.float64) / 255 for seed in range(8)]  # from .08 to .86 each


def images(scale: float, dtype: str, offset: float = 0) -> list[np.ndarray[Any, Any]]:
    return [(image * scale + offset).astype(dtype) for image in CLOUDS]


def meaning(of: list[np.ndarray[Any, Any]], *spacings: tuple[float, float]) -> PixelMeaning:
    return PixelMeaning.of(spans(of), spacings)


def said(trained: PixelMeaning, new: list[np.ndarray[Any, Any]], *spacings: tuple[float, float]) -> str | None:
    """What is said of new images, None where they are taken."""
    try:
        require_fit([trained], spans(new), "'a'", spacings)
    except UserError as error:
        return str(error)
    return None


def spans(of: list[np.ndarray[Any, Any]]) -> list[Span]:
    return [span_of(image) for image in of]


SHALLOW, TWELVE, FULL = images(255, "uint8"), images(4095, "uint16"), images(65535, "uint16")
SHARES, BYTES = images(1, "float32"), images(255, "float32")


@pytest.mark.parametrize(
    ("trained", "new", "words"),
    [
        (SHALLOW, FULL, "has uint16 pixels; expected uint8"),
        (SHALLOW, SHARES, "has float32 pixels; expected uint8"),
        (FULL, SHALLOW, "has uint8 pixels; expected uint16"),
        (BYTES, SHALLOW, "has uint8 pixels; expected float32"),
        (TWELVE, FULL, "holds values from .* expected values as in the training's images"),
        (SHARES, BYTES, "holds values from"),
        (SHARES, images(1, "float32", -40), "holds values from"),
    ],
)
def test_other_pixels_are_refused_in_one_image_and_in_many(trained: Any, new: Any, words: str) -> None:
    for some in (new, new[:1]):
        with pytest.raises(UserError, match=f"^'a' {words}.*allow_other_pixels=true"):
            require_fit([meaning(new), meaning(trained)], spans(some), "'a'")


def hot(some: list[np.ndarray[Any, Any]], value: float, every: int = 1) -> list[np.ndarray[Any, Any]]:
    """Copies of the images, in some of which a pixel has another value."""
    copies = [image.copy() for image in some]
    for image in copies[::every]:
        image[3, 3] = value
    return copies


@pytest.mark.parametrize("every", [1, 3, 99])
@pytest.mark.parametrize(
    ("trained", "new", "values"),
    [
        (TWELVE, FULL, [65535]),
        (SHARES, BYTES, [1e6, -1e6]),
        (FULL, TWELVE, [0, 65535]),
        (BYTES, SHARES, [0, 255]),
        (FULL, images(255, "uint16"), [0, 65535]),
    ],
)
def test_hot_and_dead_pixels_hide_no_other_scale(trained: Any, new: Any, values: list[float], every: int) -> None:
    """In files of the training or in new ones, few or all."""
    for value in values:
        for old, some in ((hot(trained, value, every), new), (trained, hot(new, value, every)), (trained, new)):
            for of in (some, some[:1], some[1:2]):
                assert "holds values from" in str(said(meaning(old), of))
        assert said(meaning(hot(trained, value, every)), trained) is said(meaning(trained), hot(trained, value)) is None


def field(seed: int, gain: float, spots: float, level: float = 100, dtype: str = "uint16") -> np.ndarray[Any, Any]:
    """Bright spots on a share of a dark field with some noise, as of a fluorescence microscope."""
    draw = np.random.default_rng(seed)
    image = level + draw.normal(0, 5, (48, 48, 1)) + 3000 * (draw.random((48, 48, 1)) < spots)
    return (image.clip(0) * gain).astype(dtype)


def test_dim_images_and_blank_fields_are_of_the_same_scale() -> None:
    """Blank at the training's level, and as dim as its dimmest, one or many; but not when divided by 16."""
    bright = [field(seed, 1, 0.05) for seed in range(10)]
    blank, dim = [field(seed, 1, 0) for seed in range(20, 30)], [field(seed, 0.1, 0.05, 1000) for seed in range(20, 30)]
    assert said(meaning(bright), blank) is said(meaning([*bright, dim[0]]), dim) is None
    assert all(said(meaning(bright), [image]) is None for image in blank)
    assert "holds values from" in str(said(meaning(bright), [image // 16 for image in blank]))
    zero = [field(seed, 1, 0.05, 0) for seed in range(10)]
    assert "holds values from" in str(said(meaning(zero), [image // 16 for image in zero]))
    assert said(meaning(zero), [image // 16 for image in zero[:3]]) is None  # a few may be of nothing


def test_sparse_spots_are_within_the_range_and_another_share_of_them_too() -> None:
    sparse = meaning([field(seed, 1, 0.005) for seed in range(10)])
    assert said(sparse, [field(30, 1, 0.3)]) is None
    assert "holds values from" in str(said(sparse, [field(30, 16, 0.3)]))


def two(first: Any, second: Any) -> list[np.ndarray[Any, Any]]:
    return [np.stack([a[..., 0], b[..., 0]], 2) for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("value", [0, 7])
@pytest.mark.parametrize("some", [SHALLOW, TWELVE, SHARES])
def test_a_channel_that_training_knew_of_one_value_must_not_be_filled(some: Any, value: int) -> None:
    constant = [np.full_like(image, value) for image in some]
    other = [image + 1 for image in constant]
    for known in (meaning(two(some, constant)), meaning(two(some, hot(constant, 250, 3)))):
        assert "in channel 1 " in str(said(known, two(some, some)))
        assert said(known, two(some, constant)) is said(known, two(some, hot(other, 90))) is None


def test_one_channel_that_is_narrow_or_dark_is_enough_where_several_images_are_so() -> None:
    """A single one may show water, dark in infrared alone."""
    known = meaning(two(FULL, FULL))
    for some, channel in ((two(FULL, TWELVE), 1), (two(TWELVE, FULL), 0)):
        assert f"in channel {channel}" in str(said(known, some))
        assert f"in channel {channel}" in str(said(known, [*some[:4], *two(FULL, FULL)[:4]]))
        assert said(known, [some[0], *two(FULL, FULL)]) is said(known, some[:1]) is None
    assert "in channel 0" in str(said(known, two(TWELVE, TWELVE)[:1]))
    assert said(known, two(FULL, [image * 0 for image in FULL])) is None  # of one value, as an image of nothing
    zero = [field(seed, 1, 0.05, 0) for seed in range(10)]
    narrow = two(zero, [image // 16 for image in zero])
    assert "in channel 1" in str(said(meaning(two(zero, zero)), narrow)) and said(meaning(narrow), narrow) is None


def test_what_is_wrong_in_some_images_is_said_of_these() -> None:
    data: Any = InMemory([(image, np.zeros(image.shape[:2], np.uint8)) for image in (*FULL, *TWELVE)])
    require_data_fit([meaning(FULL)], data, range(8))
    with pytest.raises(UserError, match=r"8 of 16 images .*'s8', 's9', 's10', …"):
        require_data_fit([meaning(FULL)], data, range(16))
    with pytest.raises(UserError, match=r"in 1 of 8 images .*'s8': the first"):
        require_data_fit([meaning(FULL)], data, [*range(7), 8])


@given(
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    gain=st.floats(0.2, 1.5),
    offset=st.floats(-0.1, 0.3),
    count=st.integers(1, 8),
)
def test_another_exposure_is_never_refused(dtype: str, gain: float, offset: float, count: int) -> None:
    scale = {"uint8": 255.0, "uint16": 4095.0, "float32": 1.0}[dtype]
    most = 65535 if dtype == "uint16" else 255 if dtype == "uint8" else np.inf
    least = -np.inf if dtype == "float32" else 0
    new = [np.clip((image * gain + offset) * scale, least, most).astype(dtype) for image in CLOUDS[:count]]
    assume(dtype == "uint8" or 0.7 * gain + offset > 0.2)  # else it holds but what was darkest in training, or nothing
    assert said(meaning(images(scale * 0.9, dtype)), new) is None


@pytest.mark.parametrize("trained", [SHALLOW, TWELVE, BYTES, images(30, "float32", 280)])
@pytest.mark.parametrize("value", [0, 255])
def test_an_image_of_one_value_is_never_refused(trained: Any, value: int) -> None:
    flat = [np.full_like(trained[0], value)]
    flat += hot(flat, 200)
    for new in (flat, flat * 9, [*trained, *flat]):
        assert said(meaning(trained), new) is None
    assert meaning([*trained, *flat]) == meaning(trained)
    assert said(meaning(flat), trained) is None  # of which nothing is known but the dtype


@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "uint16", "float32"]))
def test_training_images_fit_themselves_alone_and_together(seed: int, dtype: str) -> None:
    """Whatever they hold: long tails, hot pixels, empty images."""
    draw = np.random.default_rng(seed)
    some = [(draw.pareto(0.5, (12, 12, 2)) * 10 ** draw.uniform(-2, 1)).clip(0, 255).astype(dtype) for _ in range(6)]
    some[0][..., 1] = 3  # as without that stain
    if draw.random() < 0.5:
        some = [(image * [1, 0]).astype(dtype) for image in some]
    known = meaning(some)
    assert said(known, some) is None and all(said(known, [image]) is None for image in some)
    before = PixelMeaning(*known[:7])  # as versions before kept it
    assert said(before, some) is None and all(said(before, [image]) is None for image in some)
    assert said(known, some[:1] * 9) is said(known, some[1:5]) is None


def test_each_channel_is_asked_by_itself() -> None:
    """A channel of metres beside one of shares, as in satellite images with the height of the ground."""
    heights = images(3000, "float32")
    both = [np.stack([share[..., 0], metres[..., 0]], 2) for share, metres in zip(SHARES, heights, strict=True)]
    assert said(meaning(both), both[:1]) is None
    assert "in channel 0" in str(said(meaning(both), [image[..., ::-1] for image in both]))


@pytest.mark.parametrize(
    ("spacing", "fits"),
    [((0.8, 1.0), True), ((1.4, 1.4), True), ((0.6, 0.6), True), ((3, 3), False), ((0.3, 1), False)],
)
def test_pixels_of_another_size_in_mm_are_refused(spacing: tuple[float, float], fits: bool) -> None:
    trained = meaning(SHARES, (0.8, 0.8), (1.0, 1.0))
    words = said(trained, SHARES, spacing)
    assert (words is None) == fits and (fits or "expected 0.8 to 1 mm, as in training" in str(words))
    assert said(trained, SHARES) is said(meaning(SHARES), SHARES, spacing) is None


def test_what_is_kept_comes_back_and_earlier_versions_kept_nothing() -> None:
    for known in (meaning(SHALLOW), meaning(SHARES, (1, 2.5)), meaning([SHALLOW[0] * 0])):
        assert PixelMeaning.from_json(json.loads(json.dumps(known.to_json()))) == known
    later = {**meaning(SHARES).to_json(), "of a later version": 3}
    assert PixelMeaning.from_json(later) == meaning(SHARES) and PixelMeaning.from_json(None) is None
    kept = {key: meaning(TWELVE).to_json()[key] for key in PixelMeaning._fields[:7]}  # all that versions before kept
    before = PixelMeaning.from_json(json.loads(json.dumps(kept)))
    assert before is not None and said(before, TWELVE) is None and "holds values from" in str(said(before, FULL))


def test_of_other_data_some_images_are_read_and_all_pixel_sizes() -> None:
    data: Any = InMemory([(image, np.zeros(image.shape[:2], np.uint8)) for image in SHARES * 40])
    read, seen = data.read, []
    data.read = lambda index: seen.append(index) or read(index)
    data.spacing = lambda index: (1.0, 5.0 if index == 201 else 1.0)
    with pytest.raises(UserError, match=r"1 to 5 mm; expected 1 mm"):
        require_data_fit([meaning(SHARES, (1, 1))], data, range(320))
    assert len(seen) < 40 and {0, 319} <= {*seen} and (1, 5) in spacings_of(data, range(320))


def test_training_images_of_several_depths_are_refused_by_name() -> None:
    some = [span_of(image) for image in (SHALLOW[0], FULL[0], SHALLOW[1])]
    with pytest.raises(UserError, match=r"1 of 3 .*'a'; expected .*uint8.*'b' \(uint16\)"):
        require_one_dtype(some, ["a", "b", "c"])
    require_one_dtype(some[::2], ["a", "c"])
