"""What is legal and most likely not meant is said in a line, and what is absurd is refused."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.cautions import ABSURD, batch_caution, crop_caution, group_caution
from segtrain.errors import UserError
from tests.conftest import SMALL, CommandLine

SIDES = st.integers(1, 300)


@given(crop=st.tuples(SIDES, SIDES), sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
def test_a_crop_is_told_where_no_image_is_as_large(crop: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> None:
    fits = any(height >= crop[0] and width >= crop[1] for height, width in sizes)
    high, wide = max(height for height, _ in sizes), max(width for _, width in sizes)
    try:
        said = crop_caution(crop, sizes)
    except UserError as error:
        assert not fits and crop[0] >= ABSURD * high and crop[1] >= ABSURD * wide
        assert f"{high} × {wide}" in str(error) and "data.crop=" in str(error)
    else:
        assert (said == "") == fits and not (crop[0] >= ABSURD * high and crop[1] >= ABSURD * wide)
        assert not said or f"{high} × {wide}" in said


def test_the_same_side_twice_is_one_number() -> None:
    assert crop_caution(96, [(64, 64)]).startswith("data.crop is 96,") and crop_caution(None, [(64, 64)]) == ""
    assert crop_caution(64, [(64, 64)]) == "" and crop_caution(64, []) == ""


@given(batch=st.integers(1, 600), train=st.integers(1, 600))
def test_a_batch_is_told_where_it_repeats_images(batch: int, train: int) -> None:
    said = batch_caution(batch, train)
    assert (said != "") == (batch > train) and (not said or str(train) in said)


@given(groups=st.lists(st.sampled_from("abc"), max_size=6))
def test_a_part_of_one_group_is_told(groups: list[str]) -> None:
    assert (group_caution(groups) != "") == (len(groups) > 1 and len(set(groups)) == 1)


def lines(segtrain: CommandLine, *typed: str) -> list[str]:
    keys = {override.partition("=")[0] for override in typed}
    small = [override for override in SMALL if override.partition("=")[0] not in keys]
    assert segtrain(*small, "trainer.max_epochs=1", *typed) == 0, segtrain.err
    return [line for line in segtrain.out.splitlines() if line.startswith("careful: ")]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("data.crop=96", "data.crop is 96"),
        ("data.batch_size=30", "data.batch_size is 30"),
        ("split=blocks", "of one group"),  # a slab of one sequence
    ],
)
def test_a_training_tells_them(typed: str, said: str, segtrain: CommandLine) -> None:
    told = lines(segtrain, typed, "dataset.n=40")
    assert len(told) == 1 and said in told[0]


def test_a_training_that_is_as_it_should_be_says_nothing(segtrain: CommandLine) -> None:
    assert lines(segtrain) == []


def test_an_absurd_crop_trains_nothing(segtrain: CommandLine) -> None:
    assert segtrain(*(override for override in SMALL if "crop" not in override), "data.crop=512") == 2
    assert "data.crop is 512" in segtrain.err and not list(segtrain.folder.glob("outputs/*/*/checkpoints/*"))


def test_the_check_tells_them_too(segtrain: CommandLine) -> None:
    command = ["check", "dataset=shapes", "dataset.n=40", "parts=[data]", "workers=1"]
    assert segtrain(*command) == 0 and "padded to the crop" not in segtrain.out
    assert segtrain(*command, "data.crop=96", "split=blocks") == 0
    assert "data.crop is 96" in segtrain.out and "of one group" in segtrain.out
    assert segtrain(*command, "data.crop=512") == 1


def test_a_sweep_of_nothing(segtrain: CommandLine) -> None:
    assert segtrain("-m", *SMALL, "trainer.max_epochs=1") == 0, segtrain.err
    assert "careful: nothing is swept" in segtrain.out
