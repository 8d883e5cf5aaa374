"""Which arms may be held against which."""

import numpy as np
import pytest
from hypothesis import given, settings

from segtrain.app.find.answer import FindAnswer
from segtrain.app.find.compared import behind_leader, compared_arms, mean_score, seeds_of_those_left, waits
from tests.app.find import answers


@settings(max_examples=60)
@given(answers.all_answers())
def test_those_left_are_compared_and_lead_over_the_seeds_of_both(answer: FindAnswer) -> None:
    race = answer.race
    leader = next(arm for arm in race.arms if arm.name == race.leader)
    assert not waits(leader, race) and behind_leader(leader, race) == 0
    assert {arm.name for arm in race.arms if arm.state == "left"} == set(race.left)
    assert set(race.left) <= {arm.name for arm in compared_arms(race)}
    for arm in race.arms:
        assert not (waits(arm, race) and arm.state != "left")
        pairs = [(a, b) for a, b in zip(leader.scores, arm.scores, strict=False) if a is not None and b is not None]
        behind = behind_leader(arm, race)
        assert (behind is None) == (not pairs)
        assert behind is None or behind == pytest.approx(np.mean([a - b for a, b in pairs]))
        known = [score for score in arm.scores if score is not None]
        assert mean_score(arm) == (pytest.approx(np.mean(known)) if known else None)


def test_seeds_are_said_as_those_left_have_them() -> None:
    assert seeds_of_those_left(answers.race({"none": 0.8, "flips": 0.8}, 9, tolerance=0.0)) == "9 seeds"
    gains = {"none": 0.8} | {f"policy {i}": 0.8 for i in range(7)}
    assert seeds_of_those_left(answers.race(gains, 9, tolerance=0.0)) == "6 to 9 seeds"
