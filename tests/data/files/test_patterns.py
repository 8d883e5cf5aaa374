"""What a pattern fits, against the text that made the name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.files.patterns import SUFFIXES, Pattern
from segtrain.errors import UserError

words = st.text("abc_.-(+[ é", min_size=1, max_size=6).filter(lambda word: word not in (".", ".."))
ids = st.lists(words, min_size=1, max_size=3).map("/".join)
splits = {"train": "train", "Training": "train", "VAL": "val", "valid": "val", "validation": "val", "testing": "test"}


@given(words, ids, st.sampled_from([*splits]), words, st.sampled_from(SUFFIXES))
def test_a_pattern_gives_back_what_made_the_name(folder, name, split, ending, suffix):
    for text in (f"{folder}/{{split}}/{{id}}{ending}{suffix}", f"{folder}/{{split}}/{{id}}{ending}.*"):
        pattern = Pattern(text, "dataset.images")
        made = text.replace("{split}", split).replace("{id}", name).replace(".*", suffix.upper())
        assert pattern.fits(made) == (splits[split], name)
        assert pattern.fits(made + "x") is None and pattern.fits("x" + made) is None
        assert pattern.folder == folder


def test_star_stays_within_a_name_and_text_is_meant_as_it_stands():
    pattern = Pattern("a.b/*/{id}+.png", "dataset.images")
    assert pattern.fits("a.b/p/1+.png") == (None, "1")
    assert pattern.fits("a.b/p/q/1+.png") == (None, "q/1")
    assert pattern.fits("axb/p/1+.png") is None and pattern.fits("a.b/1+.png") is None


def test_a_field_that_comes_twice_says_the_same():
    pattern = Pattern("{id}/{id}_{split}.png", "dataset.images")
    assert pattern.fits("a/a_val.png") == ("val", "a") and pattern.fits("a/b_val.png") is None


def test_split_is_no_other_word():
    assert Pattern("{split}/{id}.png", "dataset.images").fits("trainannot/a.png") is None


@pytest.mark.parametrize(
    "text",
    ["{stem}.png", "{split}/a.png", "{id.png", "id}.png", "{}.png", "/x/{id}.png", "x/../{id}.png", "{id}", "{id}.txt"],
)
def test_what_is_no_pattern_is_refused_with_its_key(text):
    with pytest.raises(UserError, match=r"dataset\.masks is '.*expected"):
        Pattern(text, "dataset.masks")
