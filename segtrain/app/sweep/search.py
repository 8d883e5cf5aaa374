"""Searches: asks trials of an Optuna study, runs them as jobs, and tells it how they ended: `hydra/sweeper=optuna`."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segtrain.app.report import figures
from segtrain.app.sweep import plan, processes
from segtrain.app.sweep.best_choice import write_choice
from segtrain.app.sweep.job import Task
from segtrain.app.sweep.plan import Composer
from segtrain.app.sweep.pool import Outcome, Running
from segtrain.app.sweep.processes import Limits
from segtrain.app.sweep.study import (
    GOAL,
    OWNER,
    Member,
    Settings,
    Space,
    build_sampler,
    fail_trial,
    held_turn,
    open_study,
    read_space,
    require_optuna,
    storage_words,
)
from segtrain.app.sweep.watch import BAD
from segtrain.command_line import command, searched_too
from segtrain.config.composition import conf_dir
from segtrain.errors import UserError
from segtrain.files import make_own
from segtrain.printable import print_text
from segtrain.runs.folder import RunFolder

if TYPE_CHECKING:
    import optuna

PATIENCE = 3  # times in a row that nothing worked, until the search ends
FOLDER = "folder"  # user attribute of a trial: the name of its run's folder
DRAWS = 10  # for a place, until one is not at work elsewhere
FLATTERED = "The best of many is lucky too, so its score is too high: compare it with none on seeds of its own."


class Engine(NamedTuple):
    """Makes the configs of trials, and runs them within limits."""

    composer: Composer
    limits: Limits


class Trial(NamedTuple):
    """Holds a trial with the overrides of its run."""

    trial: "optuna.Trial"
    overrides: list[str]


def run_search(
    composer: Composer, params: Any, arguments: Sequence[str], settings: Settings, limits: Limits | None
) -> float | None:
    """Runs trials until the study has n_trials; the same command again goes on, or joins in.

    Args:
        composer: makes the runs' configs.
        params: of the sweep's file.
        arguments: what was typed.
        settings: of the study.
        limits: of jobs on this machine; None where another engine is asked for.

    Returns:
        The best val/dice, None without one.

    Raises:
        UserError: a setting that is none; a launcher that does not run jobs here.
        SystemExit: with status 1 when a trial failed.
    """
    if limits is None:
        raise UserError(
            "hydra/sweeper=optuna runs its trials with hydra/launcher=processes; expected that launcher; several "
            "machines share a search by the same command on each, with one hydra.sweeper.storage=postgresql://…"
        )
    space = read_space(composer.parse([*plan.params_overrides(params), *arguments]))
    folder = Path(composer.config.outputs) / str(composer.config.name)
    study = open_study(settings, space, folder)
    with Member(study, folder) as member:
        well = _all_run(member, settings, space, Engine(composer, limits))
        if others := len(member.elsewhere()):
            print_text(f"{others} trials are still at work in other processes, which go on with the search")
    best = _conclude(study, settings, folder, space)
    if not well:
        sys.exit(1)
    return best


def _all_run(member: Member, settings: Settings, space: Space, engine: Engine) -> bool:
    """Runs trials while there are any, and something works; returns whether everything did."""
    config = engine.composer.config
    places = len(processes.slots_of(engine.limits, config))
    well, in_a_row = True, 0
    while in_a_row < PATIENCE and (trials := ask_trials(member, settings, space, places)):
        states = _run(member.study, engine, trials)
        well = well and not states & {*BAD}
        in_a_row = in_a_row + 1 if states <= {*BAD} else 0
    return well


def _run(study: "optuna.Study", engine: Engine, trials: Sequence[Trial]) -> set[str]:
    """Runs trials side by side, tells the study, and returns how they ended. One whose values are refused failed."""
    tasks = _prepared(engine.composer, trials)
    folders = {task.overrides: task.folder for task in tasks}
    able = [trial for trial in trials if tuple(trial.overrides) in folders]
    by_folder = {folders[tuple(trial.overrides)]: trial.trial for trial in able}
    for trial in able:  # two trials alike are one run
        trial.trial.set_user_attr(FOLDER, Path(folders[tuple(trial.overrides)]).name)
    outcomes = processes.run_here(engine.limits, tasks, Pruning(by_folder)) if tasks else {}
    for trial in able:
        state, _, results = outcomes[folders[tuple(trial.overrides)]].answer
        tell_trial(study, trial.trial, state, (results or {}).get(GOAL))
    refused = [trial for trial in trials if trial not in able]
    for trial in refused:
        tell_trial(study, trial.trial, BAD[0], None)
    return {outcome.answer.state for outcome in outcomes.values()} | ({BAD[0]} if refused else set())


def _prepared(composer: Composer, trials: Sequence[Trial]) -> list[Task]:
    """Returns the jobs of the trials, each once; one in which a value that was drawn is refused is told and left out.

    Raises:
        UserError: what is refused was typed, so that no trial can do better.
    """
    tasks: list[Task] = []
    for overrides, trial in {tuple(trial.overrides): trial for trial in trials}.items():
        try:
            tasks += processes.prepare_tasks(composer, [overrides], trial.trial.number)
        except UserError as error:
            if not any(key in str(error) for key in trial.trial.params):
                raise
            print_text(f"failed: {' '.join(overrides)}: {error}", file=sys.stderr)
    return tasks


def _conclude(study: "optuna.Study", settings: Settings, folder: Path, space: Space) -> float | None:
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    best = _write_best(study, groups, space.fixed, folder / "conf")
    if best is None:
        print_text(f"no trial of {study.study_name} has a score")
        return None
    write_figures(study, folder / "figures")
    trial = study.best_trial
    chosen = " ".join(f"{key}={value}" for key, value in trial.params.items())
    print_text(f"best of {count_done(study)} trials: {GOAL} {trial.value:.4f} with {chosen}")
    print_text(f"  {FLATTERED}")
    conf = folder / "conf"
    print_text(f"  train with it:  {command('', *searched_too(conf), 'experiment=best', conf=conf)}")
    print_text(
        f"  {folder / 'figures'}: history.png, importance.png; live: optuna-dashboard "
        f"{storage_words(settings.storage, folder)}"
    )
    return float(trial.value or 0.0)


def ask_trials(member: Member, settings: Settings, space: Space, places: int) -> list[Trial]:
    """Returns the next trials; none when the study has n_trials, or has them with what is at work elsewhere."""
    study, trials = member.study, list[Trial]()
    with held_turn(member.folder):
        elsewhere = member.elsewhere()
        count = min(places, settings.n_trials - count_done(study) - len(elsewhere))
        for _ in range(DRAWS * places):
            if len(trials) >= count or _is_used_up(study):
                break
            study.sampler = build_sampler(settings, space, len(study.get_trials(deepcopy=False)))
            trial = study.ask(space.distributions)
            if trial.params in [other.params for other in elsewhere]:
                fail_trial(study, trial.number)  # a run has one folder, and one process in it
                continue
            trial.set_user_attr(OWNER, member.name)
            trials.append(Trial(trial, [*(f"{k}={v}" for k, v in trial.params.items()), *space.fixed]))
    return trials


def _is_used_up(study: "optuna.Study") -> bool:
    """Says whether a grid has no value left, nor one that is to be tried again."""
    grid, waiting = require_optuna().samplers.GridSampler, require_optuna().trial.TrialState.WAITING
    if not isinstance(study.sampler, grid) or study.get_trials(deepcopy=False, states=(waiting,)):
        return False
    used_up: bool = study.sampler.is_exhausted(study)
    return used_up


def count_done(study: "optuna.Study") -> int:
    """Counts the trials that count against n_trials: those that ended with a score or were pruned."""
    state = require_optuna().trial.TrialState
    return len(study.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED)))


class Pruning:
    """Reports every epoch's val/dice of the runs at work to their trials, and stops those that fall behind."""

    def __init__(self, trials: "Mapping[str, optuna.Trial]") -> None:
        """Takes trials by the folder of their run."""
        self.trials, self.reported = trials, dict.fromkeys(trials, 0)

    def __call__(self, running: Sequence[Running], ended: Sequence[Outcome]) -> None:
        """Reports new epochs, and stops what is to be pruned: the pool's look."""
        for job in running:
            trial, rows = self.trials[job.name], RunFolder(job.name).metrics.rows()
            for row in rows[self.reported[job.name] :]:
                if GOAL in row:
                    trial.report(row[GOAL], int(row["epoch"]))
            if len(rows) > self.reported[job.name] and trial.should_prune():
                job.stop("pruned")
            self.reported[job.name] = len(rows)


def tell_trial(study: "optuna.Study", trial: "optuna.Trial", state: str, score: float | None) -> None:
    """Tells the study how a trial ended: its score, pruned, or failed."""
    with contextlib.suppress(RuntimeError):  # a grid's last, as in `fail`
        if score is not None and state in ("finished", "skipped"):
            study.tell(trial, score)
        elif state == "pruned":
            study.tell(trial, state=require_optuna().trial.TrialState.PRUNED)
        else:
            fail_trial(study, trial.number)


def _write_best(study: "optuna.Study", groups: Sequence[str], fixed: Sequence[str], to: Path) -> Path | None:
    """Writes the best trial as a choice of the group experiment; returns None before the first score."""
    state = require_optuna().trial.TrialState
    if not study.get_trials(deepcopy=False, states=(state.COMPLETE,)):
        return None
    best = study.best_trial
    said = f"{GOAL} {best.value:.4f}: trial {best.number} of {len(study.trials)}, {study.study_name}"
    drawn = [f"{key}={value}" for key, value in best.params.items()]
    return write_choice(to, [*fixed, *drawn], groups, [said, FLATTERED])


def write_figures(study: "optuna.Study", folder: Path) -> None:
    """Writes history and importance (PED-ANOVA, Watanabe et al. 2023, arXiv 2304.10255), each as PNG and SVG."""
    optuna = require_optuna()
    make_own(folder)
    scored = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    points = [(trial.number, trial.value or 0.0) for trial in scored]
    drawn = [figures.draw_history(points, GOAL)]
    if len(scored) > 3 and len(study.best_trial.params) > 1:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        drawn.append(figures.draw_importance(shares))
    for one in drawn:
        figures.write_drawn(one, folder)
