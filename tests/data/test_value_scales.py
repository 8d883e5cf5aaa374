"""Images of a training whose values are of several scales are told, and other exposures are not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.cautions import scales_caution, several_scales
from segtrain.data.pixel_meaning import Span, span_of
from tests.data.made import picture

CLOUDS = [picture(seed).astype(np.float64)[..., :1] for seed in range(12)]  # from 20 to 220


def spans(gains: list[float], dtype: str = "float32", some: list[np.ndarray[Any, Any]] = CLOUDS) -> list[Span]:
    return [span_of((image * gain).astype(dtype)) for image, gain in zip(some, gains, strict=True)]


@pytest.mark.parametrize(
    ("dtype", "usual", "other"), [("uint16", 16, 256), ("float32", 1, 1 / 255), ("uint16", 257, 1)]
)
@pytest.mark.parametrize("count", [2, 5, 6, 10])
def test_images_of_another_scale_are_found_among_others(dtype: str, usual: float, other: float, count: int) -> None:
    places = range(1, 1 + count)
    found = several_scales(spans([other if i in places else usual for i in range(12)], dtype))
    assert found is not None and found.factor == pytest.approx(max(usual / other, other / usual), rel=0.3)
    fewer = places if count < 6 else {*range(12)} - {*places}
    assert {*found.fewer} == {*fewer} or (count == 6 and len(found.fewer) == 6)
    assert found.is_dim == ((other < usual) == ({*found.fewer} == {*places}))
    assert several_scales(spans([usual] * 12, dtype)) is None


def test_one_image_is_no_scale_and_8_bits_have_but_one() -> None:
    assert several_scales(spans([16.0, *[1.0] * 11])) is None
    assert several_scales(spans([0.05] * 6 + [1.0] * 6, "uint8")) is None
    assert several_scales(spans([1.0] * 6, "uint8", CLOUDS[:6]) + spans([1.0] * 6, "float32", CLOUDS[6:])) is None


@given(gains=st.lists(st.floats(0.4, 2.5), min_size=12, max_size=12), offset=st.floats(0, 100))
def test_exposures_are_of_one_scale(gains: list[float], offset: float) -> None:
    assert several_scales(spans(gains, some=[image + offset for image in CLOUDS])) is None


def test_blank_fields_are_of_the_scale_of_the_others() -> None:
    """They begin where the others do: at the camera's offset."""
    draw = np.random.default_rng(0)
    noise = [100 + draw.normal(0, 3, (48, 48, 1)) for _ in range(12)]
    cells = [image + 3000 * (draw.random((48, 48, 1)) < 0.1) for image in noise[6:]]
    few = [image + 3000 * (draw.random((48, 48, 1)) < 0.005) - 100 for image in noise]  # and where there is no offset
    assert several_scales(spans([1.0] * 12, "uint16", noise[:6] + cells)) is None
    assert several_scales(spans([1.0] * 12, some=[*few[:6], *(image - 100 for image in cells)])) is None
    assert several_scales(spans([1 / 16] * 6 + [1.0] * 6, "uint16", noise[:6] + cells)) is not None


def test_a_channel_alone_may_be_scaled_otherwise_and_the_images_are_named() -> None:
    pairs = [np.concatenate([image, image / (1 if i % 3 else 255)], 2) for i, image in enumerate(CLOUDS)]
    some = spans([1.0] * 12, some=pairs)
    found = several_scales(some)
    assert found is not None and (found.channel, found.fewer) == (1, (0, 3, 6, 9))
    words = scales_caution(some, [f"n{i}" for i in range(12)])
    assert words.startswith("4 of 12 training images") and "'n0', 'n3', 'n6', …" in words
    assert scales_caution(some[1:3], ["a", "b"]) == ""
