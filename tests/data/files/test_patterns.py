"""Patterns tell samples, splits and patients by the names of files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.files.patterns import SUFFIXES, Pattern, find_cases
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


def touched(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_the_pattern_that_says_more_of_a_file_takes_it(tmp_path: Path) -> None:
    touched(tmp_path, *(f"{name}{ending}.nii.gz" for name in ("p1", "p2") for ending in ("", "_gt")))
    for images, labels in ((["{id}.nii*"], "{id}_gt.nii*"), (["{id}_gt.nii*"], "{id}.nii*")):
        cases, left_out = find_cases(tmp_path, images, labels)
        assert [case.id for case in cases] == ["p1", "p2"] and not left_out
        assert cases[0].label.name.startswith("p1_gt") == (labels == "{id}_gt.nii*")


def test_a_file_that_two_patterns_say_as_much_of_is_refused(tmp_path: Path) -> None:
    touched(tmp_path, "p1.nii.gz")
    with pytest.raises(UserError, match="fits both"):
        find_cases(tmp_path, ["{id}.nii*"], "{id}.nii*")


@pytest.mark.parametrize("words", [("train", "test"), ("training", "testing"), ("Training", "VALID")])
def test_splits_may_be_spelled_otherwise(words: tuple[str, str], tmp_path: Path) -> None:
    for word in words:
        touched(tmp_path, f"{word}/p1/p1.nii", f"{word}/p1/p1_gt.nii")
    cases, _ = find_cases(tmp_path, ["{split}/{id}/{id}.nii"], "{split}/{id}/{id}_gt.nii")
    splits = {"train": "train", "training": "train", "test": "test", "testing": "test", "valid": "val"}
    assert {case.split for case in cases} == {splits[word.lower()] for word in words}
    assert {case.label.parts[-3] for case in cases} == {*words}


@pytest.mark.parametrize("folder", ["images", "exp [1]", "a?b", "set [a-c] #2"])
def test_signs_of_a_shell_in_a_folders_name_are_letters(folder: str, tmp_path: Path) -> None:
    touched(tmp_path, *(f"{place}/{name}.nii.gz" for place in (folder, "labels") for name in ("p1", "p2")))
    cases, _ = find_cases(tmp_path, [f"{folder}/{{id}}.nii*"], "labels/{id}.nii.gz")
    assert [case.id for case in cases] == ["p1", "p2"]
