"""Holds Optuna as a way to name the best arm, one race after the other."""

import warnings
from collections.abc import Callable

import numpy as np
import optuna

from racing.ways import SEEDS, Outcome, Way, outcome
from racing.worlds import Drawn

TRIALS = 1000  # more than any race takes: a study ends when its runs are used up
optuna.logging.set_verbosity(optuna.logging.ERROR)
Objective = Callable[[optuna.Trial], float]


class Runs:
    """Hands out the runs of one race, and counts what they take."""

    def __init__(self, drawn: Drawn, race: int) -> None:
        self.curves, self.scores = drawn.curves[race], drawn.scores[race]
        self.epochs = 0
        self.taken = np.zeros(len(self.scores), int)  # seeds of each arm

    @property
    def used(self) -> float:
        return self.epochs / self.curves.shape[2]

    @property
    def most(self) -> int:
        return SEEDS * len(self.scores)

    def next_seed(self, arm: int) -> int:
        """Returns a seed that the arm has not had; where it has had all that were drawn, they come again."""
        self.taken[arm] += 1
        return int(self.taken[arm] - 1) % self.scores.shape[1]


def hyperband(runs: Runs, rng: np.random.Generator) -> int:
    """Returns the arm of the best trial of Optuna's TPE with Hyperband: each trial is an arm with a seed of its own."""
    arms, _, epochs = runs.curves.shape
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)

    def objective(trial: optuna.Trial) -> float:
        arm = trial.suggest_categorical("arm", list(range(arms)))
        curve = runs.curves[arm, runs.next_seed(arm)]
        for epoch in range(epochs):
            runs.epochs += 1
            trial.report(curve[: epoch + 1].max(), epoch + 1)
            if epoch + 1 < epochs and trial.should_prune():
                raise optuna.TrialPruned
        return float(curve.max())

    return int(best_trial(objective, pruner, runs, rng).params["arm"])


def wilcoxon(runs: Runs, rng: np.random.Generator) -> int:
    """Returns the arm of the best trial with Optuna's WilcoxonPruner, as its documentation has it.

    A trial is an arm, a step a seed; a pruned trial returns the mean of what it has. The arms come once each, in an
    order drawn anew, so that 96 runs suffice.
    """
    arms, _, epochs = runs.curves.shape

    def objective(trial: optuna.Trial) -> float:
        arm = trial.suggest_categorical("arm", list(range(arms)))
        results: list[float] = []
        for seed in range(SEEDS):
            runs.epochs += epochs
            results.append(float(runs.scores[arm, seed]))
            trial.report(results[-1], seed)
            if trial.should_prune():
                break
        return sum(results) / len(results)

    pruner = optuna.pruners.WilcoxonPruner(p_threshold=0.1)
    order = [{"arm": arm} for arm in rng.permutation(arms).tolist()]
    return int(best_trial(objective, pruner, runs, rng, order).params["arm"])


def best_trial(
    objective: Objective,
    pruner: optuna.pruners.BasePruner,
    runs: Runs,
    rng: np.random.Generator,
    order: list[dict[str, int]] | None = None,
) -> optuna.trial.FrozenTrial:
    """Returns the best trial of a study that ends with the order, if there is one, or when its runs are used up."""
    sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for params in order or ():
        study.enqueue_trial(params)

    def stop(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        if runs.used >= runs.most:
            study.stop()

    study.optimize(objective, n_trials=len(order) if order else TRIALS, callbacks=[stop])
    return study.best_trial


def tuned(way: Callable[[Runs, np.random.Generator], int]) -> Way:
    """Returns a way for many races of one that takes one."""

    def all_races(drawn: Drawn) -> Outcome:
        named, used = np.zeros(drawn.races, int), np.zeros(drawn.races)
        for race in range(drawn.races):
            runs = Runs(drawn, race)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                named[race] = way(runs, np.random.default_rng(race))
            used[race] = runs.used
        return outcome(named, drawn, used)

    return all_races


TUNERS: dict[str, Way] = {"Optuna's TPE + Hyperband": tuned(hyperband), "Optuna's WilcoxonPruner": tuned(wilcoxon)}
