"""A survey says of each sample what it is, and on_bad=skip leaves out what cannot be read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segtrain.data.datasets import Folder
from segtrain.data.split import Split
from segtrain.data.survey import Seen, Unread, find_unreadable, leave_out_bad, open_with_bad, survey, survey_sample
from segtrain.errors import UserError
from tests.data.made import CLASSES, InMemory, codes, pair, picture

SPLIT = Split((0, 1, 2), (3, 4), (5,), (6,))
USED = range(6)
GOOD = picture(0), (codes() > 0).astype("uint8")


def test_the_facts_of_a_sample() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[..., 0], image[0, 0] = 10, (1, 2, 250)
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:7], mask[5, 0], mask[0, 7] = 1, 1, 255
    seen = survey_sample(InMemory([(image, mask)]), 0)
    assert isinstance(seen, Seen)
    assert seen[:7] == (6, 8, 3, "uint8", 0.0, 250.0, True)
    assert seen.total == (471.0, 2.0, 250.0) and seen.squares == (4701.0, 4.0, 62500.0)
    assert seen.pixels == {0: 36, 1: 11, 255: 1} and seen.extent == {0: 8, 1: 5}
    assert not seen.mark.flat


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_sums_are_those_of_the_values(dtype: str) -> None:
    image = np.random.default_rng(0).integers(0, 60_000, (5, 4, 2)).astype(dtype)
    seen = survey_sample(InMemory([(image, np.zeros((5, 4), np.uint8))]), 0)
    assert isinstance(seen, Seen) and seen.low == image.min() and seen.high == image.max()
    assert np.allclose(seen.total, image.sum((0, 1), float)) and np.allclose(
        seen.squares, (image.astype(float) ** 2).sum((0, 1))
    )


def test_what_is_not_finite_is_said_and_left_out() -> None:
    image = np.ones((4, 4, 1), np.float32)
    image[0, 0], image[0, 1] = np.nan, np.inf
    seen = survey_sample(InMemory([(image, np.zeros((4, 4), np.uint8))]), 0)
    assert isinstance(seen, Seen) and not seen.finite and (seen.low, seen.high, seen.total) == (1, 1, (14.0,))


def test_what_cannot_be_read_has_its_reason() -> None:
    lying = picture(0, 16), np.zeros((16, 15), np.uint8)
    data = InMemory([UserError("broken", codes={"7": 3}), ValueError("a user's own"), lying])
    assert survey_sample(data, 0) == Unread("broken", {"7": 3})
    assert survey_sample(data, 1) == Unread("ValueError: a user's own", {})
    assert survey_sample(data, 2).reason == "'s2': image and mask differ in size; got image 16 x 16, mask 15 x 16"  # type: ignore[union-attr]


def many(count: int = 40) -> list[Any]:
    return [(picture(seed, 16), np.full((16, 16), seed % 2, np.uint8)) for seed in range(count)]


def test_processes_find_what_one_finds_in_the_same_order() -> None:
    data, called = InMemory([*many(), UserError("broken")]), list[int]()
    alone = survey(data, range(41), workers=1, meanwhile=lambda: called.append(1))
    assert survey(data, range(41), workers=2, meanwhile=lambda: called.append(2)) == alone
    assert list(alone) == list(range(41)) and called == [1, 2]


class Deadly(InMemory):
    def read(self, index: int) -> Any:
        if index == 20:
            os._exit(1)
        return super().read(index)


def test_a_process_that_dies_is_a_message_not_a_hang() -> None:
    with pytest.raises(UserError, match="a process that read the data died"):
        survey(Deadly(many()), range(40), workers=2)


def dataset(**bad: Exception) -> InMemory:
    return InMemory([bad.get(f"s{i}", GOOD) for i in range(7)])


def places(data: InMemory) -> dict[str, int]:
    return {name: index for index, name in enumerate(data.ids)}


def test_what_cannot_be_read_is_found_with_its_reason() -> None:
    data = dataset(s1=UserError("broken"), s4=UserError("also"), s6=UserError("unused is not read"))
    assert find_unreadable(data, USED) == {"s1": "broken", "s4": "also"}


def test_it_leaves_its_part_and_moves_no_other() -> None:
    data = dataset(s1=UserError("broken"), s4=UserError("also"))
    found = leave_out_bad(SPLIT, places(data), find_unreadable(data, USED))
    assert found == Split((0, 2), (3,), (5,), (1, 4, 6))
    assert leave_out_bad(SPLIT, places(data), {}) == SPLIT
    assert leave_out_bad(SPLIT, places(data), {"gone": "since the run began"}) == SPLIT


def test_a_part_of_nothing_else_is_refused() -> None:
    data = dataset(s5=UserError("broken"))
    with pytest.raises(UserError, match=r"no sample of test can be read.*for 's5': broken"):
        leave_out_bad(SPLIT, places(data), find_unreadable(data, USED))


def test_a_file_that_another_run_may_reach_is_never_left_out() -> None:
    error = UserError("'a.png' cannot be read")
    error.__cause__ = PermissionError(13, "Permission denied")
    with pytest.raises(UserError, match=r"sample 's1' cannot be reached.*'a.png' cannot be read"):
        find_unreadable(dataset(s1=error), USED)
    error.__cause__ = OSError("image file is truncated")  # as PIL raises it: of the file, not of the system
    assert list(find_unreadable(dataset(s1=error), USED)) == ["s1"]


def test_a_folder_with_a_broken_file_opens_and_one_without_a_mask_does_not(tmp_path: Path) -> None:
    for name in "abcd":
        pair(tmp_path, name, picture(ord(name)), codes())
    (tmp_path / "images/a.png").write_text("not an image")
    with pytest.raises(UserError, match="cannot be read"):
        Folder(tmp_path, CLASSES)
    data = open_with_bad(lambda: Folder(tmp_path, CLASSES))
    assert list(find_unreadable(data, range(4))) == ["a"] and data.channels == 3
    (tmp_path / "masks/b.png").unlink()
    with pytest.raises(UserError, match="1 of 4 files have no mask"):
        open_with_bad(lambda: Folder(tmp_path, CLASSES))
