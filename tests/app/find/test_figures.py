"""The figures of a find: there are those that the answer has something for, and they show it."""

import numpy as np
import pytest

from segtrain.app.find import figures
from tests.app.find import answers

pytestmark = pytest.mark.usefixtures("laid_out")


def test_a_race_of_two_seeds_has_no_band_and_nothing_else_is_drawn() -> None:
    open_race = answers.race({"none": 0.8, "flips": 0.81}, 2)
    (drawn,) = figures.find_figures(answers.answer(open_race))
    assert drawn.name == "race" and "The band" not in drawn.caption and not drawn.figure.axes[0].collections


def test_the_gain_and_the_lengths_are_drawn_where_they_are_known() -> None:
    race = answers.race({"none": 0.8, "flips": 0.849, "geometric": 0.85}, 6)
    lengths = [
        *answers.points_at("flips", {1: 0.04, 2: 0.03}),
        *answers.points_at("geometric", {1: 0.02, 2: 0.03, 4: 0.03}),
    ]
    answer = answers.answer(race, answers.confirmation(race, 0.03, 0.01, 0.05), lengths)
    drawn = {one.name: one for one in figures.find_figures(answer)}
    assert [*drawn] == ["race", "gain", "lengths"]
    line = drawn["gain"].figure.axes[0].lines[1]
    assert np.allclose(line.get_xdata(), [1, 5])
    texts = [text.get_text() for text in drawn["lengths"].figure.texts]
    assert sorted(texts) == ["flips +3.00", "geometric +3.00", "no augmentation"]
    assert "2 seeds a point" in drawn["lengths"].caption
