"""What is said of empty images: in a table's cell, and in sentences."""

import torch

from segtrain.parts.empty_images import are_there, cell, counts, of_row, sentences

NAMES = ("background", "cell")
FOUND, RIGHT, WRONG = ([[8, 1], [0, 3]], [[9, 0], [0, 0]], [[8, 1], [0, 0]])
IGNORED = [[0, 0], [0, 0]]


def results(*matrices: list[list[int]]) -> dict[str, float]:
    found = counts({i: torch.tensor(matrix) for i, matrix in enumerate(matrices)}, NAMES)
    return {f"test/{key}": value for key, value in found.items()}


def test_number_and_rate_of_false_positives_stand_in_the_cell() -> None:
    told = results(FOUND, RIGHT, RIGHT, RIGHT, WRONG)
    assert cell(told, "test") == cell(told, "test", "cell") == "1 of 4 (25 %)"
    assert cell(told, "test", "background") == "–"
    assert of_row({"empty_images": 4, "false_positive_images": 1}) == "1 of 4 (25 %)"


def test_what_is_empty_or_has_no_score_is_said_and_nothing_where_there_is_none() -> None:
    assert sentences(results(FOUND, FOUND), "test") == [] and not are_there(results(FOUND), "test", NAMES)
    told = results(FOUND, RIGHT, WRONG, IGNORED)
    empty, ignored = sentences(told, "test")
    assert "2" in empty and "1 of them, 50 %" in empty
    assert "ignored: 1" in ignored and are_there(told, "test", NAMES)


def test_of_others_is_spoken_only_where_there_are_some() -> None:
    for matrices, others in (([WRONG, WRONG], False), ([WRONG, RIGHT], True), ([RIGHT], True)):
        (said,) = sentences(results(FOUND, *matrices), "test")
        assert ("others" in said) is others


def test_results_that_were_written_before_say_nothing() -> None:
    assert not are_there({"test/dice": 0.5}, "test", NAMES)
