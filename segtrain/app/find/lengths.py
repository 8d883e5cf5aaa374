"""Trains the best arms longer: does the order turn with the length of the training?

An arm at another length is a run of its own. Where the scheduler does not depend on the length, it goes on from a copy
of the run that is there, and ends with the bits of one that was trained so long at once.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from segtrain.app.find.answer import LengthPoint
from segtrain.app.find.arms import baselines
from segtrain.app.find.options import LENGTH_SEEDS
from segtrain.app.find.race import Standing
from segtrain.app.find.record import Record
from segtrain.app.find.trainings import Training, Trainings
from segtrain.app.report import paired

BY_ITSELF = 2  # arms with augmentation that lengths=auto trains longer


def choose_arms(trainings: Trainings, standing: Standing, most: int | None) -> list[int]:
    """Returns the places of the arms that are trained longer: those left, by their mean, and what they are gained over.

    Args:
        trainings: the arms.
        standing: of the race.
        most: of those with augmentation; None: all that are left.
    """
    place = {arm.name: i for i, arm in enumerate(trainings.arms)}
    chosen = [place[name] for name in standing.left if not trainings.arms[place[name]].plain][:most]
    return [*sorted({baselines(trainings.arms)[i] for i in chosen}), *chosen]


def possible_factors(factors: Sequence[float], epochs: int) -> tuple[float, ...]:
    """Returns the multiples that whole epochs allow, nearest to those asked for, each once and without 1.

    None where a training's length is none of epochs (0 of them).
    """
    whole = {max(1, round(factor * epochs)) for factor in factors} if epochs else set()
    return tuple(number / epochs for number in sorted(whole - {epochs}))


def plan_length(trainings: Trainings, arms: Sequence[int], factor: float) -> list[Training]:
    """Returns the trainings at so many times the epochs, all arms of a seed first."""
    epochs = max(1, round(factor * trainings.epochs))
    return [Training(arm, seed, (f"trainer.max_epochs={epochs}",)) for seed in range(LENGTH_SEEDS) for arm in arms]


def run_length(trainings: Trainings, jobs: Sequence[Training], record: Record) -> None:
    """Runs them; each goes on from a copy of the run that is there, where that is the same training."""
    for job in (job for job in jobs if trainings.goes_on(job.arm)):
        before, longer = trainings.run_folder(Training(job.arm, job.seed)), trainings.run_folder(job)
        if before.has_checkpoint and before.has_results and not longer.exists:
            before.copy_for_more(longer.path, trainings.overrides(job))
    trainings.run(jobs, record)


def measure_lengths(
    trainings: Trainings, standing: Standing, arms: Sequence[int], factors: Sequence[float]
) -> tuple[LengthPoint, ...]:
    """Returns what each arm gains over the one without augmentation at every length that was run.

    Paired by seed. The interval is Student's, with the residual spread of the race: two seeds have none of their own
    worth speaking of. It holds as far as a run's spread is the same at other lengths.

    Args:
        trainings: has run them.
        standing: of the race.
        arms: places of the arms, those without augmentation among them.
        factors: multiples of the usual length.
    """
    found = []
    for arm in (one for one in arms if not trainings.arms[one].plain):
        base = baselines(trainings.arms)[arm]
        both = min(standing.taken[trainings.arms[i].name] for i in (arm, base))
        for factor in (1.0, *factors):
            jobs = [_both(trainings, arm, base, factor, seed) for seed in range(both if factor == 1 else LENGTH_SEEDS)]
            gains = [
                trainings.score(one) - trainings.score(other)
                for one, other in jobs
                if {one, other} <= trainings.outcomes.keys()
            ]
            gains = [gain for gain in gains if not math.isnan(gain)]
            if gains:
                mean, reach = float(np.mean(gains)), _reach(standing, len(gains))
                found.append(
                    LengthPoint(trainings.arms[arm].name, factor, mean, mean - reach, mean + reach, len(gains))
                )
    return tuple(found)


def _both(trainings: Trainings, arm: int, base: int, factor: float, seed: int) -> tuple[Training, Training]:
    if factor == 1:
        return Training(arm, seed), Training(base, seed)
    one, other = plan_length(trainings, (arm, base), factor)[2 * seed : 2 * seed + 2]
    return one, other


def _reach(standing: Standing, seeds: int) -> float:
    """Returns half of the 95 % interval of a difference over so many seeds."""
    arms = len(standing.leads)
    freedom = max(1, standing.runs - arms - standing.seeds + 1)  # of the residuals of arms and seeds
    quantile = float(special.stdtrit(freedom, 1 - (1 - paired.LEVEL) / 2))
    return quantile * (standing.sd or 0.0) * math.sqrt(2 / seeds)
