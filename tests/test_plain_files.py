"""What a YAML text stands for is counted before it is read."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segtrain import plain_files
from segtrain.config.composition import conf_dir
from segtrain.errors import UserError
from segtrain.plain_files import require_plain

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "[" * 100_000,
        "- " * 5_000 + "a",
        "a: " + "x" * (plain_files.MOST_BYTES + 1),
        "[" + "1, " * plain_files.MOST_VALUES + "1]",
        "a: &a [*a]",
        "a: &a {b: {c: *a}}",
    ],
    ids=["laughs", "brackets", "dashes", "long", "many", "list in itself", "mapping in itself"],
)
def test_what_nobody_could_read_is_refused_at_once(text):
    with pytest.raises(UserError, match=r"config\.yaml"):
        require_plain(text, "config.yaml")


@pytest.mark.parametrize("path", sorted(conf_dir().rglob("*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_of_ours_is_plain(path):
    require_plain(path.read_text("utf-8"), path)


@pytest.mark.parametrize("text", ["", "a: [1", "\tx", "a: *b", "\0"])
def test_other_mistakes_are_left_to_the_reader(text):
    require_plain(text, "config.yaml")


def _values(node) -> int:
    inner = [item for pair in node.items() for item in pair] if isinstance(node, dict) else node
    return 1 + sum(map(_values, inner)) if isinstance(node, dict | list) else 1


NODES = st.recursive(
    st.integers() | st.text("abc"), lambda n: st.lists(n, max_size=4) | st.dictionaries(st.text("abc"), n, max_size=4)
)


@given(NODES, st.integers(1, 3))
def test_repetitions_count_as_what_they_stand_for(node, deep):
    shared = node if isinstance(node, dict | list) and node else [node]
    for _ in range(deep):
        shared = [shared, shared]
    text, values = yaml.safe_dump(shared), _values(shared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_files, "MOST_VALUES", values)
        require_plain(text, "x")
        patch.setattr(plain_files, "MOST_VALUES", values - 1)
        with pytest.raises(UserError):
            require_plain(text, "x")


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
    assert plain_files.read_json(json.dumps(value, ensure_ascii=is_ascii), "x.json") == value


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "1e999", "[NaN]", "-Infinity", "9" * 5000, '{"a": 1, "a": 2}', r'"\ud800"', "\x00", "'a'"],
)
def test_what_is_no_data_is_one_message(text):
    with pytest.raises(UserError, match=r"'x\.json' is damaged"):
        plain_files.read_json(text, "x.json")
