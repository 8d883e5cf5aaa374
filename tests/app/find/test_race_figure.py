"""The picture of a race: every arm has its line and label, none covers another, and they show what was found."""

from itertools import pairwise

import numpy as np
import pytest

from segtrain.app.find import race_figure
from segtrain.app.find.answer import RaceAnswer
from segtrain.app.find.line_ends import NARROW, WIDE, Form
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
    lines = race_figure.race_lines(race)
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


@pytest.mark.parametrize("form", [WIDE, NARROW])
def test_every_arm_has_a_label_inside_the_figure_that_covers_no_other(race: RaceAnswer, form: Form) -> None:
    drawn = race_figure.draw_race(race, form)
    drawn.figure.draw_without_rendering()
    named = [text for text in drawn.figure.texts if not text.get_text().isdecimal()]
    boxes = [text.get_window_extent() for text in named]
    texts = [text.get_text() for text in named]
    assert (len(drawn.figure.texts) == len(texts)) == form.beside
    assert len(texts) == len(race.arms) and all(any(text.startswith(arm.name) for text in texts) for arm in race.arms)
    assert all(
        box.x1 <= drawn.figure.bbox.width and box.y0 >= 0 and box.y1 <= drawn.figure.bbox.height for box in boxes
    )
    ordered = sorted(boxes, key=lambda box: box.y0)
    assert all(low.y0 + 0.75 * low.height <= high.y0 for low, high in pairwise(ordered))
    assert sum("out after" in text for text in texts) == sum(arm.state == "dropped" for arm in race.arms)
    assert "policy 0 × 1: failed at seed 0" in texts


def test_the_band_is_about_the_limit_of_those_dropped(race: RaceAnswer) -> None:
    limits = race_figure._limits(race, race.seeds)
    assert [n for n, _ in limits] == [*range(race.first, race.seeds + 1)]
    ratios = [100 * (arm.limit or 0) / dict(limits)[arm.seed or 0] for arm in race.arms if arm.state == "dropped"]
    assert len(ratios) > 3 and 0.7 < np.median(ratios) < 1.4


def test_one_arm_far_behind_does_not_hide_the_others() -> None:
    race = answers.race({"none": 0.4, "flips": 0.849, "geometric": 0.85}, 6)
    drawn = race_figure.draw_race(race)
    (axes,) = drawn.figure.axes
    assert axes.get_yscale() == "symlog"
    (_, first), (_, second) = (axes.transData.transform((1, y)) for y in (0, -1))
    assert first - second > 0.1 * axes.get_window_extent().height


@pytest.mark.parametrize("form", [WIDE, NARROW])
def test_no_two_arms_look_alike_and_every_fate_has_its_mark(race: RaceAnswer, form: Form) -> None:
    drawn = race_figure.draw_race(race, form)
    lines = [line for line in drawn.figure.axes[0].lines if line.get_linewidth() >= 0.9 and len(line.get_xdata()) > 1]
    lines = [line for line in lines if line.get_marker() in ("None", "") and line.get_alpha() is None]
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines}  # type: ignore[attr-defined]
    drawn_arms = [line for line in race_figure.race_lines(race) if len(line.seeds) > 1]
    assert len(looks) >= min(len(drawn_arms), 25)


def test_an_arm_that_waits_ends_with_a_mark_of_its_own_and_keeps_its_order() -> None:
    race = answers.race({"none": 0.8} | {f"policy {i}": 0.8 for i in range(7)}, 9, tolerance=0.0)
    lines = race_figure.race_lines(race)
    assert [line.arm.name for line in lines if line.arm.state == "left"] == list(race.left)
    waiting = [line for line in lines if line.fate == "waits"]
    assert waiting and {line.seeds[-1] for line in waiting} == {6}
    drawn = race_figure.draw_race(race)
    marks = [line for line in drawn.figure.axes[0].lines if line.get_marker() == race_figure.MARKS["waits"]]
    assert len(marks) == len(waiting) and all(line.get_xdata() == [6] for line in marks)
    assert "open diamond" in drawn.caption and "triangle" not in drawn.caption
    assert sum("waits after 6" in text.get_text() for text in drawn.figure.texts) == len(waiting)


def test_a_cross_lies_below_the_bar_of_its_own_limit(race: RaceAnswer) -> None:
    (axes,) = race_figure.draw_race(race).figure.axes
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    bars = [tuple(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 1.2]
    dropped = [line for line in race_figure.race_lines(race) if line.fate == "dropped"]
    assert len(crosses) == len(bars) == len(dropped) > 3
    for cross, (bar, _) in zip(crosses, bars, strict=True):
        assert bar > cross.get_ydata()[0]
