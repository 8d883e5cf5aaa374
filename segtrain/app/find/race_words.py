"""Says how a race ended, in sentences: with one arm, with a set and what is at stake in it, or with no answer.

Whatever is said is true of the answer as it stands: "best" is said with its 95 %, and only of what the race compared.
"""

import math
from collections.abc import Mapping, Sequence

from segtrain.app.find.answer import ArmAnswer, FindAnswer, RaceAnswer
from segtrain.app.find.compared import compared_arms, has_answer, seeds_of_drop, seeds_of_those_left, waits
from segtrain.app.find.phrasing import NOTHING, begun, bound, listed_names, size, spoken
from segtrain.counted import counted

HEADED = 3  # arms that the first sentence names; more are named in one of their own


def answer_sentences(answer: FindAnswer) -> list[str]:
    """Returns the answer in a sentence, and what belongs to it: what is at stake, and which arms are not judged."""
    race = spoken(answer).race
    if not has_answer(race):
        return [_no_answer(race), *map(begun, _failures(race))]
    said = _sole(race) if len(race.left) == 1 else _set(race)
    more = (*_waiting(race), *_orphans(race), *_failures(race), *_without_augmentation(race))
    return [begun(one) for one in (*said, *more)]


def _no_answer(race: RaceAnswer) -> str:
    if len(compared_arms(race)) == 1:
        return (
            f"There is no answer: of {counted(len(race.arms), 'arm')}, {race.left[0]} alone did not fail or lose to "
            "one that failed, so it is compared with nothing."
        )
    why = "the budget was used up" if race.end == "budget" else "the race ended"
    ran = "every arm that did not fail" if any(arm.state == "failed" for arm in race.arms) else "every arm"
    after = f"after {counted(race.seeds, 'seed')} of {ran}"
    return f"There is no answer: {why} {after}, and fewer than {race.first} say nothing of which arm is best."


def _sole(race: RaceAnswer) -> list[str]:
    (name,), others = race.left, [arm for arm in compared_arms(race) if arm.name not in race.left]
    if {arm.name for arm in race.arms if arm.plain} == {name}:
        ran = _ran(race) if len(others) > 1 else _ran(race).replace("were", "was")
        which = f"none of the {len(others)} augmentations" if len(others) > 1 else "the one augmentation"
        better = "better" if len(others) > 1 else "no better"
        said = f"{_train_with(name)}: with 95 % confidence {which} that {ran} is {better} here."
    else:
        said = (
            f"Train with {name}: with 95 % confidence it is the best of the {len(others) + 1} arms that {_ran(race)}."
        )
    return [said, *_held_out(others)]


def _held_out(dropped: Sequence[ArmAnswer]) -> list[str]:
    """Returns which arms were dropped after the most seeds; of that without augmentation alone it is said apart.

    Nothing where one was dropped by fewer seeds than it had, by an arm that caught up: who held out longest is then not
    told by the seeds.
    """
    if any(len(arm.scores) > (arm.seed or 0) for arm in dropped):
        return []
    seeds = max((arm.seed or 0 for arm in dropped), default=0)
    last = [arm for arm in dropped if arm.seed == seeds]
    if len(last) > 1:
        whom = (
            "All others"
            if len(last) == len(dropped)
            else f"{listed_names([arm.name for arm in last])} held out longest, and"
        )
        return [f"{whom} were dropped after {counted(seeds, 'seed')}."]
    longest = " held out longest, and" if len(dropped) > 1 else ""
    return [f"{arm.name}{longest} was dropped {_dropped(arm)}." for arm in last if not arm.plain]


def _ran(race: RaceAnswer) -> str:
    """Returns what the arms have in common of which the best is named: some may have failed."""
    return "could be compared" if len(compared_arms(race)) < len(race.arms) else "were raced"


def _dropped(arm: ArmAnswer) -> str:
    behind = f", {size(arm.by)} points behind {arm.behind}" if arm.by is not None and arm.behind else ""
    return f"{seeds_of_drop(arm)}{behind}"


def _set(race: RaceAnswer) -> list[str]:
    stakes = {arm.name: arm.stake for arm in race.arms if arm.name in race.left and arm.stake is not None}
    many, few, leads = len(compared_arms(race)), len(race.left), stakes.get(race.leader, math.inf)
    if race.end == "tolerance" and leads <= race.tolerance:
        return [
            f"{_train_with(race.leader)}: with 95 % confidence none of the {many} arms that {_ran(race)} is better by "
            f"more than {bound(leads)} Dice points.",
            f"That is within the tolerance of {100 * race.tolerance:g} points, so the race ended. "
            f"{begun(_not_apart(race))}{_of_the_mildest(race, stakes)}.",
            *_names_of_many(race),
        ]
    among = f"one of these {few} is the best of the {many} arms that {_ran(race)}"
    if not {race.leader, race.mildest} <= stakes.keys():
        sure = _nobody_dropped(race) if many == few else [f"With 95 % confidence {among}."]
        said = f"{_not_apart(race)}; {race.leader} leads, and the mildest is {race.mildest}."
        return [said, *_names_of_many(race), *sure]
    both = "which leads and is the mildest" if race.leader == race.mildest else "which leads"
    most = f"loses at most {bound(leads)} Dice points against the best of them"
    return [
        f"{_not_apart(race)}: with 95 % confidence {_training_with(race.leader)}, {both}, {most}"
        f"{_of_the_mildest(race, stakes)}.",
        *_names_of_many(race),
        *(_nobody_dropped(race) if many == few else [f"With the same 95 % {among}."]),
    ]


def _not_apart(race: RaceAnswer) -> str:
    """Returns that those left cannot be told apart; of many how many they are, as a headline has no room for all."""
    how = "with this budget" if race.end == "budget" else f"with {seeds_of_those_left(race)}"
    many, few = len(compared_arms(race)), len(race.left)
    those = f"{few} of the {many} arms that {_ran(race)}" if many > few else f"the {few} arms that {_ran(race)}"
    return f"{listed_names(race.left) if few <= HEADED else begun(those)} cannot be told apart {how}"


def _names_of_many(race: RaceAnswer) -> list[str]:
    """Returns the names of those left, all of them, where the first sentence only counts them."""
    if len(race.left) <= HEADED:
        return []
    return [f"Those that cannot be told apart are {', '.join(race.left[:-1])} and {race.left[-1]}."]


def _nobody_dropped(race: RaceAnswer) -> list[str]:
    """Returns that no arm was dropped, where that is so: one that was may be compared with nothing any more."""
    return [] if any(arm.state == "dropped" for arm in race.arms) else ["No arm was dropped."]


def _of_the_mildest(race: RaceAnswer, stakes: Mapping[str, float]) -> str:
    """Returns what the mildest of those left loses at most, where it is not the leader; in points."""
    if race.mildest == race.leader or race.mildest not in stakes:
        return ""
    return f"; {race.mildest} is the mildest, and loses at most {bound(stakes[race.mildest])}"


def _waiting(race: RaceAnswer) -> list[str]:
    """Returns which of those left were set aside, so that nobody takes them for dropped, or for as well known."""
    waiting = [arm for arm in race.arms if waits(arm, race)]
    if not waiting:
        return []
    names, seeds = [arm.name for arm in waiting], sorted({len(arm.scores) for arm in waiting})
    many = f"{seeds[0]} to {counted(seeds[-1], 'seed')}" if len(seeds) > 1 else counted(seeds[0], "seed")
    have, they, them = ("has", "it was", "it") if len(waiting) == 1 else ("have", "they were", "them")
    return [
        f"Of these {listed_names(names)} {have} {many} only, as others that were ahead run on first; {they} not "
        f"dropped, and what is said to be at stake counts {them}."
    ]


def _train_with(name: str) -> str:
    return "Train without augmentation" if name == NOTHING else f"Train with {name}"


def _training_with(name: str) -> str:
    return name if name == NOTHING else f"training with {name}"


def _without_augmentation(race: RaceAnswer) -> list[str]:
    """Returns what became of the arm without augmentation, where the answer does not say it."""
    plain = [arm for arm in race.arms if arm.plain]
    if not plain:
        return ["No arm without augmentation was raced, so whether augmentation helps is not known."]
    if len(plain) > 1 or race.left == (plain[0].name,):
        return []
    (arm,) = plain
    if arm.name in race.left:
        return [f"{arm.name} is among those left: the race does not show that augmentation helps."]
    if arm.state == "failed":
        return ["As the arm without augmentation failed, the race does not say whether augmentation helps."]
    return [f"{arm.name} was dropped {_dropped(arm)}."]


def _orphans(race: RaceAnswer) -> list[str]:
    names = {arm.name for arm in compared_arms(race)}
    lost = [arm for arm in race.arms if arm.state == "dropped" and arm.name not in names]
    if not lost:
        return []
    return [
        f"{listed_names([arm.name for arm in lost])} {'was' if len(lost) == 1 else 'were'} dropped behind an arm that "
        f"failed later{'' if len(lost) == 1 else ', directly or by way of others'}, so nothing is said of how good "
        f"{'it is' if len(lost) == 1 else 'they are'} beside those left."
    ]


def _failures(race: RaceAnswer) -> list[str]:
    failed = [arm for arm in race.arms if arm.state == "failed"]
    if not failed:
        return []
    names = listed_names([arm.name for arm in failed])
    return [f"{names} failed and {'is' if len(failed) == 1 else 'are'} not judged; find.html has the errors."]
