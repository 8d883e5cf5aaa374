"""Values and colours of masks to labels, against a loop over pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data.datasets.contract import IGNORE_INDEX
from segtrain.data.files.label_coding import UNKNOWN, Coding
from segtrain.errors import UserError

values = st.integers(0, 65535)
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
kinds = st.sampled_from([values, colours])


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
