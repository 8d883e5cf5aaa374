"""Says of the arms of a race what may be held against what: who was compared, who waits, and over which seeds."""

import numpy as np

from segtrain.app.find.answer import ArmAnswer, RaceAnswer
from segtrain.counted import counted


def has_answer(race: RaceAnswer) -> bool:
    """Returns whether the race says anything: enough seeds, and two arms or more that it compared."""
    return race.seeds >= race.first and len(compared_arms(race)) > 1


def compared_arms(race: RaceAnswer) -> list[ArmAnswer]:
    """Returns the arms that are left, and those that were dropped behind one of them, also by way of others.

    An arm that was dropped behind one that failed later is not compared with those left.
    """
    of = {arm.name: arm for arm in race.arms}

    def is_compared(arm: ArmAnswer) -> bool:
        seen = set[str]()
        while arm.state == "dropped" and arm.behind in of and arm.name not in seen:
            seen.add(arm.name)
            arm = of[arm.behind]
        return arm.name in race.left

    return [arm for arm in race.arms if is_compared(arm)]


def waits(arm: ArmAnswer, race: RaceAnswer) -> bool:
    """Returns whether an arm that is left has fewer seeds than others have: it was set aside, and may still be best."""
    return arm.state == "left" and len(arm.scores) < race.seeds


def seeds_of_those_left(race: RaceAnswer) -> str:
    """Returns how many seeds the arms left have: 12 seeds, or 6 to 12 seeds where some wait."""
    fewest = min(len(arm.scores) for arm in race.arms if arm.state == "left")
    return counted(race.seeds, "seed") if fewest >= race.seeds else f"{fewest} to {counted(race.seeds, 'seed')}"


def seeds_of_drop(arm: ArmAnswer) -> str:
    """Returns after how many seeds an arm was dropped: fewer than it has where one that waited caught up with it."""
    seeds = arm.seed or 0
    return f"by its first {counted(seeds, 'seed')}" if len(arm.scores) > seeds else f"after {counted(seeds, 'seed')}"


def mean_score(arm: ArmAnswer) -> float | None:
    """Returns the mean val/dice over the seeds that the arm ran; None without one."""
    known = [score for score in arm.scores if score is not None]
    return float(np.mean(known)) if known else None


def behind_leader(arm: ArmAnswer, race: RaceAnswer) -> float | None:
    """Returns how far an arm's mean is behind the leader's, over the seeds of both; None without one."""
    leader = next((one for one in race.arms if one.name == race.leader), None)
    pairs = zip(leader.scores if leader else (), arm.scores, strict=False)
    known = [a - b for a, b in pairs if a is not None and b is not None]
    return float(np.mean(known)) if known else None
