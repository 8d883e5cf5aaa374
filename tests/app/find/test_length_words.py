"""What longer trainings say: whether the leader keeps its lead, loses it, or would."""

import re

from segtrain.app.find.answer import FindAnswer, RaceAnswer
from segtrain.app.find.length_words import curves_by_arm, length_sentences
from tests.app.find import answers
from tests.app.find.answers import points_at

RACE = answers.race({"none": 0.8, "flips": 0.849, "geometric": 0.85}, 5)
LEADER, OTHER = RACE.left


def said(*curves: tuple[str, dict[float, float]], race: RaceAnswer = RACE, reach: float = 0.004) -> str:
    points = [point for arm, gains in curves for point in points_at(arm, gains, reach)]
    return " ".join(length_sentences(FindAnswer("f", "cells", race, None, tuple(points), (), False)))


def test_nothing_is_said_of_one_length() -> None:
    assert said() == "" and said((LEADER, {1: 0.05})) == ""


def test_a_lead_that_grows_is_no_sign_of_a_turn() -> None:
    text = said((LEADER, {1: 0.02, 2: 0.03}), (OTHER, {1: 0.01, 2: 0.01}))
    assert f"There is no sign that the order turns with length: {LEADER} stays ahead of training without" in text
    assert f"augmentation and of {OTHER}." in text and "hint from 2 seeds" in text
    assert (
        f"{LEADER} gains, in points of val/dice over training without augmentation, +2.00 at 1 ×, +3.00 at 2 ×" in text
    )


def test_a_lead_that_comes_and_goes_is_called_neither() -> None:
    text = said((LEADER, {1: 0.02, 2: 0.01, 4: 0.04}), (OTHER, {1: 0.01, 2: 0.02, 4: 0.01}))
    assert f"cannot be seen: {LEADER} is ahead at some of them only" in text and "stays ahead" not in text


def test_another_that_is_ahead_in_the_longest_training_turns_the_order() -> None:
    text = said((LEADER, {1: 0.02, 2: 0.021}), (OTHER, {1: 0.01, 2: 0.024}))
    assert f"At 2 × the training length {OTHER} is ahead of {LEADER} by 0.30 points" in text
    assert "their intervals overlap, so that this is not settled" in text and "no sign" not in text
    assert "do not overlap" in said((LEADER, {1: 0.02, 2: 0.021}), (OTHER, {1: 0.01, 2: 0.04}))


def test_a_lead_that_shrinks_may_be_gone_soon() -> None:
    text = said((LEADER, {1: 0.03, 2: 0.03}), (OTHER, {1: 0.01, 2: 0.02}))
    assert (
        f"The lead of {LEADER} over {OTHER} goes from +2.00 points at 1 × the training length to +1.00 at 2 ×" in text
    )
    assert "gone at about 4 ×: the order may turn" in text
    assert "may turn" not in said((LEADER, {1: 0.03, 2: 0.03}), (OTHER, {1: 0.01, 2: 0.012}))


def test_augmentation_that_gains_only_in_long_trainings_turns_the_order() -> None:
    race = answers.race({"none": 0.85, "flips": 0.849}, 5)
    assert race.leader == "none"
    text = said(("flips", {1: -0.001, 4: 0.02}), race=race)
    assert "At 4 × the training length flips is ahead of training without augmentation by 2.00 points" in text
    assert "do not overlap" in text
    assert "no sign" in said(("flips", {1: -0.001, 2: -0.001}), race=race)


def test_a_winner_whose_gain_is_gone_loses_to_training_without() -> None:
    text = said((LEADER, {1: 0.03, 2: 0.001}))
    assert re.search(r"over training without augmentation goes from \+3\.00 points .* to \+0\.10 at 2 ×", text)
    assert "training without augmentation is ahead" in said((LEADER, {1: 0.03, 2: -0.001}))


def test_curves_are_by_length_with_the_leader_first() -> None:
    points = [*points_at(OTHER, {2: 0.1, 1: 0.2}), *points_at(LEADER, {4: 0.1, 1: 0.3}), *points_at("none", {1: 0.0})]
    curves = curves_by_arm(FindAnswer("f", "cells", RACE, None, tuple(points), (), False))
    assert {arm: [p.factor for p in curve] for arm, curve in curves.items()} == {LEADER: [1, 4], OTHER: [1, 2]}
    assert next(iter(curves)) == LEADER


def test_gains_over_different_arms_without_augmentation_are_not_held_against_each_other() -> None:
    other = next(arm for arm in RACE.arms if arm.plain)._replace(name="none, model=fpn")
    race = RACE._replace(arms=(*RACE.arms, other))
    text = said((LEADER, {1: 0.02, 2: 0.03}), (OTHER, {1: 0.01, 2: 0.01}), race=race)
    assert f"{LEADER} gains" in text and "order" not in text and "ahead" not in text
