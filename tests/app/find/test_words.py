"""Every sentence that a find can say, over answers of all kinds: none says more than what was found."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from segtrain.app.find import words
from segtrain.app.find.answer import FindAnswer
from segtrain.app.find.next_steps import Asked, next_steps_of
from segtrain.app.find.race_words import answer_sentences
from segtrain.help import VERBS
from tests.app.find import answers

ASKED = Asked(Path("outputs/cells-find"), ("dataset=cells",), 12)


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


@pytest.mark.parametrize("stages", [1, 2])
def test_the_guarantee_is_that_of_the_stage(stages: int) -> None:
    race = answers.race({"none": 0.8, "flips": 0.801}, 8, stages=stages, tolerance=0.0)
    said = " ".join(words.guarantee_sentences(answers.answer(race)))
    assert race.stages == stages and "for all looks from 3 to 16 seeds together" in said
    assert ("raised after the race had begun: the race is in stage 2" in said) == (stages == 2)
    assert "on these validation images" in said


def test_what_waiting_means_is_said_where_an_arm_waits() -> None:
    race = answers.race({"none": 0.8} | {f"policy {i}": 0.8 for i in range(7)}, 9, tolerance=0.0)
    for found in (race, answers.race({"none": 0.8, "flips": 0.8}, 9, tolerance=0.0)):
        said = " ".join(words.guarantee_sentences(answers.answer(found)))
        assert ("An arm that waits" in said) == (found is race)
        assert "told from it by 9 seeds of both" in words.spread_sentence(found)


def test_too_few_seeds_guarantee_nothing() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.85}, 2))
    assert answer_sentences(answer) == [
        "There is no answer: the budget was used up after 2 seeds of every arm, and fewer than 3 say nothing of which "
        "arm is best."
    ]
    assert words.guarantee_sentences(answer)[0] == "The race guarantees nothing: it compared too little."
    (step,) = [s for s in next_steps_of(answer, answers.costs(answer), ASKED) if "larger budget" in s.words]
    assert re.search(r"budget=\d+(min|h|d)$", step.command)


def test_costs_are_said_as_they_are() -> None:
    answer = answers.answer(answers.race({"none": 0.8, "flips": 0.9}, 8))
    costs = answers.costs(answer)
    said = " ".join(words.cost_sentences(costs))
    assert f"The race took {costs.race_runs} runs; 8 seeds of all 2 arms would have been 16." in said
    assert "confirmed" not in said and "of a budget of 2.0 h, 2 at a time." in said
