"""What a find says to do next: to use what won, and to go on where that can tell more."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from segtrain.app.find.answer import FindAnswer
from segtrain.app.find.next_steps import Asked, NextStep, next_steps_of
from segtrain.data.split.ratios import Ratios
from tests.app.find import answers

AGAIN = "python -m segtrain --config-dir outputs/cells-find/conf experiment=best"
ASKED = Asked(Path("outputs/cells-find"), ("dataset=cells", "n_jobs=2"), 12)


def steps(answer: FindAnswer, asked: Asked = ASKED) -> list[NextStep]:
    return next_steps_of(answer, answers.costs(answer), asked)


def going_on(answer: FindAnswer) -> NextStep:
    (step,) = [step for step in steps(answer) if step.words.startswith("Go on")]
    return step


def test_what_won_is_used_and_trained_again() -> None:
    found = steps(answers.answer(answers.race({"none": 0.8, "flips": 0.9}, 8)))
    assert [step.command for step in found] == [
        "python -m segtrain predict run=outputs/cells-find/best input=…",
        "python -m segtrain evaluate run=outputs/cells-find/best",
        f"{AGAIN} name=longer trainer.max_epochs=24",
        f"{AGAIN} name=more_data dataset.split.test=0.001",
    ]
    share = float(found[3].command.rpartition("=")[2])
    split = Ratios(0.15, share).assign([f"i{i}" for i in range(40)], [None] * 40)
    assert len(split.test) == 1 and len(split.train) > 30
    assert found[0].words == "Label new images with best/, the average of 3 runs trained with flips."
    plain = steps(answers.answer(answers.race({"none": 0.9, "flips": 0.8}, 8)))
    assert plain[0].words.endswith("the average of 3 runs trained without augmentation.")
    unknown = steps(answers.answer(answers.race({"none": 0.8, "flips": 0.9}, 8)), ASKED._replace(epochs=None))
    assert unknown[2].command.endswith("trainer.max_epochs=…") and "longer" in unknown[2].words


def test_an_open_race_goes_on_until_its_stake_is_within_the_tolerance() -> None:
    race = answers.race({"none": 0.8, "flips": 0.849, "geometric": 0.85}, 5, sd=0.003, tolerance=0.002)
    assert race.end == "budget"
    answer = answers.answer(race)
    step, costs = going_on(answer), answers.costs(answer)
    seeds, runs = (int(re.findall(text, step.words)[0]) for text in (r"about (\d+) seeds", r"at most (\d+) more runs"))
    leader, other = (arm for name in race.left[:2] for arm in race.arms if arm.name == name)
    lead = float(np.mean(np.array(leader.scores, float) - np.array(other.scores, float)))
    limit = ((leader.stake or 0) + lead) * math.sqrt(5)  # of one seed
    assert limit / math.sqrt(seeds) - lead <= race.tolerance < limit / math.sqrt(seeds - 1) - lead
    assert runs == (seeds - 5) * len(race.left)
    assert step.command.startswith("python -m segtrain find dataset=cells n_jobs=2 ")
    assert ("seeds=" in step.command) == (seeds > race.last) == ("extends the race" in step.words)
    (budget,) = re.findall(r"budget=(\d+)min", step.command)
    assert int(budget) == math.ceil(max(7200, costs.spent + runs * 41.5 / 2) / 60)


def test_a_race_whose_arms_wait_reckons_with_the_seeds_that_each_has() -> None:
    gains = {"none": 0.8} | {f"policy {i}": 0.8 + 0.0002 * i for i in range(7)}
    race = answers.race(gains, 9, sd=0.003, tolerance=0.004)
    waiting = [arm for arm in race.arms if arm.state == "left" and len(arm.scores) < race.seeds]
    assert race.end == "budget" and waiting
    words = going_on(answers.answer(race)).words
    seeds, runs = (int(re.findall(text, words)[0]) for text in (r"about (\d+) seeds", r"about (\d+) more runs"))
    ahead = len(race.left) - len(waiting)
    assert runs == ahead * (max(seeds, race.last) - race.seeds) + len(waiting) * max(0, seeds - 6)


def test_a_race_at_its_last_seed_goes_on_with_more_seeds() -> None:
    race = answers.race({"none": 0.8, "flips": 0.8}, 16, tolerance=0.0)._replace(end="seeds")
    bare = race._replace(arms=tuple(arm._replace(stake=None) for arm in race.arms))  # nothing tells how many
    assert " seeds=… " in going_on(answers.answer(bare)).command


def test_a_race_that_no_budget_settles_says_so() -> None:
    race = answers.race({"none": 0.8, "flips": 0.85, "geometric": 0.85}, 5, sd=0.03, rng=11)
    found = steps(answers.answer(race))
    assert any("more than 200 seeds of each arm" in step.words and not step.command for step in found)


def test_a_race_that_ended_by_itself_is_not_gone_on_with() -> None:
    for race in (
        answers.race({"none": 0.8, "flips": 0.9}, 8),
        answers.race({"none": 0.7, "flips": 0.85, "geometric": 0.8505}, 16, sd=0.0012),
    ):
        assert race.end in ("one left", "tolerance")
        assert not [step for step in steps(answers.answer(race)) if "find" in step.command.split()]


def test_a_gain_that_is_not_shown_asks_for_what_would_show_it() -> None:
    race = answers.race({"none": 0.8, "flips": 0.9}, 8)

    def last(**more: Any) -> str:
        return steps(answers.answer(race, answers.confirmation(race, 0.01, -0.002, 0.022, **more)))[-1].words

    assert "it takes more test images" in last()
    assert "a difference of 1.00 points, if it is there" in last(
        needed=(12, 80)
    ) and "12 seeds or 80 test images" in last(needed=(12, 80))
    assert "at least 12 images or groups (patients, scans) that are independent, now 6" in last(groups=6)
    shown = steps(answers.answer(race, answers.confirmation(race, 0.01, 0.002, 0.018)))
    assert not [step for step in shown if "settle" in step.words]
