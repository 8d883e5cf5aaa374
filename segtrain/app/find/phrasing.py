"""Says numbers and names of a find so that sentences stay true: bounds are rounded up, intervals outward.

Points are hundredths of Dice.
"""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from segtrain.app.find.answer import FindAnswer
from segtrain.counted import some_of

NOTHING = "training without augmentation"  # what that arm is called in a sentence, where there is one of them
NAMED = 5  # arms that a sentence names
DIGITS, MOST_DIGITS = 2, 8  # of a number in points; more where a limit that is not 0 would be shown as 0


def bound(value: float) -> str:
    """Returns what something is at most, in points, rounded up; "0" of nothing."""
    return "0" if value <= 0 else _rounded(value, ROUND_CEILING, sign=False)


def size(value: float) -> str:
    """Returns how large a difference is, in points, without its sign, to the nearest hundredth of a point."""
    return f"{abs(100 * value):.{DIGITS}f}"


def outward(low: float, high: float) -> str:
    """Returns an interval in points that holds the given one; "no interval" where a limit is NaN.

    Two scores differ by at most 100 points. A limit that is not 0 is never shown as 0.
    """
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{_rounded(max(low, -1.0), ROUND_FLOOR)} to {_rounded(min(high, 1.0), ROUND_CEILING)}"


def _rounded(value: float, way: str, sign: bool = True) -> str:
    exact = round(100 * Decimal(float(value)), MOST_DIGITS)  # .032 + .004 is .036, not .036000000000000004
    for digits in range(DIGITS, MOST_DIGITS + 1):
        found = exact.quantize(Decimal(1).scaleb(-digits), way)
        if found or not exact:
            break
    return f"{found or abs(found):{'+' if sign else ''}f}"


def listed_names(names: Sequence[str]) -> str:
    """Returns names as a sentence has them: a, b and c; of many the first, and how many there are."""
    if len(names) > NAMED:
        return some_of(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def begun(sentence: str) -> str:
    """Returns a sentence that begins as one where it begins with a phrase; names of arms stay as they are."""
    return sentence[0].upper() + sentence[1:] if sentence.startswith((NOTHING, "the ")) else sentence


def spoken(answer: FindAnswer) -> FindAnswer:
    """Returns the answer with the one arm without augmentation called so: "none is better" could be misread.

    Where several arms are without it, each keeps its name.
    """
    plain = [arm.name for arm in answer.race.arms if arm.plain]
    if len(plain) != 1:
        return answer
    new = {plain[0]: NOTHING}
    race, confirmed = answer.race, answer.confirmation
    arms = [
        arm._replace(name=new.get(arm.name, arm.name), behind=new.get(arm.behind or "", arm.behind))
        for arm in race.arms
    ]
    race = race._replace(
        arms=tuple(arms),
        leader=new.get(race.leader, race.leader),
        left=tuple(new.get(name, name) for name in race.left),
        mildest=new.get(race.mildest, race.mildest),
    )
    if confirmed is not None:
        winner, against = (new.get(name, name) for name in (confirmed.winner, confirmed.against))
        confirmed = confirmed._replace(winner=winner, against=against)
    return answer._replace(race=race, confirmation=confirmed)
