"""What is legal and most likely not meant is told, or refused where it is absurd."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.cautions import (
    ABSURD,
    REPEATED,
    batch_caution,
    crop_caution,
    group_caution,
    more_groups,
    scales_caution,
    several_scales,
)
from segtrain.data.files.columns import as_codes
from segtrain.data.pixel_meaning import Span, span_of
from segtrain.data.split import Folds
from segtrain.errors import UserError
from tests.conftest import SMALL, CommandLine
from tests.data.made import picture

SIDES = st.integers(1, 300)
GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=16)
CLOUDS = [picture(seed).astype(np.float64)[..., :1] for seed in range(12)]  # from 20 to 220


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


@given(crop=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES))
def test_a_crop_that_nobody_typed_is_told_beyond_twice_the_images(crop: tuple[int, int], size: tuple[int, int]) -> None:
    try:
        typed, untyped = crop_caution(crop, [size]), crop_caution(crop, [size], is_typed=False)
    except UserError:
        return
    within = crop[0] <= 2 * size[0] and crop[1] <= 2 * size[1]
    assert untyped == ("" if within else typed)


@given(batch=st.integers(1, 3000), train=st.integers(1, 600))
def test_a_batch_is_told_where_it_repeats_images(batch: int, train: int) -> None:
    try:
        said = batch_caution(batch, train)
    except UserError as error:
        assert batch > REPEATED * train
        assert f"at most {REPEATED * train};" in str(error) and batch_caution(REPEATED * train, train)
        assert batch_caution(int(re.findall(r"data.batch_size=(\d+)", str(error))[0]), train) == ""
    else:
        assert batch <= REPEATED * train
        assert (said != "") == (batch > train) and (not said or str(train) in said)


@given(groups=GROUPS, tested=st.data())
def test_a_part_of_one_group_is_told(groups: list[str], tested: st.DataObject) -> None:
    test = tested.draw(st.lists(st.integers(0, len(groups) - 1), unique=True))
    said = group_caution(as_codes(groups), test, "a way")
    assert (said != "") == (len(test) > 1 and len({groups[i] for i in test}) == 1)
    assert ("a way" in said) == (said != "" and len({*groups}) > 1)  # of a single group nothing tests another


@given(groups=GROUPS)
def test_the_folds_that_are_proposed_are_dealt(groups: list[str]) -> None:
    way = more_groups(len({*groups}), is_drawn=True)
    assert (way == "") == (len({*groups}) < 3) and more_groups(len({*groups}), is_drawn=False) == ""
    if way:
        k = int((re.findall(r"dataset.split.k=(\d+)", way) or [5])[0])
        ids = [str(i) for i in range(len(groups))]
        dealt = [Folds(k, fold).assign(ids, [None] * len(ids), groups).test for fold in range(k)]
        assert sorted(i for test in dealt for i in test) == list(range(len(ids)))


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


def test_advice_on_groups_is_what_the_data_can_do(segtrain: CommandLine) -> None:
    """Patients of which one tests; a fold of one; slabs of one sequence; parts that the data itself says."""
    ids = [f"p{patient}_{slice}" for patient in range(4) for slice in range(5)]
    segtrain.folder.joinpath("cells").mkdir()
    image, mask = np.arange(256, dtype=np.uint8).reshape(16, 16), np.eye(16, dtype=np.uint8)
    for number, name in enumerate(ids):
        for kind, pixels in (("images", np.roll(image, 7 * number)), ("masks", mask)):
            path = segtrain.folder / "cells" / kind / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    data = ["dataset=folder", "dataset.root=cells", "dataset.classes={a:0,b:1}", "dataset.split.group='^(p\\d+)_'"]
    command = ["check", *data, "parts=[data]", "workers=1"]
    segtrain(*command)
    assert "one group (p" in segtrain.out and "split=folds dataset.split.k=4 dataset.split.fold=0" in segtrain.out
    segtrain(*command, "split=folds", "dataset.split.k=4", "dataset.split.fold=0")
    assert "dataset.split.fold=range(4)" in segtrain.out
    segtrain("check", *data[:3], "parts=[data]", "workers=1", "split=blocks", "dataset.split.gap=1")
    assert "all images are of one group" in segtrain.out and "folds" not in segtrain.out


@pytest.mark.parametrize(
    "wrong",
    [
        ["data.crop=512"],
        ["data.batch_size=500"],
        ["split=folds", "dataset.split.k=300"],
        ["logger=wandb", "data.crop=512"],
    ],
)
def test_what_is_absurd_trains_nothing_and_leaves_no_folder(wrong: list[str], segtrain: CommandLine) -> None:
    keys = [override.partition("=")[0] for override in wrong]
    assert segtrain(*(override for override in SMALL if override.partition("=")[0] not in keys), *wrong) == 2
    assert wrong[-1].partition("=")[2] in segtrain.err and not list(segtrain.folder.glob("outputs/*/*/*"))
    assert not [path for path in segtrain.folder.glob("outputs/*") if path.name != "cache"]


def test_the_check_tells_them_too(segtrain: CommandLine) -> None:
    command = ["check", "dataset=shapes", "dataset.n=40", "parts=[data]", "workers=1"]
    assert segtrain(*command) == 0 and "padded to the crop" not in segtrain.out
    assert segtrain(*command, "data.crop=96", "split=blocks") == 0
    assert "data.crop is 96" in segtrain.out and "of one group" in segtrain.out
    assert segtrain(*command, "data.crop=512") == 1


def test_a_sweep_of_nothing(segtrain: CommandLine) -> None:
    assert segtrain("-m", *SMALL, "trainer.max_epochs=1") == 0, segtrain.err
    assert "careful: nothing is swept" in segtrain.out


def spans(gains: list[float], dtype: str = "float32", some: list[np.ndarray[Any, Any]] = CLOUDS) -> list[Span]:
    return [span_of((image * gain).astype(dtype)) for image, gain in zip(some, gains, strict=True)]


@pytest.mark.parametrize(
    ("dtype", "usual", "other"), [("uint16", 16, 256), ("float32", 1, 1 / 255), ("uint16", 257, 1)]
)
@pytest.mark.parametrize("count", [2, 5, 6, 10])
def test_images_of_another_scale_are_found_among_others(dtype: str, usual: float, other: float, count: int) -> None:
    places = range(1, 1 + count)
    found = several_scales(spans([other if i in places else usual for i in range(12)], dtype))
    assert found is not None and found.factor == pytest.approx(max(usual / other, other / usual), rel=0.3)
    fewer = places if count < 6 else {*range(12)} - {*places}
    assert {*found.fewer} == {*fewer} or (count == 6 and len(found.fewer) == 6)
    assert found.is_dim == ((other < usual) == ({*found.fewer} == {*places}))
    assert several_scales(spans([usual] * 12, dtype)) is None


def test_one_image_is_no_scale_and_8_bits_have_but_one() -> None:
    assert several_scales(spans([16.0, *[1.0] * 11])) is None
    assert several_scales(spans([0.05] * 6 + [1.0] * 6, "uint8")) is None
    assert several_scales(spans([1.0] * 6, "uint8", CLOUDS[:6]) + spans([1.0] * 6, "float32", CLOUDS[6:])) is None


@given(gains=st.lists(st.floats(0.4, 2.5), min_size=12, max_size=12), offset=st.floats(0, 100))
def test_exposures_are_of_one_scale(gains: list[float], offset: float) -> None:
    assert several_scales(spans(gains, some=[image + offset for image in CLOUDS])) is None


def test_blank_fields_are_of_the_scale_of_the_others() -> None:
    """They begin where the others do: at the camera's offset."""
    draw = np.random.default_rng(0)
    noise = [100 + draw.normal(0, 3, (48, 48, 1)) for _ in range(12)]
    cells = [image + 3000 * (draw.random((48, 48, 1)) < 0.1) for image in noise[6:]]
    few = [image + 3000 * (draw.random((48, 48, 1)) < 0.005) - 100 for image in noise]  # and where there is no offset
    assert several_scales(spans([1.0] * 12, "uint16", noise[:6] + cells)) is None
    assert several_scales(spans([1.0] * 12, some=[*few[:6], *(image - 100 for image in cells)])) is None
    assert several_scales(spans([1 / 16] * 6 + [1.0] * 6, "uint16", noise[:6] + cells)) is not None


def test_a_channel_alone_may_be_scaled_otherwise_and_the_images_are_named() -> None:
    pairs = [np.concatenate([image, image / (1 if i % 3 else 255)], 2) for i, image in enumerate(CLOUDS)]
    some = spans([1.0] * 12, some=pairs)
    found = several_scales(some)
    assert found is not None and (found.channel, found.fewer) == (1, (0, 3, 6, 9))
    words = scales_caution(some, [f"n{i}" for i in range(12)])
    assert words.startswith("4 of 12 training images") and "'n0', 'n3', 'n6', …" in words
    assert scales_caution(some[1:3], ["a", "b"]) == ""
