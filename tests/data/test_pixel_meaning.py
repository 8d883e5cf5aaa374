"""What images must be for a network that was trained on others: told apart where it matters, and only there."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.pixel_meaning import PixelMeaning, meaning_of, require_fit, require_one_dtype, span_of
from segtrain.errors import UserError
from tests.data.made import InMemory, picture

CLOUDS = [picture(seed).astype(np.float64) / 255 for seed in range(8)]  # from .08 to .86 each


def images(scale: float, dtype: str, offset: float = 0) -> list[np.ndarray[Any, Any]]:
    return [(image * scale + offset).astype(dtype) for image in CLOUDS]


def meaning(of: list[np.ndarray[Any, Any]], *spacings: tuple[float, float]) -> PixelMeaning:
    return PixelMeaning.of([span_of(image) for image in of], spacings)


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
            require_fit([meaning(new), meaning(trained)], meaning(some), "'a'")


@pytest.mark.parametrize(("trained", "new"), [(FULL, TWELVE), (BYTES, SHARES), (FULL, images(255, "uint16"))])
def test_images_that_are_all_far_too_dark_are_refused_where_there_are_several(trained: Any, new: Any) -> None:
    """A single one may be of nothing."""
    with pytest.raises(UserError, match="holds values from"):
        require_fit([meaning(trained)], meaning(new), "'a'")
    require_fit([meaning(trained)], meaning(new[:1]), "'a'")
    require_fit([meaning(trained)], meaning([*new, trained[0]]), "'a'")


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
    assert meaning(images(scale * 0.9, dtype)).misfit(meaning(new)) is None


@pytest.mark.parametrize("trained", [SHALLOW, TWELVE, BYTES, images(30, "float32", 280)])
@pytest.mark.parametrize("value", [0, 255])
def test_an_image_of_one_value_is_never_refused(trained: Any, value: int) -> None:
    flat = [np.full_like(trained[0], value)]
    for new in (flat, flat * 9, [*trained, *flat]):
        assert meaning(trained).misfit(meaning(new)) is None
    assert meaning([*trained, *flat]) == meaning(trained)
    assert meaning(flat).misfit(meaning(trained)) is None  # of which nothing is known but the dtype


@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "uint16", "float32"]))
def test_training_images_fit_themselves_alone_and_together(seed: int, dtype: str) -> None:
    """Whatever they hold: long tails, hot pixels, empty images."""
    draw = np.random.default_rng(seed)
    some = [(draw.pareto(0.5, (12, 12, 2)) * 10 ** draw.uniform(-2, 1)).clip(0, 255).astype(dtype) for _ in range(6)]
    known = meaning(some)
    assert known.misfit(known) is None and all(known.misfit(meaning([image])) is None for image in some)


def test_each_channel_is_asked_by_itself() -> None:
    """A channel of metres beside one of shares, as in satellite images with the height of the ground."""
    heights = images(3000, "float32")
    both = [np.stack([share[..., 0], metres[..., 0]], 2) for share, metres in zip(SHARES, heights, strict=True)]
    assert meaning(both).misfit(meaning(both[:1])) is None
    swapped = [image[..., ::-1] for image in both]
    assert "in channel 0" in str(meaning(both).misfit(meaning(swapped)))


@pytest.mark.parametrize(
    ("spacing", "fits"),
    [((0.8, 1.0), True), ((1.4, 1.4), True), ((0.6, 0.6), True), ((3, 3), False), ((0.3, 1), False)],
)
def test_pixels_of_another_size_in_mm_are_refused(spacing: tuple[float, float], fits: bool) -> None:
    trained = meaning(SHARES, (0.8, 0.8), (1.0, 1.0))
    said = trained.misfit(meaning(SHARES, spacing))
    assert (said is None) == fits and (fits or "expected 0.8 to 1 mm, as in training" in str(said))
    assert trained.misfit(meaning(SHARES)) is None and meaning(SHARES).misfit(meaning(SHARES, spacing)) is None


def test_what_is_kept_comes_back_and_earlier_versions_kept_nothing() -> None:
    for known in (meaning(SHALLOW), meaning(SHARES, (1, 2.5)), meaning([SHALLOW[0] * 0])):
        assert PixelMeaning.from_json(json.loads(json.dumps(known.to_json()))) == known
    later = {**meaning(SHARES).to_json(), "of a later version": 3}
    assert PixelMeaning.from_json(later) == meaning(SHARES) and PixelMeaning.from_json(None) is None


def test_of_other_data_some_images_are_read_and_all_pixel_sizes() -> None:
    data: Any = InMemory([(image, np.zeros(image.shape[:2], np.uint8)) for image in SHARES * 40])
    read, seen = data.read, []
    data.read = lambda index: seen.append(index) or read(index)
    data.spacing = lambda index: (1.0, 5.0 if index == 201 else 1.0)
    found = meaning_of(data, range(320))
    assert found.spacing == (1, 5) and found.dtypes == ("float32",) and len(seen) < 40
    assert {0, 319} <= {*seen}


def test_training_images_of_several_depths_are_refused_by_name() -> None:
    spans = [span_of(image) for image in (SHALLOW[0], FULL[0], SHALLOW[1])]
    with pytest.raises(UserError, match=r"1 of 3 .*another depth than 'a'; expected one depth, uint8.*'b' \(uint16\)"):
        require_one_dtype(spans, ["a", "b", "c"])
    require_one_dtype(spans[::2], ["a", "c"])
