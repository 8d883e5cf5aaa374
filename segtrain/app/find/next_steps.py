"""Says what to do after a find: use the model, train it again, or go on, with the commands that do it."""

import math
from pathlib import Path
from typing import NamedTuple

from segtrain.app.find.answer import Confirmation, Costs, FindAnswer, RaceAnswer
from segtrain.app.find.compared import behind_leader, has_answer, waits
from segtrain.app.find.gain_words import is_shown
from segtrain.app.find.phrasing import NOTHING, size, spoken
from segtrain.app.report.paired import LEAST_UNITS, SETTLING_UNITS
from segtrain.command_line import command, searched_too
from segtrain.counted import counted
from segtrain.runs.duration import time_in_words

MOST_SEEDS = 200  # of an arm: more are nothing that one would run
LEAST_KEPT = 10  # runs that confirm, at least: 5 seeds of two arms


class Asked(NamedTuple):
    """Holds what a find was asked, as one would type it again."""

    folder: Path  # of the find, such as outputs/cells-find
    arguments: tuple[str, ...]  # behind `find`, without budget and --config-dir, such as ("dataset=cells", "n_jobs=4")
    epochs: int | None  # of a training; None where its length is none of epochs


class NextStep(NamedTuple):
    """Holds a thing to do, and the command that does it; "" where it is none of segtrain's."""

    words: str
    command: str


def next_steps_of(answer: FindAnswer, costs: Costs, asked: Asked) -> list[NextStep]:
    """Returns what to do next, most useful first."""
    answer = spoken(answer)
    use, more = _use(answer, asked), _go_on(answer, costs, asked)
    return [*use, *more, *_for_the_gain(answer.confirmation)] if has_answer(answer.race) else [*more, *use]


def _use(answer: FindAnswer, asked: Asked) -> list[NextStep]:
    """Returns how the model is used, and trained again."""
    if not answer.members:
        return []
    best, conf = f"run={asked.folder / 'best'}", asked.folder / "conf"
    again = [*searched_too(conf), "experiment=best"]
    longer = f"trainer.max_epochs={2 * asked.epochs if asked.epochs else '…'}"
    twice = "twice as long" if asked.epochs else "longer"
    many = len(answer.members)
    runs = f"the average of {many} runs" if many > 1 else "one run"
    leader = answer.race.leader
    trained = "trained without augmentation" if leader == NOTHING else f"trained with {leader}"
    return [
        NextStep(f"Label new images with best/, {runs} {trained}.", command("predict", best, "input=…")),
        NextStep("Score best/ on the test images, with intervals.", command("evaluate", best)),
        NextStep(f"Train again, {twice}.", command("", *again, "name=longer", longer, conf=conf)),
        NextStep(
            "Or on more of the data: where the split is drawn by shares, this leaves a thousandth, and at "
            "least one image (or group), to test on.",
            command("", *again, "name=more_data", "dataset.split.test=0.001", conf=conf),
        ),
    ]


def _go_on(answer: FindAnswer, costs: Costs, asked: Asked) -> list[NextStep]:
    """Returns how the find goes on where it did not end with one arm, or within the tolerance."""
    race = answer.race
    if race.seeds < race.first:
        return _reach_first(race, costs, asked) if race.end == "budget" else []
    if race.end not in ("budget", "seeds") or len(race.left) < 2:
        return []
    seeds = _seeds_for_tolerance(race)
    if seeds is None and race.end == "seeds":
        typed = [*_without_seeds(asked), "seeds=…", "budget=…"]
        return [NextStep("Go on: the same command with more seeds, and a budget for them.", command("find", *typed))]
    if seeds is None:
        typed = [*asked.arguments, "budget=…"]
        return [NextStep("Go on: the same command with a larger budget adds seeds.", command("find", *typed))]
    if seeds > MOST_SEEDS:
        words = (
            f"To bring what is at stake within {100 * race.tolerance:g} points would take more than {MOST_SEEDS} seeds "
            "of each arm that is left: take the mildest, or more images."
        )
        return [NextStep(words, "")]
    runs, how = _more_runs(race, seeds), "about" if any(waits(arm, race) for arm in race.arms) else "at most"
    seconds = runs * _seconds_a_run(costs) / costs.slots
    arguments, stage = list(asked.arguments), ""
    if seeds > race.last:
        arguments = [*_without_seeds(asked), f"seeds={seeds}"]
        stage = f" It extends the race beyond {race.last} seeds, by a stage with a boundary of its own."
    words = (
        f"Go on: with about {seeds} seeds what the leader loses at most would be within {100 * race.tolerance:g} "
        f"points, if its lead stays what it is. These are {how} {counted(runs, 'more run', 'more runs')}, about "
        f"{time_in_words(seconds)}.{stage}"
    )
    return [NextStep(words, command("find", *arguments, _budget(costs, seconds)))]


def _without_seeds(asked: Asked) -> list[str]:
    return [argument for argument in asked.arguments if not argument.startswith("seeds=")]


def _reach_first(race: RaceAnswer, costs: Costs, asked: Asked) -> list[NextStep]:
    """Returns how the race gets the seeds that it takes to say anything."""
    runs = (race.first - race.seeds) * len(race.left) + LEAST_KEPT
    seconds = runs * _seconds_a_run(costs) / costs.slots
    return [
        NextStep(
            f"Go on with a larger budget: {race.first} seeds of every arm, and 5 that confirm, are at least "
            f"{counted(runs, 'more run', 'more runs')}, about {time_in_words(seconds)}.",
            command("find", *asked.arguments, _budget(costs, seconds)),
        )
    ]


def _more_runs(race: RaceAnswer, seeds: int) -> int:
    """Returns about how many runs bring all arms left to so many seeds.

    Where some wait, those that they wait for run to their last seed before; without such as are dropped on the way.
    """
    waiting = [arm for arm in race.arms if waits(arm, race)]
    running = [arm for arm in race.arms if arm.state == "left" and arm not in waiting]
    first = max(seeds, race.last) if waiting else seeds
    return sum(first - len(arm.scores) for arm in running) + sum(max(0, seeds - len(arm.scores)) for arm in waiting)


def _seeds_for_tolerance(race: RaceAnswer) -> int | None:
    """Returns about how many seeds bring the leader's stake within the tolerance, if its leads stay; None if unknown.

    The stake is the largest, over the other arms left, of a limit less the leader's lead over that arm. The limit falls
    with the root of the number of seeds that both have. Whose it is is not said, so each arm is taken to have it.
    """
    stake = next(arm.stake for arm in race.arms if arm.name == race.leader)
    others = [arm for arm in race.arms if arm.state == "left" and arm.name != race.leader]
    leads = [(behind_leader(arm, race) or 0.0, len(arm.scores)) for arm in others]
    if stake is None or any(race.tolerance + lead <= 0 for lead, _ in leads):
        return None
    return max(race.seeds, *(math.ceil(n * ((stake + lead) / (race.tolerance + lead)) ** 2) for lead, n in leads))


def _seconds_a_run(costs: Costs) -> float:
    runs = sum(cost.runs for cost in costs.arms)
    return sum(cost.seconds for cost in costs.arms) / runs if runs else costs.seconds_a_run


def _budget(costs: Costs, seconds: float) -> str:
    """Returns the budget to type where jobs are to run so many seconds more."""
    return f"budget={_as_typed(max(costs.budget, costs.spent + seconds))}"


def _as_typed(seconds: float) -> str:
    """Returns a length of time as `budget` takes it, rounded up: 45min, 3h, 2d."""
    if seconds <= 120 * 60:
        return f"{math.ceil(seconds / 60)}min"
    return f"{math.ceil(seconds / 3600)}h" if seconds <= 72 * 3600 else f"{math.ceil(seconds / 86400)}d"


def _for_the_gain(found: Confirmation | None) -> list[NextStep]:
    """Returns what would make the confirmed gain surer, where it is not shown."""
    if found is None or is_shown(found):
        return []
    ways = []
    if found.groups < SETTLING_UNITS:
        least = f"at least {SETTLING_UNITS} " if found.groups >= LEAST_UNITS else f"{SETTLING_UNITS} or more "
        ways.append(f"test on {least}images or groups (patients, scans) that are independent, now {found.groups}")
    seeds, images = found.needed
    numbers = [
        f"{number} {what}"
        for number, what in (
            (seeds, "seeds"),
            (images, "test images" if found.groups == found.images else "groups of test images"),
        )
        if number is not None
    ]
    if numbers:
        ways.append(
            f"a difference of {size(found.gain)} points, if it is there, would be found in 8 of 10 tests with "
            f"about {' or '.join(numbers)}"
        )
    if not ways:
        ways.append("it takes more test images, or a larger confirm= in a find with another name=…")
    return [NextStep(f"To settle the gain on the test images: {'; '.join(ways)}.", "")]
