"""Every sentence that a find can say, over answers of all kinds: none says more than what was found."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from segtrain.app.find import words
from segtrain.app.find.answer import ArmAnswer, FindAnswer, RaceAnswer
from segtrain.app.find.next_steps import Asked, next_steps_of
from segtrain.app.find.phrasing import NOTHING, spoken
from segtrain.help import VERBS
from tests.app.find import answers

ASKED = Asked(Path("outputs/cells-find"), ("dataset=cells",), 12)
PRAISE = re.compile(r"\b(best|better|worse)\b(?!/)")


def everything(answer: FindAnswer) -> list[str]:
    costs = answers.costs(answer)
    steps = [step.words for step in next_steps_of(answer, costs, ASKED)]
    return [
        *words.summary(answer, costs),
        *words.guarantee_sentences(answer),
        words.spread_sentence(answer.race),
        *steps,
    ]


@settings(max_examples=120)
@given(answers.all_answers())
def test_what_is_best_is_said_of_a_race_that_compared_and_with_its_confidence(answer: FindAnswer) -> None:
    race, said = answer.race, words.answer_sentences(answer)
    supported = race.seeds >= race.first and len(words.compared_arms(race)) > 1
    assert said[0].startswith("There is no answer") != supported
    for sentence in said:
        praises = PRAISE.search(sentence.replace("nothing of which arm is best", ""))
        assert not praises or (supported and "95 %" in sentence)
    named = re.match(r"Train (?:with (.+?)|without augmentation):", said[0])
    if named:
        assert spoken(answer).race.leader == (named[1] or NOTHING)
        alone, stake = len(race.left) == 1, next(arm.stake for arm in race.arms if arm.name == race.leader)
        assert alone or (race.end == "tolerance" and stake is not None and stake <= race.tolerance)
    elif supported:
        assert len(race.left) > 1 and "cannot be told apart" in said[0]


@settings(max_examples=120)
@given(answers.all_answers())
def test_numbers_of_arms_are_right_and_bounds_hold(answer: FindAnswer) -> None:
    race = answer.race
    stakes = {arm.name: arm.stake for arm in spoken(answer).race.arms}
    for sentence in words.answer_sentences(answer):
        for name, said in re.findall(
            r"training (with(?:out)? [\w ]+?), which leads.*?loses at most ([\d.]+) Dice", sentence
        ):
            known = stakes[f"training {name}" if name.startswith("without") else name.removeprefix("with ")]
            assert float(said) >= 100 * (known or 0) - 1e-6
        for name, said in re.findall(r"([\w ]+?) is the mildest, and loses at most (\d+(?:\.\d+)?)", sentence):
            assert float(said) >= 100 * (stakes[name.strip()] or 0) - 1e-6
        for number in re.findall(r"(?:of the|none of the) (\d+) arms", sentence):
            assert int(number) == len(words.compared_arms(race))
        for number in re.findall(r"(\d+) augmentations", sentence):
            assert int(number) == len([arm for arm in words.compared_arms(race) if not arm.plain])
    failed = [arm for arm in race.arms if arm.state == "failed"]
    assert any("failed" in sentence for sentence in words.answer_sentences(answer)) >= bool(failed)
    assert all(arm.state != "failed" for arm in words.compared_arms(race))


@settings(max_examples=120)
@given(answers.all_answers())
def test_the_confirmed_gain_is_said_as_its_interval_has_it(answer: FindAnswer) -> None:
    found, said = answer.confirmation, " ".join(words.confirmation_sentences(answer))
    if found is None:
        assert "no gain is claimed" in said
        return
    better = re.search(r"So it is (better|worse) than", said)
    includes = found.low <= 0 <= found.high
    assert ("The interval includes 0" in said) == includes
    assert bool(better) == (found.verdict in ("better", "worse") and not includes)
    plain = {arm.name for arm in answer.race.arms if arm.plain}
    gain = -found.gain if found.winner in plain else found.gain  # of the one with augmentation
    assert bool(re.search(r"\bgains\b", said)) == (gain >= 0)
    if better:
        assert better[1] == ("better" if gain > 0 else "worse")
    limits = re.search(r"interval ([+-]?[\d.]+) to ([+-]?[\d.]+), over", said)
    assert bool(limits) == (not math.isnan(found.low))
    if limits:
        low, high = (found.low, found.high) if gain == found.gain else (-found.high, -found.low)
        assert float(limits[1]) <= 100 * low + 1e-6 and float(limits[2]) >= 100 * high - 1e-6
        assert (float(limits[1]) <= 0 <= float(limits[2])) == includes
    assert "8 seeds that took no part in the race" in said
    assert "35 test images" in said and (f"{found.groups} group" in said) == (found.groups != 35)


@settings(max_examples=120)
@given(answers.all_answers())
def test_sentences_are_whole_and_their_plurals_right(answer: FindAnswer) -> None:
    for sentence in everything(answer):
        assert not re.search(
            r"\b1 (seeds|runs|arms|images|groups|trainings|augmentations)\b|None|nan|inf\b|  ", sentence
        ), sentence
        assert not re.search(r"\b(?!1\b)\d+ (seed|run|arm|image|group|training|augmentation)\b(?! of)", sentence), (
            sentence
        )
        assert not sentence or sentence.rstrip()[-1] in ".", sentence
        assert not sentence.startswith("no "), sentence


@settings(max_examples=60)
@given(answers.all_answers())
def test_what_to_do_next_are_commands(answer: FindAnswer) -> None:
    for step in next_steps_of(answer, answers.costs(answer), ASKED):
        if step.command:
            assert step.command.startswith("python -m segtrain ")
            assert step.command.split()[3] in (*VERBS, "find", "--config-dir")
            assert "best" not in step.command or answer.members


def test_one_arm_is_left() -> None:
    said = words.answer_sentences(answers.answer(answers.race({"none": 0.8, "flips": 0.81, "geometric": 0.85}, 8)))
    assert said[0] == "Train with geometric: with 95 % confidence it is the best of the 3 arms that were raced."
    assert re.fullmatch(r"The last to be dropped was \w+, after \d seeds, \d\.\d\d points behind geometric\.", said[1])
    assert re.fullmatch(
        r"Training without augmentation was dropped after \d seeds, \d\.\d\d points behind geometric\.", said[2]
    )


def test_training_without_augmentation_wins_only_as_far_as_it_was_shown() -> None:
    alone = answers.answer(answers.race({"none": 0.9, "flips": 0.81, "geometric": 0.85}, 8))
    assert words.answer_sentences(alone)[0] == (
        "Train without augmentation: with 95 % confidence none of the 2 augmentations that were raced is better here."
    )
    two = answers.answer(answers.race({"none": 0.9, "flips": 0.81}, 8))
    assert "the one augmentation that was raced is no better here" in words.answer_sentences(two)[0]
    open_race = answers.answer(answers.race({"none": 0.85, "flips": 0.849, "geometric": 0.7}, 5))
    said = words.answer_sentences(open_race)
    assert "training without augmentation" in said[0].lower() and "cannot be told apart with this budget" in said[0]
    assert said[-1] == "Training without augmentation is among those left: that augmentation helps here is not shown."


def of_arms(*arms: ArmAnswer, left: tuple[str, ...], seeds: int = 6, **more: Any) -> RaceAnswer:
    found = answers.race({"none": 0.9, "flips": 0.81}, 8)
    return found._replace(arms=arms, left=left, leader=left[0], mildest=left[0], seeds=seeds, **more)


def test_an_arm_that_was_dropped_behind_one_that_failed_is_not_compared() -> None:
    scores = (0.8, 0.8, 0.8, 0.8, 0.8, 0.8)
    left = ArmAnswer("flips", (), False, scores, "left", 0.0)
    failed = ArmAnswer("cutmix", (), False, (*scores[:4], None), "failed", None, 4, error="out of memory")
    orphan = ArmAnswer("none", (), True, scores[:3], "dropped", None, 3, "cutmix", 0.02, 0.01)
    after = ArmAnswer("noise", (), False, scores[:3], "dropped", None, 3, "none", 0.02, 0.01)
    beaten = ArmAnswer("geometric", (), False, scores[:5], "dropped", None, 5, "flips", 0.02, 0.01)
    said = words.answer_sentences(
        answers.answer(of_arms(left, failed, orphan, after, beaten, left=("flips",), end="one left"))
    )
    assert said[0] == "Train with flips: with 95 % confidence it is the best of the 2 arms that could be compared."
    assert any(
        s.startswith("Training without augmentation and noise were dropped behind an arm that failed later")
        for s in said
    )
    assert "cutmix failed and is not judged; find.html has the errors." in said
    alone = words.answer_sentences(answers.answer(of_arms(left, failed, orphan, left=("flips",), end="one left")))
    assert alone[0].startswith("There is no answer") and "compared with nothing" in alone[0]


def test_a_race_that_ended_by_its_tolerance_says_so() -> None:
    race = answers.race({"none": 0.7, "flips": 0.85, "geometric": 0.8505}, 16, sd=0.0012)
    assert race.end == "tolerance" and len(race.left) == 2
    said = words.answer_sentences(answers.answer(race))
    assert said[0].startswith(
        f"Train with {race.leader}: with 95 % confidence none of the 3 arms that were raced is better by more than 0."
    )
    assert said[1].startswith("That is within the tolerance of 0.5 points, so the race ended.")


@pytest.mark.parametrize("stages", [1, 2])
def test_the_guarantee_is_that_of_the_stage(stages: int) -> None:
    race = answers.race({"none": 0.8, "flips": 0.801}, 8, stages=stages, tolerance=0.0)
    said = " ".join(words.guarantee_sentences(answers.answer(race)))
    assert race.stages == stages and "for all looks from 3 to 16 seeds together" in said
    assert ("raised after the race had begun: it is in stage 2" in said) == (stages == 2)
    assert "on these validation images" in said


def test_too_few_seeds_guarantee_nothing() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.85}, 2))
    assert words.answer_sentences(answer) == [
        "There is no answer: the budget was used up after 2 seeds of every arm, and fewer than 3 say nothing of which "
        "arm is best."
    ]
    assert words.guarantee_sentences(answer)[0] == "The race guarantees nothing: it compared too little."
    (step,) = [s for s in next_steps_of(answer, answers.costs(answer), ASKED) if "larger budget" in s.words]
    assert re.search(r"budget=\d+(min|h|d)$", step.command)


def test_an_arm_that_is_left_because_all_others_failed_has_won_nothing() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.85}, 5, failed={"none": 1}))
    said = words.answer_sentences(answer)
    assert said == [
        "There is no answer: of 2 arms, flips alone did not fail or lose to one that failed, so it is compared with "
        "nothing.",
        "Training without augmentation failed and is not judged; find.html has the errors.",
    ]


def test_where_none_won_the_test_says_what_augmentation_loses() -> None:
    race = answers.race({"none": 0.9, "flips": 0.81}, 8)
    lost = words.confirmation_sentences(answers.answer(race, answers.confirmation(race, 0.02, 0.01, 0.031)))[0]
    assert "flips loses 2.00 points against training without augmentation (95 % interval -3.10 to -1.00," in lost
    assert "So it is worse than training without augmentation there." in lost and "not what the race" not in lost
    turned = words.confirmation_sentences(answers.answer(race, answers.confirmation(race, -0.02, -0.03, -0.01)))[0]
    assert "flips gains 2.00 points over training without augmentation" in turned
    assert (
        "So it is better than training without augmentation there. That is not what the race on the validation images"
        in turned
    )


def test_a_winner_that_is_worse_on_test_is_said_to_be() -> None:
    race = answers.race({"none": 0.8, "flips": 0.9}, 8)
    said = words.confirmation_sentences(answers.answer(race, answers.confirmation(race, -0.02, -0.03, -0.01)))[0]
    assert (
        "flips loses 2.00 points" in said
        and "So it is worse than training without augmentation there. That is not what the race" in said
    )


def test_costs_are_said_as_they_are() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.9}, 8))
    costs = answers.costs(answer)
    said = " ".join(words.cost_sentences(costs))
    assert f"The race took {costs.race_runs} runs; 8 seeds of all 2 arms would have been 16." in said
    assert "confirmed" not in said and "of a budget of 2.0 h, 2 at a time." in said
