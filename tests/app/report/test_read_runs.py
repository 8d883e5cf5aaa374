import math

import pytest

from segtrain.app.report.read_runs import count_false_positives, empty_images, score_of_image
from tests.app.report.cases import run

NAN = math.nan
NEW = {"truth/background": 90.0, "truth/cell": 10.0, "pixels": 100.0}
EMPTY = {"truth/background": 100.0, "truth/cell": 0.0, "pixels": 100.0}


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({"dice": 0.4}, 0.4),
        ({"dice": NAN}, 1.0),
        ({"dice": NAN, "pixels": 5.0}, 1.0),
        ({"dice": NAN, "pixels": 0.0}, NAN),
        ({"dice": NAN, "truth/background": 0.0, "truth/cell": 0.0}, NAN),
        ({"dice": NAN, **EMPTY}, 1.0),
        ({"dice": 0.0, **EMPTY}, 0.0),
    ],
)
def test_a_rightly_empty_image_counts_as_one(row: dict[str, float], right: float) -> None:
    assert score_of_image(row, "dice") == pytest.approx(right, nan_ok=True)


def test_what_the_truth_holds_tells_a_miss_from_a_false_positive() -> None:
    images = {"miss": {"dice": 0.0, **NEW}, "seen": {"dice": 0.0, **EMPTY}, "right": {"dice": NAN, **EMPTY}}
    runs = [run("none", seed, images) for seed in range(3)]
    empty = empty_images(runs, "dice")
    assert empty == {"seen", "right"}
    assert str(count_false_positives(runs, "dice", empty)) == "3 of 6 (50%)"


def test_a_row_that_an_older_version_wrote_into_the_same_table_is_read_as_one_of_older_runs() -> None:
    blank = {"truth/background": NAN, "truth/cell": NAN}
    runs = [run("none", 0, {"right": {"dice": NAN, **blank}, "unknown": {"dice": 0.0, **blank}})]
    assert empty_images(runs, "dice") == {"right"}
    assert score_of_image(runs[0].images["right"], "dice") == 1


def test_older_runs_know_an_image_to_be_empty_where_one_of_them_has_no_score() -> None:
    runs = [run("none", 0, {"a": NAN, "b": 0.0}), run("flips", 0, {"a": 0.0, "b": 0.0})]
    assert empty_images(runs, "dice") == {"a"}
    assert [str(count_false_positives([one], "dice", {"a"})) for one in runs] == ["0 of 1 (0%)", "1 of 1 (100%)"]


def test_a_class_is_empty_by_itself() -> None:
    row = {"dice": 0.5, "dice/a": 0.5, "dice/b": NAN, "truth/background": 5.0, "truth/a": 5.0, "truth/b": 0.0}
    runs = [run("none", 0, {"x": row})]
    assert (empty_images(runs, "dice"), empty_images(runs, "dice/a"), empty_images(runs, "dice/b")) == (
        set(),
        set(),
        {"x"},
    )


def test_an_image_without_counted_pixels_is_not_empty() -> None:
    assert empty_images([run("none", 0, {"x": {"dice": NAN, "pixels": 0.0}})], "dice") == set()
