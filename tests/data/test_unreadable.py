"""Samples that cannot be read, left out of a split."""

from pathlib import Path

import pytest

from segtrain.data.datasets import Folder
from segtrain.data.split import Split
from segtrain.data.survey import opened, unreadable, without
from segtrain.errors import UserError
from tests.data.made import CLASSES, InMemory, codes, pair, picture

SPLIT = Split((0, 1, 2), (3, 4), (5,), (6,))
USED = range(6)
GOOD = picture(0), (codes() > 0).astype("uint8")


def dataset(**bad: Exception) -> InMemory:
    return InMemory([bad.get(f"s{i}", GOOD) for i in range(7)])


def places(data: InMemory) -> dict[str, int]:
    return {name: index for index, name in enumerate(data.ids)}


def test_what_cannot_be_read_is_found_with_its_reason() -> None:
    data = dataset(s1=UserError("broken"), s4=UserError("also"), s6=UserError("unused is not read"))
    assert unreadable(data, USED) == {"s1": "broken", "s4": "also"}


def test_it_leaves_its_part_and_moves_no_other() -> None:
    data = dataset(s1=UserError("broken"), s4=UserError("also"))
    found = without(SPLIT, places(data), unreadable(data, USED))
    assert found == Split((0, 2), (3,), (5,), (1, 4, 6))
    assert without(SPLIT, places(data), {}) == SPLIT
    assert without(SPLIT, places(data), {"gone": "since the run began"}) == SPLIT


def test_a_part_of_nothing_else_is_refused() -> None:
    data = dataset(s5=UserError("broken"))
    with pytest.raises(UserError, match=r"no sample of test can be read.*for 's5': broken"):
        without(SPLIT, places(data), unreadable(data, USED))


def test_a_file_that_another_run_may_reach_is_never_left_out() -> None:
    error = UserError("'a.png' cannot be read")
    error.__cause__ = PermissionError(13, "Permission denied")
    with pytest.raises(UserError, match=r"sample 's1' cannot be reached.*'a.png' cannot be read"):
        unreadable(dataset(s1=error), USED)
    error.__cause__ = OSError("image file is truncated")  # as PIL raises it: of the file, not of the system
    assert list(unreadable(dataset(s1=error), USED)) == ["s1"]


def test_a_folder_with_a_broken_file_opens_and_one_without_a_mask_does_not(tmp_path: Path) -> None:
    for name in "abcd":
        pair(tmp_path, name, picture(ord(name)), codes())
    (tmp_path / "images/a.png").write_text("not an image")
    with pytest.raises(UserError, match="cannot be read"):
        Folder(tmp_path, CLASSES)
    data = opened(lambda: Folder(tmp_path, CLASSES))
    assert list(unreadable(data, range(4))) == ["a"] and data.channels == 3
    (tmp_path / "masks/b.png").unlink()
    with pytest.raises(UserError, match="1 of 4 files have no mask"):
        opened(lambda: Folder(tmp_path, CLASSES))
