"""JSON of strangers is data that can be written again, or one message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain import plain_json
from segtrain.errors import UserError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda node: st.lists(node, max_size=3) | st.dictionaries(st.text(max_size=3), node, max_size=3),
)


@given(PLAIN, st.booleans())
def test_what_is_written_is_read(value, is_ascii):
    assert plain_json.read(json.dumps(value, ensure_ascii=is_ascii), "x.json") == value


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "1e999", "[NaN]", "-Infinity", "9" * 5000, '{"a": 1, "a": 2}', r'"\ud800"', "\x00", "'a'"],
)
def test_what_is_no_data_is_one_message(text):
    with pytest.raises(UserError, match=r"'x\.json' is damaged"):
        plain_json.read(text, "x.json")
