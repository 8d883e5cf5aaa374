"""Which scans and labels belong to which patient."""

from pathlib import Path

import pytest

from segtrain.data.files.patterns import find_cases
from segtrain.errors import UserError


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
