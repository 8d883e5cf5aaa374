from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.files.coco_annotations import mend, region_of
from segtrain.errors import UserError, hearing
from tests.data.datasets.mistakes.coco import SQUARE, content, opened, write

HEIGHT, WIDTH = 6, 8
FAR = 20  # beyond any corner that is drawn here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def drawn(segmentation: Any) -> np.ndarray[Any, Any]:
    """What is inside the image of a polygon that reaches beyond it, by way of a larger picture."""
    moved = [[value + FAR for value in polygon] for polygon in segmentation]
    whole = region_of(moved, HEIGHT + 2 * FAR, WIDTH + 2 * FAR, "whole")
    return np.asarray(whole[FAR : FAR + HEIGHT, FAR : FAR + WIDTH])


def crossed(corners: list[tuple[int, int]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Of each pixel's centre whether it is inside, by the edges to its right, and how far the nearest edge is."""
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    inside, near = np.zeros((HEIGHT, WIDTH), bool), np.full((HEIGHT, WIDTH), np.inf)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
        length = (x2 - x1) ** 2 + (y2 - y1) ** 2
        along = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / max(length, 1), 0, 1)
        near = np.minimum(near, np.hypot(x1 + along * (x2 - x1) - x, y1 + along * (y2 - y1) - y))
    return inside, near


def clipped(segmentation: Any) -> np.ndarray[Any, Any]:
    found = mend(segmentation, HEIGHT, WIDTH, clip=True, skip=False)
    if found.is_gone:
        return np.zeros((HEIGHT, WIDTH), bool)
    return region_of(found.segmentation, HEIGHT, WIDTH, "clipped")


sides = st.integers(-FAR + 1, FAR - 1)


@given(sides, sides, st.integers(1, FAR), st.integers(1, FAR))
def test_a_rectangle_is_cut_at_the_edge(left: int, top: int, width: int, height: int) -> None:
    right, bottom = min(left + width, FAR), min(top + height, FAR)
    polygon = [[left, top, right, top, right, bottom, left, bottom]]
    np.testing.assert_array_equal(clipped(polygon), drawn(polygon))


@given(st.lists(st.tuples(sides, sides), min_size=3, max_size=7))
def test_any_polygon_is_cut_at_the_edge(corners: list[tuple[int, int]]) -> None:
    """Pixels that an edge of it comes near may be rounded either way."""
    inside, near = crossed(corners)
    found = clipped([[value for corner in corners for value in corner]])
    np.testing.assert_array_equal(found[near > 1], inside[near > 1])


@given(st.lists(st.tuples(st.integers(-1, WIDTH + 1), st.integers(-1, HEIGHT + 1)), min_size=3, max_size=7))
def test_what_lies_inside_stays_as_it_is(corners: list[tuple[int, int]]) -> None:
    polygon = [[value for corner in corners for value in corner]]
    assert mend(polygon, HEIGHT, WIDTH, clip=True, skip=True) == (polygon, 0, 0)


@pytest.mark.usefixtures("here")
def test_polygons_beyond_the_image_are_cut_and_counted_where_asked() -> None:
    write(content([[4, 1, 12, 1, 12, 4, 4, 4]], n=3))
    with pytest.raises(UserError, match=r"dataset\.outside=clip"):
        opened().read(0)
    with hearing() as heard:
        dataset = opened(outside="clip")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[1:4, 4:] = 1
    np.testing.assert_array_equal(dataset.read(0).mask, expected)
    assert [(one.kind, len(one.names)) for one in heard] == [("cut polygons", 3)] and "3 polygons" in heard[0].message


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("shapeless", [[], None, [[1, 1, 5, 5]], [[]]])
def test_objects_without_a_shape_are_left_out_and_counted_where_asked(shapeless: Any) -> None:
    what = content(SQUARE, n=2)
    what["annotations"][1]["segmentation"] = shapeless
    write(what)
    with pytest.raises(UserError, match=r"dataset\.shapeless=skip"):
        opened().read(1)
    with hearing() as heard:
        dataset = opened(shapeless="skip")
    assert dataset.read(0).mask.any() and not dataset.read(1).mask.any()
    assert [one.kind for one in heard] == ["polygons left out"]
    assert "1 of 2 objects" in heard[0].message
    assert dataset.fingerprint() != opened().fingerprint()


@pytest.mark.usefixtures("here")
def test_of_an_object_only_what_has_no_shape_is_left_out() -> None:
    write(content([*SQUARE, [1, 1, 5, 5]]))
    assert np.count_nonzero(opened(shapeless="skip").read(0).mask) == 12


@pytest.mark.usefixtures("here")
def test_what_is_wrong_in_other_ways_stays_an_error() -> None:
    """Of flat lists, which hold a shape, nothing is left out, and no data set is left without any object."""
    for wrong in (SQUARE[0], [[1, 1, 5, 1, "5", 4]], [[1, 1, 5, 1, 5, 4, 2]], [[float("nan"), 1, 5, 1, 5, 4]]):
        write(content(wrong))
        with pytest.raises(UserError, match="has no right"):
            opened(shapeless="skip", outside="clip").read(0)
    write(content([]))
    with pytest.raises(UserError, match="none of the 1 objects"):
        opened(shapeless="skip")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("named", ["train\\0.png", "photos/0.png", "C:\\data\\0.png", "/data/0.png"])
def test_file_names_with_folders_of_elsewhere(named: str) -> None:
    what = content()
    what["images"][0]["file_name"] = named
    write(what)
    (picture,) = Path("images").glob("*.png")
    picture.rename("images/0.png")
    if not named.startswith("/"):
        with pytest.raises(UserError, match=r"dataset\.file_names=last"):
            opened()
    dataset = opened(file_names="last")
    assert dataset.ids == ("0",) and dataset.read(0).mask.any()


@pytest.mark.usefixtures("here")
def test_backslashes_are_slashes_where_no_file_has_them_in_its_name() -> None:
    what = content()
    what["images"][0]["file_name"] = "a\\0.png"
    write(what)
    (picture,) = Path("images").glob("*.png")
    Path("images/a").mkdir()
    picture.rename("images/a/0.png")
    assert opened().ids == ("a/0",) and opened().read(0).mask.any()
