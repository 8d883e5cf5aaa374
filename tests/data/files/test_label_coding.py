"""Masks of values, of colours, and of what JPEG leaves near them, become labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data.datasets.contract import IGNORE_INDEX
from segtrain.data.files.label_coding import UNKNOWN, Coding, spread_codes, way_out_of_jpeg
from segtrain.errors import UserError

values = st.integers(0, 65535)
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
kinds = st.sampled_from([values, colours])
NONE = 254
colour = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def codings(draw, least=1):
    """Classes of one to three codes each, the codes to ignore, and which label each code is."""
    codes = draw(st.lists(draw(kinds), min_size=least, max_size=12, unique=True))
    cuts = sorted(draw(st.sets(st.integers(1, len(codes) - 1), max_size=4))) if len(codes) > 1 else []
    groups = [codes[a:b] for a, b in zip([0, *cuts], [*cuts, len(codes)], strict=True)]
    ignored = groups.pop() if len(groups) > 1 and draw(st.booleans()) else None
    classes = {f"c{i}": group if len(group) > 1 else group[0] for i, group in enumerate(groups)}
    label_of = {code: label for label, group in enumerate(groups) for code in group}
    return classes, ignored, label_of | dict.fromkeys(ignored or [], IGNORE_INDEX)


def pixels_of(codes):
    """A mask of one row with these codes."""
    if isinstance(codes[0], int):
        return np.array([codes], np.uint16)
    return np.array([[list(bytes.fromhex(code[1:])) for code in codes]], np.uint8)


@settings(max_examples=40)  # a table of all colours is 16 MB
@given(codings(), st.data())
def test_each_code_becomes_its_label(coded, data):
    classes, ignored, label_of = coded
    drawn = data.draw(st.lists(st.sampled_from(sorted(label_of)), min_size=1, max_size=20))
    coding = Coding(classes, ignored)
    assert coding.names == tuple(classes)
    labels = coding.labels(pixels_of(drawn), "m")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[label_of[code] for code in drawn]]


@settings(max_examples=40)  # a table of all colours is 16 MB
@given(codings(), st.data())
def test_any_other_code_is_refused_by_name_with_its_pixels(coded, data):
    classes, ignored, label_of = coded
    kind = values if isinstance(next(iter(label_of)), int) else colours
    wrong = data.draw(kind.filter(lambda code: code not in label_of))
    times = data.draw(st.integers(1, 5))
    pixels = pixels_of([*label_of, *[wrong] * times])
    with pytest.raises(UserError, match=rf"mask 'm' has the (value|colour) {wrong} \({times} pixels\)") as caught:
        Coding(classes, ignored).labels(pixels, "m")
    assert caught.value.codes == {str(wrong): times}


@settings(max_examples=40)
@given(codings(2), st.data())
def test_a_code_given_twice_is_refused(coded, data):
    classes, ignored, label_of = coded
    twice = data.draw(st.sampled_from(sorted(label_of)))
    with pytest.raises(UserError, match="expected one meaning"):
        Coding({**classes, "again": twice}, ignored)


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=9, unique=True), st.sampled_from(["uint8", "uint16", "int32"])
)
def test_values_count_alike_in_every_type_that_holds_them(codes, dtype):
    coding = Coding({f"c{code}": code for code in codes})
    assert coding.labels(np.array([codes], dtype), "m").tolist() == [[*range(len(codes))]]


def test_the_masks_own_colours_are_the_palette_and_case_does_not_count():
    coding = Coding({"sky": "#0000FF", "road": ["#804080", "#f423E8"]})
    assert coding.in_colour and coding.palette == ((0, 0, 255), (128, 64, 128))
    with pytest.raises(UserError, match="expected one meaning"):
        Coding({"a": "#0000FF", "b": "#0000ff"})


def test_a_grey_mask_has_grey_colours():
    coding = Coding({"black": "#000000", "white": "#ffffff"})
    assert coding.labels(np.array([[0, 255]], np.uint8), "m").tolist() == [[0, 1]]


def test_as_many_classes_as_labels_there_are_and_no_more():
    coding = Coding({f"c{i}": i for i in range(UNKNOWN)}, ignore_value=65535)
    assert coding.labels(np.array([[0, UNKNOWN - 1, 65535]], np.uint16), "m").tolist() == [[0, UNKNOWN - 1, 255]]
    with pytest.raises(UserError, match="expected 1 to 254"):
        Coding({f"c{i}": i for i in range(UNKNOWN + 1)})


def test_values_beyond_the_table_are_refused_whatever_their_sign():
    for value in (-1, 65536):
        with pytest.raises(UserError, match=rf"has the value {value} \(1 pixels\)"):
            Coding({"a": 0}).labels(np.array([[0, value]], np.int32), "m")


@pytest.mark.parametrize("code", ["red", "#fff", "#12345g", "0", True, 1.0, None, 65536, -1, [[1]]])
def test_what_is_no_value_and_no_colour_is_refused(code):
    with pytest.raises(UserError, match="expected a value in the mask"):
        Coding({"a": code})


@pytest.mark.parametrize("codes", [[1, "#000000"], ["#000000", 1]])
def test_values_and_colours_do_not_mix(codes):
    with pytest.raises(UserError, match="mixes values and colours"):
        Coding({"a": codes[0]}, ignore_value=codes[1])


def test_ten_thousand_unknown_colours_are_told_in_a_few():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    with pytest.raises(UserError) as caught:
        Coding({"a": "#000000"}).labels(pixels, "m")
    assert len(str(caught.value)) < 500 and len(caught.value.codes) == 300
    assert f"and {len(np.unique(pixels.reshape(-1, 3), axis=0)) - 5} more" in str(caught.value)


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
