"""Says what a find's answer means and what it does not, what it took, and all of it together for the terminal."""

import math

from segtrain.app.find.answer import Costs, FindAnswer, RaceAnswer
from segtrain.app.find.compared import has_answer, waits
from segtrain.app.find.gain_words import confirmation_sentences
from segtrain.app.find.length_words import length_sentences
from segtrain.app.find.phrasing import bound, size
from segtrain.app.find.race_words import answer_sentences
from segtrain.counted import counted
from segtrain.runs.duration import time_in_words

GRID_SEEDS = 8  # of every arm, in the grid that a race is held against


def guarantee_sentences(answer: FindAnswer) -> list[str]:
    """Returns what the answer means, and what it does not mean."""
    race = answer.race
    said = []
    if has_answer(race):
        said += [
            "What the race says holds with 95 % confidence: it is made so that of 100 races whose arms do not fail, at "
            "most 5 drop the arm that is truly best. Best is the highest val/dice on average over seeds, on these "
            f"validation images, with these images to train on and this training length. {_boundary(race)}",
            "That an arm was dropped says, with the same confidence, that it is not the best. It does not say that it "
            "does harm. Arms that are left are not shown to be equal.",
        ]
        if any(waits(arm, race) for arm in race.arms):
            said.append(
                "An arm that waits was set aside by its mean, to spend the budget on those with better ones. That "
                "decides nothing: it is still among those left, what is said to be at stake counts it, and it runs on "
                "when one of the others is dropped or all of them have all their seeds."
            )
    else:
        said.append("The race guarantees nothing: it compared too little.")
    found = answer.confirmation
    if found is not None:
        interval = "" if math.isnan(found.low) else f" Their interval is taken over {found.over}."
        said.append(
            "The confirmed numbers come from seeds that took no part in the race, so that having won does not flatter "
            f"them.{interval}"
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
        f"The boundary is calibrated, by simulated races of equal arms and of a noisy best one, for all looks from "
        f"{race.first} to {race.last} seeds together; at {counted(race.seeds, 'seed')} it is a normal score of "
        f"{race.boundary:.2f}, turned into Student's."
    )
    if race.stages == 1:
        return said
    return (
        f"{said} The largest number of seeds was raised after the race had begun: the race is in stage {race.stages}, "
        "whose looks have a boundary of their own, while those of before keep theirs."
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
        f"A run varies by {size(race.residual_sd)} points (sd) beside what its seed and its arm bring, so that an arm "
        f"that is {bound(race.detectable)} points behind another is told from it by {counted(race.seeds, 'seed')} of "
        "both in 8 of 10 races."
    )


def summary(answer: FindAnswer, costs: Costs) -> list[str]:
    """Returns what the terminal says at the end, a sentence or two a line."""
    cautions = answer.confirmation.cautions if answer.confirmation else ()
    said = [*answer_sentences(answer), *confirmation_sentences(answer), *(f"careful: {one}" for one in cautions)]
    return [*said, *length_sentences(answer), " ".join(cost_sentences(costs))]
