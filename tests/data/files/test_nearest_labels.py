import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data.files.label_coding import Coding, spread_codes, way_out_of_jpeg
from segtrain.errors import UserError

NONE = 254


def nearest(code: list[int], known: list[list[int]], tolerance: int) -> int:
    """The place of the nearest, by the channel furthest off, the lower of two; `NONE` where none is near."""
    far = [(max(abs(one - other) for one, other in zip(code, each, strict=True)), each) for each in known]
    least, best = min(far)
    return known.index(best) if least <= tolerance else NONE


@given(st.lists(st.integers(0, 300), min_size=1, max_size=5, unique=True), st.integers(1, 90))
def test_a_value_is_taken_for_the_nearest(codes: list[int], tolerance: int) -> None:
    table = np.full(1 << 16, NONE, np.uint8)
    spread_codes(table, {code: label for label, code in enumerate(codes)}, tolerance)
    expected = [nearest([value], [[code] for code in codes], tolerance) for value in range(400)]
    assert table[:400].tolist() == expected and (table[400:] == NONE).all()


colour = st.tuples(*[st.integers(0, 255)] * 3)


@settings(max_examples=8, deadline=None)  # a table of 16 million colours each
@given(st.lists(colour, min_size=1, max_size=3, unique=True), st.integers(1, 60), st.lists(colour, min_size=20))
def test_a_colour_is_taken_for_the_nearest(
    codes: list[tuple[int, int, int]], tolerance: int, asked: list[tuple[int, int, int]]
) -> None:
    table = np.full((256,) * 3, NONE, np.uint8)
    spread_codes(table, {r << 16 | g << 8 | b: label for label, (r, g, b) in enumerate(codes)}, tolerance)
    near = [tuple(min(255, max(0, v + d)) for v, d in zip(codes[0], one, strict=True)) for one in asked]
    for one in (*asked, *near, *codes):
        assert table[one] == nearest([*one], [[*code] for code in codes], tolerance)


def test_what_is_given_stays_itself_and_what_is_far_stays_unknown() -> None:
    coding = Coding({"a": 0, "b": 1, "c": 100}, ignore_value=255, tolerance=20)
    assert coding.labels(np.array([[0, 1, 2, 21, 80, 120, 235]], np.uint8), "m").tolist() == [[0, 1, 1, 1, 2, 2, 255]]
    with pytest.raises(UserError, match="value 50"):
        coding.labels(np.array([[0, 50]], np.uint8), "m")


def test_grey_that_was_saved_in_colour_counts_as_its_middle_channel() -> None:
    pixels = np.array([[[250, 255, 247], [3, 0, 9]]], np.uint8)
    assert Coding({"a": 0, "b": 255}, tolerance=10).labels(pixels, "m").tolist() == [[1, 0]]
    for tolerance in (None, 7):
        with pytest.raises(UserError, match="colour picture"):
            Coding({"a": 0, "b": 255}, tolerance=tolerance).labels(pixels, "m")


@pytest.mark.parametrize("tolerance", [-1, 0.5, "40", True, 1 << 16])
def test_a_tolerance_is_a_number_of_levels(tolerance: int) -> None:
    with pytest.raises(UserError, match=r"dataset\.tolerance"):
        Coding({"a": 0}, tolerance=tolerance)


def test_the_way_out_of_a_jpeg_names_a_tolerance_that_suffices() -> None:
    assert "dataset.tolerance=12 " in way_out_of_jpeg([3, 243, 250], [0, 255], False)
    with pytest.raises(UserError, match=r"dataset\.tolerance=9 "):
        Coding({"a": "#000000", "b": "#ff0000"}).labels(np.array([[[250, 9, 0], [0, 3, 3]]], np.uint8), "m.jpg")
