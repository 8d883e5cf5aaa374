"""The trials of a search: asked, watched while they run, told."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segtrain.app.sweep.pool import Outcome, Running
from segtrain.app.sweep.search_space import GOAL, Settings, Space, needed
from segtrain.app.sweep.study import sampler
from segtrain.app.sweep.study_members import OWNER, Member, fail, turn
from segtrain.runs.metrics_csv import MetricsTable

if TYPE_CHECKING:
    import optuna

FOLDER = "folder"  # user attribute of a trial: the name of its run's folder
DRAWS = 10  # for a place, until one is not at work elsewhere


class Trial(NamedTuple):
    """A trial with the overrides of its run."""

    trial: "optuna.Trial"
    overrides: list[str]


def asked(member: Member, settings: Settings, space: Space, places: int) -> list[Trial]:
    """The next trials; none when the study has n_trials, or has them with what is at work in other processes."""
    study, trials = member.study, list[Trial]()
    with turn(member.folder):
        elsewhere = member.elsewhere()
        count = min(places, settings.n_trials - done(study) - len(elsewhere))
        for _ in range(DRAWS * places):
            if len(trials) >= count or _is_used_up(study):
                break
            study.sampler = sampler(settings, space, len(study.get_trials(deepcopy=False)))
            trial = study.ask(space.distributions)
            if trial.params in [other.params for other in elsewhere]:
                fail(study, trial.number)  # a run has one folder, and one process in it
                continue
            trial.set_user_attr(OWNER, member.name)
            trials.append(Trial(trial, [*(f"{k}={v}" for k, v in trial.params.items()), *space.fixed]))
    return trials


def _is_used_up(study: "optuna.Study") -> bool:
    """Whether a grid has no value left, nor one that is to be tried again."""
    grid, waiting = needed().samplers.GridSampler, needed().trial.TrialState.WAITING
    if not isinstance(study.sampler, grid) or study.get_trials(deepcopy=False, states=(waiting,)):
        return False
    used_up: bool = study.sampler.is_exhausted(study)
    return used_up


def done(study: "optuna.Study") -> int:
    """How many trials count against n_trials: those that ended with a score or were pruned."""
    state = needed().trial.TrialState
    return len(study.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED)))


class Pruning:
    """Reports every epoch's val/dice of the runs at work to their trials, and stops those that fall behind."""

    def __init__(self, trials: "Mapping[str, optuna.Trial]") -> None:
        """Of trials by the folder of their run."""
        self.trials, self.reported = trials, dict.fromkeys(trials, 0)

    def __call__(self, running: Sequence[Running], ended: Sequence[Outcome]) -> None:
        """The pool's look."""
        for job in running:
            trial, rows = self.trials[job.name], MetricsTable(Path(job.name) / "metrics.csv").rows()
            for row in rows[self.reported[job.name] :]:
                if GOAL in row:
                    trial.report(row[GOAL], int(row["epoch"]))
            if len(rows) > self.reported[job.name] and trial.should_prune():
                job.stop("pruned")
            self.reported[job.name] = len(rows)


def tell(study: "optuna.Study", trial: "optuna.Trial", state: str, score: float | None) -> None:
    """How a trial ended: its score, pruned, or failed."""
    with contextlib.suppress(RuntimeError):  # a grid's last, as in `fail`
        if score is not None and state in ("finished", "skipped"):
            study.tell(trial, score)
        elif state == "pruned":
            study.tell(trial, state=needed().trial.TrialState.PRUNED)
        else:
            fail(study, trial.number)
