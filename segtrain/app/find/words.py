"""Says what a find has found, in sentences: the answer, the confirmed gain, what it means, and what it does not.

Whatever is said is true of the answer as it stands: "best" is said with its 95 %, and only of what the race compared.
"""

import math
from collections.abc import Mapping

from segtrain.app.find.answer import ArmAnswer, Confirmation, Costs, FindAnswer, RaceAnswer
from segtrain.app.find.length_words import length_sentences
from segtrain.app.find.phrasing import NOTHING, bound, listed_names, outward, size, spoken
from segtrain.app.report.verdict import p_value
from segtrain.counted import counted
from segtrain.runs.duration import time_in_words

GRID_SEEDS = 8  # of every arm, in the grid that a race is held against
SETTLED = ("better", "worse")  # words of a report without reserve


def answer_sentences(answer: FindAnswer) -> list[str]:
    """Returns the answer in a sentence, and what belongs to it: what is at stake, and which arms are not judged."""
    race = spoken(answer).race
    if not has_answer(race):
        return [_no_answer(race), *map(_begun, _failures(race))]
    said = _sole(race) if len(race.left) == 1 else _set(race)
    return [_begun(one) for one in (*said, *_orphans(race), *_failures(race), *_without_augmentation(race))]


def _begun(sentence: str) -> str:
    """Returns a sentence that begins as one where it begins with a phrase; names of arms stay as they are."""
    return sentence[0].upper() + sentence[1:] if sentence.startswith(NOTHING) else sentence


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


def _no_answer(race: RaceAnswer) -> str:
    if len(compared_arms(race)) == 1:
        return (
            f"There is no answer: of {counted(len(race.arms), 'arm')}, {race.left[0]} alone did not fail or lose to "
            "one that failed, so it is compared with nothing."
        )
    why = "the budget was used up" if race.end == "budget" else "the race ended"
    after = f"after {counted(race.seeds, 'seed')} of every arm"
    return f"There is no answer: {why} {after}, and fewer than {race.first} say nothing of which arm is best."


def _sole(race: RaceAnswer) -> list[str]:
    (name,), others = race.left, [arm for arm in compared_arms(race) if arm.name not in race.left]
    if _plain(race) == {name}:
        ran = _ran(race) if len(others) > 1 else _ran(race).replace("were", "was")
        which = f"none of the {len(others)} augmentations" if len(others) > 1 else "the one augmentation"
        better = "better" if len(others) > 1 else "no better"
        said = f"{_train_with(name)}: with 95 % confidence {which} that {ran} is {better} here."
    else:
        said = (
            f"Train with {name}: with 95 % confidence it is the best of the {len(others) + 1} arms that {_ran(race)}."
        )
    told = [arm for arm in others if not arm.plain]  # of those without augmentation it is said apart
    last = max(told, key=lambda arm: (arm.seed or 0, -(arm.by or 0.0)), default=None)
    return [said] if last is None else [said, f"The last to be dropped was {last.name}, {_dropped(last)}."]


def _ran(race: RaceAnswer) -> str:
    """Returns what the arms have in common of which the best is named: some may have failed."""
    return "could be compared" if len(compared_arms(race)) < len(race.arms) else "were raced"


def _dropped(arm: ArmAnswer) -> str:
    behind = f", {size(arm.by)} points behind {arm.behind}" if arm.by is not None and arm.behind else ""
    return f"after {counted(arm.seed or 0, 'seed')}{behind}"


def _set(race: RaceAnswer) -> list[str]:
    how = "with this budget" if race.end == "budget" else f"with {counted(race.seeds, 'seed')}"
    stakes = {arm.name: arm.stake for arm in race.arms if arm.name in race.left and arm.stake is not None}
    apart = f"{listed_names(race.left)} cannot be told apart {how}"
    many, few, leads = len(compared_arms(race)), len(race.left), stakes.get(race.leader, math.inf)
    if race.end == "tolerance" and leads <= race.tolerance:
        return [
            f"{_train_with(race.leader)}: with 95 % confidence none of the {many} arms that {_ran(race)} is better by "
            f"more than {bound(leads)} Dice points.",
            f"That is within the tolerance of {100 * race.tolerance:g} points, so the race ended. "
            f"{_begun(apart)}{_of_the_mildest(race, stakes)}.",
        ]
    among = f"one of these {few} is the best of the {many} arms that {_ran(race)}"
    if not {race.leader, race.mildest} <= stakes.keys():
        sure = "No arm was dropped." if many == few else f"With 95 % confidence {among}."
        return [f"{apart}; {race.leader} leads, and the mildest is {race.mildest}.", sure]
    both = "which leads and is the mildest" if race.leader == race.mildest else "which leads"
    most = f"loses at most {bound(leads)} Dice points against the best of them"
    return [
        f"{apart}: with 95 % confidence {_training_with(race.leader)}, {both}, {most}{_of_the_mildest(race, stakes)}.",
        "No arm was dropped." if many == few else f"With the same 95 % {among}.",
    ]


def _of_the_mildest(race: RaceAnswer, stakes: Mapping[str, float]) -> str:
    """Returns what the mildest of those left loses at most, where it is not the leader; in points."""
    if race.mildest == race.leader or race.mildest not in stakes:
        return ""
    return f"; {race.mildest} is the mildest, and loses at most {bound(stakes[race.mildest])}"


def _train_with(name: str) -> str:
    return "Train without augmentation" if name == NOTHING else f"Train with {name}"


def _training_with(name: str) -> str:
    return name if name == NOTHING else f"training with {name}"


def _plain(race: RaceAnswer) -> set[str]:
    return {arm.name for arm in race.arms if arm.plain}


def _without_augmentation(race: RaceAnswer) -> list[str]:
    """Returns what became of the arm without augmentation, where the answer does not say it."""
    plain = [arm for arm in race.arms if arm.plain]
    if not plain:
        return ["No arm without augmentation was raced, so whether augmentation helps is not known."]
    if len(plain) > 1 or race.left == (plain[0].name,):
        return []
    (arm,) = plain
    if arm.name in race.left:
        return [f"{arm.name} is among those left: that augmentation helps here is not shown."]
    if arm.state == "failed":
        return ["As the arm without augmentation failed, whether augmentation helps is not known."]
    return [f"{arm.name} was dropped {_dropped(arm)}."]


def _orphans(race: RaceAnswer) -> list[str]:
    names = {arm.name for arm in compared_arms(race)}
    lost = [arm for arm in race.arms if arm.state == "dropped" and arm.name not in names]
    if not lost:
        return []
    return [
        f"{listed_names([arm.name for arm in lost])} {'was' if len(lost) == 1 else 'were'} dropped behind an arm that "
        "failed later, so nothing is said of how good that is beside those left."
    ]


def _failures(race: RaceAnswer) -> list[str]:
    failed = [arm for arm in race.arms if arm.state == "failed"]
    if not failed:
        return []
    names = listed_names([arm.name for arm in failed])
    return [f"{names} failed and {'is' if len(failed) == 1 else 'are'} not judged; find.html has the errors."]


def confirmation_sentences(answer: FindAnswer) -> list[str]:
    """Returns what the test set says of the winner, with seeds of their own, and how sure that is."""
    answer = spoken(answer)
    found = answer.confirmation
    if found is None:
        return ["Nothing was confirmed on the test images, so no gain is claimed there."]
    plain, (arm, other), (gain, low, high) = _plain(answer.race), (found.winner, found.against), _limits(found)
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
        "" if math.isnan(found.score) else f" {_begun(f'{found.winner} has a mean Dice of {found.score:.4f} there.')}"
    )
    return [f"{said} {_conclusion(found, (arm, other), (gain, low, high), turned)}{score}"]


def is_shown(found: Confirmation) -> bool:
    """Returns whether the confirmation tells its two arms apart without reserve: in its word and in its interval."""
    return found.verdict in SETTLED and (found.low > 0 or found.high < 0)


def _limits(found: Confirmation) -> tuple[float, float, float]:
    return found.gain, found.low, found.high


def _conclusion(found: Confirmation, names: tuple[str, str], limits: tuple[float, float, float], turned: bool) -> str:
    (arm, other), (gain, low, high) = names, limits
    way = "better" if gain > 0 else "worse"
    if math.isnan(low) or math.isnan(high):
        return f"That is too little to say whether {arm} is better than {other}."
    if low <= 0 <= high:
        return f"The interval includes 0: it is not shown that {arm} is better than {other}, nor that it is worse."
    if not is_shown(found):
        return f"It looks {way} than {other}, which is not settled."
    against_race = " That is not what the race on the validation images had led to." if (gain > 0) == turned else ""
    return f"So it is {way} than {other} there.{against_race}"


def guarantee_sentences(answer: FindAnswer) -> list[str]:
    """Returns what the answer means, and what it does not mean."""
    race = answer.race
    said = []
    if has_answer(race):
        said += [
            "What the race says holds with 95 % confidence: it is made so that of 100 races whose arms do not fail, at "
            "most 5 drop the arm that is truly best. Best is the highest val/dice on average over seeds, on these "
            f"validation images, with these images to train on and this training length. {_boundary(race)}",
            "That an arm was dropped says that it is not the best, and not that it does harm. Arms that are left are "
            "not shown to be equal.",
        ]
    else:
        said.append("The race guarantees nothing: it compared too little.")
    if answer.confirmation is not None:
        said.append(
            "The confirmed numbers come from seeds that took no part in the race, so that having won does not flatter "
            f"them. Their interval is taken over {answer.confirmation.over}."
        )
    said.append("Nothing here speaks of other images to train on, another network, or arms that were not raced.")
    if len(answer.members) > 1:
        said.append(
            f"best/ averages {len(answer.members)} runs of the leader. All numbers here are of single runs; of best/ "
            "itself nothing has been measured."
        )
    return said


def _boundary(race: RaceAnswer) -> str:
    said = (
        f"The boundary is calibrated, by simulated races of equal arms, for all looks from {race.first} to {race.last} "
        f"seeds together; at {counted(race.seeds, 'seed')} it is a normal score of {race.boundary:.2f}, turned into "
        "Student's."
    )
    if race.stages == 1:
        return said
    return (
        f"{said} The largest number of seeds was raised after the race had begun: it is in stage {race.stages}, whose "
        "looks have a boundary of their own, while those of before keep theirs."
    )


def cost_sentences(costs: Costs) -> list[str]:
    """Returns what it took, and what a grid would have taken."""
    arms = len(costs.arms)
    said = [
        f"The race took {counted(costs.race_runs, 'run')}; {GRID_SEEDS} seeds of all {counted(arms, 'arm')} would have "
        f"been {costs.grid_runs}."
    ]
    more = [
        f"{counted(number, 'run')} {what}"
        for number, what in ((costs.confirming_runs, "confirmed"), (costs.length_runs, "tried other lengths"))
        if number
    ]
    said += [f"{' and '.join(more)}."] if more else []
    slots = f", {costs.slots} at a time" if costs.slots > 1 else ""
    said.append(f"Jobs ran for {time_in_words(costs.spent)} of a budget of {time_in_words(costs.budget)}{slots}.")
    return said


def spread_sentence(race: RaceAnswer) -> str:
    """Returns how much runs vary and what so many seeds can see; empty where it was not measured."""
    if race.residual_sd is None or race.detectable is None or not has_answer(race):
        return ""
    return (
        f"A run varies by {size(race.residual_sd)} points (sd) beside what its seed and its arm bring, so that "
        f"{counted(race.seeds, 'seed')} of every arm find a difference of {bound(race.detectable)} points in 8 of 10 "
        "races."
    )


def summary(answer: FindAnswer, costs: Costs) -> list[str]:
    """Returns what the terminal says at the end, a sentence or two a line."""
    cautions = answer.confirmation.cautions if answer.confirmation else ()
    said = [*answer_sentences(answer), *confirmation_sentences(answer), *(f"careful: {one}" for one in cautions)]
    return [*said, *length_sentences(answer), " ".join(cost_sentences(costs))]
