"""The figures of a find: every arm has its line and label, none covers another, and they show what was found."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find import figures
from segtrain.app.find.answer import RaceAnswer
from tests.app.find import answers

pytestmark = pytest.mark.usefixtures("laid_out")

MANY = {"none": 0.8} | {
    f"policy {i} × {strength:g}": 0.8 + 0.004 * i + 0.002 * strength for i in range(10) for strength in (0.5, 1, 2)
}


@pytest.fixture(scope="module", params=[12, 31])
def race(request: pytest.FixtureRequest) -> RaceAnswer:
    names = dict([*MANY.items()][: request.param])
    return answers.race(names, 12, failed={"policy 0 × 1": 0, "policy 1 × 1": 4})


def test_a_line_is_the_mean_difference_to_the_leader_so_far(race: RaceAnswer) -> None:
    lines = figures.race_lines(race)
    assert lines[0].arm.name == race.leader and not any(lines[0].behind)
    assert [line.arm.name for line in lines[: len(race.left)]] == list(race.left)
    of = {arm.name: arm.scores for arm in race.arms}
    for line in lines[1:]:
        for seeds, behind in zip(line.seeds, line.behind, strict=True):
            means = [np.mean([s for s in of[name][:seeds] if s is not None]) for name in (line.arm.name, race.leader)]
            assert behind == pytest.approx(100 * (means[0] - means[1]))
        if line.arm.state == "dropped":
            assert line.seeds[-1] == line.arm.seed
            if line.arm.behind == race.leader:
                assert -line.behind[-1] == pytest.approx(100 * (line.arm.by or 0))
    assert [line.seeds for line in lines if line.arm.name == "policy 0 × 1"] == [[]]


def test_every_arm_has_a_label_inside_the_figure_that_covers_no_other(race: RaceAnswer) -> None:
    drawn = figures.draw_race(race)
    drawn.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in drawn.figure.texts]
    texts = [text.get_text() for text in drawn.figure.texts]
    assert len(texts) == len(race.arms) and all(any(text.startswith(arm.name) for text in texts) for arm in race.arms)
    assert all(
        box.x1 <= drawn.figure.bbox.width and box.y0 >= 0 and box.y1 <= drawn.figure.bbox.height for box in boxes
    )
    ordered = sorted(boxes, key=lambda box: box.y0)
    assert all(low.y0 + 0.75 * low.height <= high.y0 for low, high in pairwise(ordered))
    assert sum("out after" in text for text in texts) == sum(arm.state == "dropped" for arm in race.arms)
    assert "policy 0 × 1: failed at seed 0" in texts


def test_the_band_is_about_the_limit_of_those_dropped(race: RaceAnswer) -> None:
    limits = figures._limits(race, race.seeds)
    assert [n for n, _ in limits] == [*range(race.first, race.seeds + 1)]
    ratios = [100 * (arm.limit or 0) / dict(limits)[arm.seed or 0] for arm in race.arms if arm.state == "dropped"]
    assert len(ratios) > 3 and 0.7 < np.median(ratios) < 1.4


def test_one_arm_far_behind_does_not_hide_the_others() -> None:
    race = answers.race({"none": 0.4, "flips": 0.849, "geometric": 0.85}, 6)
    drawn = figures.draw_race(race)
    (axes,) = drawn.figure.axes
    assert axes.get_yscale() == "symlog"
    (_, first), (_, second) = (axes.transData.transform((1, y)) for y in (0, -1))
    assert first - second > 0.1 * axes.get_window_extent().height


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.1))
def test_labels_are_spread_in_their_order_and_stay_where_there_is_room(places: list[float], gap: float) -> None:
    wanted = sorted(places, reverse=True)
    found = figures.spread_down(wanted, gap, 0.1, 0.9)
    steps = [high - low for high, low in pairwise(found)]
    fits = gap * (len(wanted) - 1) <= 0.8
    assert all(step >= (gap if fits else 0) - 1e-9 for step in steps)
    assert all(0.1 - 1e-9 <= place <= 0.9 + 1e-9 for place in found)
    alone = all(high - low >= gap for high, low in pairwise(wanted))
    if alone and all(0.1 <= place <= 0.9 for place in wanted):
        assert found == pytest.approx(wanted)


def test_a_long_name_is_shortened_in_the_middle() -> None:
    assert figures.shortened("flips × 1") == "flips × 1"
    long = figures.shortened("a" * 40 + "b" * 40)
    assert len(long) <= figures.LONGEST + 1 and long[0] == "a" and long[-1] == "b" and "…" in long
