"""What is said of the confirmed gain: what its interval says, and no more."""

import math
import re

from hypothesis import given, settings

from segtrain.app.find.answer import FindAnswer
from segtrain.app.find.gain_words import confirmation_sentences
from tests.app.find import answers


@settings(max_examples=120)
@given(answers.all_answers())
def test_the_confirmed_gain_is_said_as_its_interval_has_it(answer: FindAnswer) -> None:
    found, said = answer.confirmation, " ".join(confirmation_sentences(answer))
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


def test_where_none_won_the_test_says_what_augmentation_loses() -> None:
    race = answers.race({"none": 0.9, "flips": 0.81}, 8)
    lost = confirmation_sentences(answers.answer(race, answers.confirmation(race, 0.02, 0.01, 0.031)))[0]
    assert "flips loses 2.00 points against training without augmentation (95 % interval -3.10 to -1.00," in lost
    assert "So it is worse than training without augmentation there." in lost and "not what the race" not in lost
    turned = confirmation_sentences(answers.answer(race, answers.confirmation(race, -0.02, -0.03, -0.01)))[0]
    assert "flips gains 2.00 points over training without augmentation" in turned
    assert (
        "So it is better than training without augmentation there. That is not what the race on the validation images"
        in turned
    )


def test_a_winner_that_is_worse_on_test_is_said_to_be() -> None:
    race = answers.race({"none": 0.8, "flips": 0.9}, 8)
    said = confirmation_sentences(answers.answer(race, answers.confirmation(race, -0.02, -0.03, -0.01)))[0]
    assert (
        "flips loses 2.00 points" in said
        and "So it is worse than training without augmentation there. That is not what the race" in said
    )


def test_a_loser_that_the_race_had_not_told_apart_is_not_held_against_it() -> None:
    race = answers.race({"none": 0.8, "flips": 0.803}, 5)
    assert len(race.left) == 2
    (said,) = confirmation_sentences(answers.answer(race, answers.confirmation(race, -0.02, -0.03, -0.01)))
    assert "led, and the two could not be told apart" in said and "not what the race" not in said
    failed = answers.race({"none": 0.8, "flips": 0.85, "geometric": 0.7}, 5, failed={"none": 2})
    (said,) = confirmation_sentences(answers.answer(failed, answers.confirmation(failed, -0.02, -0.03, -0.01)))
    assert "race on the validation images" not in said  # which compared nothing with none
