"""What is said of how a race ended: none of it says more than the race found, whatever state it is in."""

import re
from typing import Any

from hypothesis import given, settings

from segtrain.app.find.answer import ArmAnswer, FindAnswer, RaceAnswer
from segtrain.app.find.compared import compared_arms
from segtrain.app.find.phrasing import NOTHING, spoken
from segtrain.app.find.race_words import answer_sentences
from tests.app.find import answers

PRAISE = re.compile(r"\b(best|better|worse)\b(?!/)")


@settings(max_examples=120)
@given(answers.all_answers())
def test_what_is_best_is_said_of_a_race_that_compared_and_with_its_confidence(answer: FindAnswer) -> None:
    race, said = answer.race, answer_sentences(answer)
    supported = race.seeds >= race.first and len(compared_arms(race)) > 1
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
    for sentence in answer_sentences(answer):
        for name, said in re.findall(
            r"training (with(?:out)? [\w ]+?), which leads.*?loses at most ([\d.]+) Dice", sentence
        ):
            known = stakes[f"training {name}" if name.startswith("without") else name.removeprefix("with ")]
            assert float(said) >= 100 * (known or 0) - 1e-6
        for name, said in re.findall(r"([\w ]+?) is the mildest, and loses at most (\d+(?:\.\d+)?)", sentence):
            assert float(said) >= 100 * (stakes[name.strip()] or 0) - 1e-6
        for few in re.findall(r"^(\d+) of the \d+ arms|one of these (\d+) is", sentence):
            assert int("".join(few)) == len(race.left) < len(compared_arms(race))
        for number in re.findall(r"(?:[Oo]f the|^The) (\d+) arms", sentence):
            assert int(number) == len(compared_arms(race))
        for number in re.findall(r"(\d+) augmentations", sentence):
            assert int(number) == len([arm for arm in compared_arms(race) if not arm.plain])
    failed = [arm for arm in race.arms if arm.state == "failed"]
    assert any("failed" in sentence for sentence in answer_sentences(answer)) >= bool(failed)
    assert all(arm.state != "failed" for arm in compared_arms(race))


def test_one_arm_is_left() -> None:
    said = answer_sentences(answers.answer(answers.race({"none": 0.8, "flips": 0.81, "geometric": 0.85}, 8)))
    assert said[0] == "Train with geometric: with 95 % confidence it is the best of the 3 arms that were raced."
    assert re.fullmatch(
        r"Training without augmentation was dropped after \d seeds, \d\.\d\d points behind geometric\.", said[-1]
    )


@settings(max_examples=60)
@given(answers.all_answers())
def test_who_held_out_longest_was_dropped_after_the_most_seeds(answer: FindAnswer) -> None:
    race = spoken(answer).race
    seeds = {arm.name: arm.seed for arm in compared_arms(race) if arm.state == "dropped"}
    for sentence in answer_sentences(answer):
        found = re.match(r"(.+) held out longest, and (?:was|were) dropped after (\d+) seeds", sentence)
        if found:
            names = re.split(", | and ", found[1][0].lower() + found[1][1:])
            assert sorted(names) == sorted(name for name, n in seeds.items() if n == max(map(int, seeds.values())))
            assert {seeds[name] for name in names} == {int(found[2])}
        if sentence.startswith("All others were dropped"):
            assert len(set(seeds.values())) == 1 and len(seeds) > 1


@settings(max_examples=60)
@given(answers.all_answers())
def test_every_arm_left_is_named_and_those_that_wait_are_said_to(answer: FindAnswer) -> None:
    race, said = spoken(answer).race, answer_sentences(answer)
    supported = race.seeds >= race.first and len(compared_arms(race)) > 1
    if supported:
        assert all(name.removeprefix("training ") in " ".join(said) for name in race.left)
    waiting = [arm.name for arm in race.arms if arm.state == "left" and len(arm.scores) < race.seeds]
    told = [sentence for sentence in said if sentence.startswith("Of these ")]
    assert len(told) == bool(waiting)
    assert not told or all(name in told[0] for name in waiting)
    assert ("No arm was dropped." in said) <= all(arm.state != "dropped" for arm in race.arms)


def test_where_one_was_dropped_by_an_arm_that_caught_up_nobody_is_said_to_have_held_out_longest() -> None:
    race = answers.race({"none": 0.8, "flips": 0.81, "geometric": 0.85}, 8)
    (flips,) = [arm for arm in race.arms if arm.name == "flips"]
    later = flips._replace(seed=6, scores=(0.8,) * 9)  # still there when the other was dropped after 7
    arms = [later if arm.name == "flips" else arm._replace(seed=7, scores=(0.8,) * 7) for arm in race.arms[:2]]
    before, after = (
        answer_sentences(answers.answer(race._replace(arms=(*some, race.arms[2])))) for some in (race.arms[:2], arms)
    )
    assert any("longest" in sentence or "All others" in sentence for sentence in before)
    assert not any("longest" in sentence or "All others" in sentence for sentence in after)


def test_many_arms_that_are_left_are_counted_first_and_named_below() -> None:
    race = answers.race({"none": 0.8} | {f"policy {i}": 0.8 for i in range(6)}, 5)
    said = answer_sentences(answers.answer(race))
    assert said[0].startswith("The 7 arms that were raced cannot be told apart with this budget: with 95 % confidence")
    assert len(said[0]) < 300 and all(name in said[1] for name in race.left if name != "none") and NOTHING in said[1]
    some = answers.race({"none": 0.5} | {f"policy {i}": 0.8 for i in range(6)}, 5)
    assert answer_sentences(answers.answer(some))[0].startswith("6 of the 7 arms that were raced cannot be told apart")


def test_an_arm_that_waits_is_left_and_said_to_wait() -> None:
    gains = {"none": 0.5, "worst": 0.792} | {f"policy {i}": 0.8 + 0.001 * i for i in range(6)}
    race = answers.race(gains, 12, tolerance=0.0)
    waiting = [arm for arm in race.arms if arm.state == "left" and len(arm.scores) == 6]
    assert race.seeds > 6 and waiting and all(arm.stake is not None for arm in waiting)
    said = answer_sentences(answers.answer(race))
    (told,) = [sentence for sentence in said if "6 seeds only" in sentence]
    assert all(arm.name in told for arm in waiting)
    ended = answer_sentences(answers.answer(race._replace(end="seeds")))[0]
    assert f"cannot be told apart with 6 to {race.seeds} seeds" in ended


def test_training_without_augmentation_wins_only_as_far_as_it_was_shown() -> None:
    alone = answers.answer(answers.race({"none": 0.9, "flips": 0.81, "geometric": 0.85}, 8))
    assert answer_sentences(alone)[0] == (
        "Train without augmentation: with 95 % confidence none of the 2 augmentations that were raced is better here."
    )
    two = answers.answer(answers.race({"none": 0.9, "flips": 0.81}, 8))
    assert "the one augmentation that was raced is no better here" in answer_sentences(two)[0]
    open_race = answers.answer(answers.race({"none": 0.85, "flips": 0.849, "geometric": 0.7}, 5))
    said = answer_sentences(open_race)
    assert "training without augmentation" in said[0].lower() and "cannot be told apart with this budget" in said[0]
    assert said[-1] == (
        "Training without augmentation is among those left: the race does not show that augmentation helps."
    )


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
    said = answer_sentences(
        answers.answer(of_arms(left, failed, orphan, after, beaten, left=("flips",), end="one left"))
    )
    assert said[0] == "Train with flips: with 95 % confidence it is the best of the 2 arms that could be compared."
    assert any(
        s.startswith("Training without augmentation and noise were dropped behind an arm that failed later")
        for s in said
    )
    assert "cutmix failed and is not judged; find.html has the errors." in said
    alone = answer_sentences(answers.answer(of_arms(left, failed, orphan, left=("flips",), end="one left")))
    assert alone[0].startswith("There is no answer") and "compared with nothing" in alone[0]


def test_a_race_that_ended_by_its_tolerance_says_so() -> None:
    race = answers.race({"none": 0.7, "flips": 0.85, "geometric": 0.8505}, 16, sd=0.0012)
    assert race.end == "tolerance" and len(race.left) == 2
    said = answer_sentences(answers.answer(race))
    assert said[0].startswith(
        f"Train with {race.leader}: with 95 % confidence none of the 3 arms that were raced is better by more than 0."
    )
    assert said[1].startswith("That is within the tolerance of 0.5 points, so the race ended.")


def test_an_arm_that_is_left_because_all_others_failed_has_won_nothing() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.85}, 5, failed={"none": 1}))
    said = answer_sentences(answer)
    assert said == [
        "There is no answer: of 2 arms, flips alone did not fail or lose to one that failed, so it is compared with "
        "nothing.",
        "Training without augmentation failed and is not judged; find.html has the errors.",
    ]
