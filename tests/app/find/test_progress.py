"""What the terminal says before a find and while it runs."""

import math

import numpy as np
import pytest

from segtrain.app.find.allowance import RunTime, allow
from segtrain.app.find.boundary import Boundary, Stage, detectable
from segtrain.app.find.progress import batch_line, plan_lines, progress_line
from segtrain.app.find.race import judge_race

NAMES = tuple("abcdef")
BOUNDARY = Boundary(6, 3, (Stage(16, 0.04, 3.0),))
RUN = RunTime(2.0, 3.0, 10, "by a guess")


@pytest.mark.parametrize(("runs", "seeds", "leading"), [(30, 5, 5), (40, 6, 7), (60, 6, 12), (300, 16, 16)])
def test_the_plan_names_the_seeds_and_what_they_tell(runs: int, seeds: int, leading: int) -> None:
    seconds = (runs + 10.5) * RUN.seconds
    allowed = allow(seconds, 1, RUN, 6, 16, 5, 0.0)
    assert (allowed.seeds, allowed.leading) == (seeds, leading)
    said = " ".join(plan_lines(NAMES, allowed, RUN, seconds, 1, BOUNDARY, 16, 0.01))
    assert f"{seeds} seeds of every arm" in said and f"{100 * detectable(BOUNDARY, seeds, 0.01):.1f} points" in said
    assert (f"then {leading} of the 4" in said) == (leading > seeds)
    assert (f"{100 * detectable(BOUNDARY, leading, 0.01):.1f} behind" in said) == (leading > seeds)
    assert "not followed" not in said
    fewer = plan_lines(NAMES, allowed, RUN, seconds, 1, BOUNDARY, 8, 0.01)  # than the race was begun for
    assert "seeds=8 is not followed" in fewer[1]


def test_a_line_names_who_leads_who_waits_and_who_left_since() -> None:
    scores = np.array([0.1, 0.6, 0.55, 0.52, 0.53, 0.54])[:, None] + np.random.default_rng(0).normal(0, 0.02, (6, 16))
    none = np.zeros(scores.shape, bool)
    table = scores.copy()
    table[:, 3:] = math.nan
    first = judge_race(NAMES, table, none, BOUNDARY, 0.0)
    line = progress_line(first, None, 60.0)
    assert "b leads" in line and "dropped: a" in line and "wait" not in line and "60 s" in line
    wide = BOUNDARY._replace(stages=(Stage(16, 0.04, 8.0),))
    table = scores.copy()
    table[[0, 3], 6:] = table[:, 7:] = math.nan
    later = judge_race(NAMES, table, none, wide, 0.0)
    line = progress_line(later, first, 0.0)
    assert "2 of them wait" in line and "dropped" not in line and "nothing of the budget" in line
    assert f"{100 * later.leads[later.left[1]]:.2f} points over {later.left[1]}" in line
    seed, arms = later.coming[0]
    assert batch_line([seed], arms, later, 16).endswith("of b, c, e, f:")
    assert batch_line([6, 7], NAMES, later, 16).endswith("seed 7 and 8 of at most 16:")
