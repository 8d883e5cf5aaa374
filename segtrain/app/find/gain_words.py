"""Says what the test set says of the winner, and how sure that is: shown, looking so, open, or against the race."""

import math

from segtrain.app.find.answer import Confirmation, FindAnswer, RaceAnswer
from segtrain.app.find.compared import compared_arms
from segtrain.app.find.phrasing import begun, outward, size, spoken
from segtrain.app.report.verdict import p_value
from segtrain.counted import counted

SETTLED = ("better", "worse")  # words of a report without reserve


def confirmation_sentences(answer: FindAnswer) -> list[str]:
    """Returns what the test set says of the winner, with seeds of their own, and how sure that is."""
    answer = spoken(answer)
    found = answer.confirmation
    if found is None:
        return ["Nothing was confirmed on the test images, so no gain is claimed there."]
    plain, (arm, other), (gain, low, high) = (
        {one.name for one in answer.race.arms if one.plain},
        (found.winner, found.against),
        _limits(found),
    )
    turned = found.winner in plain and found.against not in plain
    if turned:
        (arm, other), (gain, low, high) = (other, arm), (-gain, -high, -low)
    images = counted(found.images, "test image")
    tested = images if found.groups == found.images else f"{counted(found.groups, 'group')} of {images}"
    seeds = f"{counted(len(found.seeds), 'seed')} that took no part in the race"
    between = "no interval can be given"
    if not math.isnan(low):
        between = f"95 % interval {outward(low, high)}, over {found.over}; p {p_value(found.p)}"
    change = f"gains {size(gain)} points over" if gain >= 0 else f"loses {size(gain)} points against"
    said = f"On the test images {arm} {change} {other} ({between}), with {seeds} and {tested}."
    score = (
        "" if math.isnan(found.score) else f" {begun(f'{found.winner} has a mean Dice of {found.score:.4f} there.')}"
    )
    return [f"{said} {_conclusion(found, (arm, other), (gain, low, high))}{_of_the_race(answer.race, found)}{score}"]


def is_shown(found: Confirmation) -> bool:
    """Returns whether the confirmation tells its two arms apart without reserve: in its word and in its interval."""
    return found.verdict in SETTLED and (found.low > 0 or found.high < 0)


def _limits(found: Confirmation) -> tuple[float, float, float]:
    return found.gain, found.low, found.high


def _conclusion(found: Confirmation, names: tuple[str, str], limits: tuple[float, float, float]) -> str:
    (arm, other), (gain, low, high) = names, limits
    way = "better" if gain > 0 else "worse"
    if math.isnan(low) or math.isnan(high):
        return f"That is too little to say whether {arm} is better than {other}."
    if low <= 0 <= high:
        return f"The interval includes 0: it is not shown that {arm} is better than {other}, nor that it is worse."
    if not is_shown(found):
        return f"It looks {way} than {other}, which is not settled."
    return f"So it is {way} than {other} there."


def _of_the_race(race: RaceAnswer, found: Confirmation) -> str:
    """Returns what the race had said of the two, where the test shows that its leader is the worse one."""
    if not is_shown(found) or found.gain > 0:
        return ""
    if found.against in race.left:
        return f" In the race on the validation images {found.winner} led, and the two could not be told apart."
    if found.against not in {arm.name for arm in compared_arms(race)}:
        return ""  # the race says nothing of the two
    return " That is not what the race on the validation images had led to."
