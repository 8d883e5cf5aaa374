"""A search: trials asked of an Optuna study, run as jobs, told back: `hydra/sweeper=optuna`."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from segtrain import plain_yaml
from segtrain.app.report import figures
from segtrain.app.sweep import plan
from segtrain.app.sweep import processes as launching
from segtrain.app.sweep.job import Task
from segtrain.app.sweep.pool import Outcome, Running
from segtrain.app.sweep.search_space import GOAL, Settings, Space, needed, space_of
from segtrain.app.sweep.study import OWNER, Member, fail, open_study, place, sampler, turn
from segtrain.app.sweep.watch import BAD
from segtrain.command_line import command, searched_too
from segtrain.config.composition import conf_dir
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.printable import print_text
from segtrain.runs.metrics_csv import MetricsTable

if TYPE_CHECKING:
    import optuna

    from hydra_plugins.segtrain_plugins import OptunaSweeper, ProcessLauncher
if TYPE_CHECKING:
    import optuna

PATIENCE = 3  # times in a row that nothing worked, until the search ends
FOLDER = "folder"  # user attribute of a trial: the name of its run's folder
DRAWS = 10  # for a place, until one is not at work elsewhere
FLATTERED = "The best of many is lucky too, so its score is too high: compare it with none on seeds of its own."


class Trial(NamedTuple):
    """A trial with the overrides of its run."""

    trial: "optuna.Trial"
    overrides: list[str]


def run_search(sweeper: "OptunaSweeper", arguments: Sequence[str]) -> float | None:
    """Run trials until the study has n_trials; the same command again goes on, or joins in. Exits with 1 if one failed.

    Returns:
        The best val/dice, None without one.

    Raises:
        UserError: a setting that is none; a launcher that does not run jobs here.
    """
    from hydra_plugins.segtrain_plugins import ProcessLauncher

    launcher = sweeper.launcher
    if not isinstance(launcher, ProcessLauncher):
        raise UserError(
            "hydra/sweeper=optuna runs its trials with hydra/launcher=processes; expected that launcher; several "
            "machines share a search by the same command on each, with one hydra.sweeper.storage=postgresql://…"
        )
    given = plan.given(cast(dict[str, Any], OmegaConf.to_container(sweeper.params)))
    parser = OverridesParser.create(config_loader=sweeper.context.config_loader)
    parsed = parser.parse_overrides([*given, *arguments])
    space, folder = space_of(parsed), Path(sweeper.config.outputs) / str(sweeper.config.name)
    study = open_study(sweeper.settings, space, folder)
    with Member(study, folder) as member:
        well = _all_run(member, sweeper.settings, space, launcher)
        if others := len(member.elsewhere()):
            print_text(f"{others} trials are still at work in other processes, which go on with the search")
    best = _conclude(study, sweeper.settings, folder, space)
    if not well:
        sys.exit(1)
    return best


def _all_run(member: Member, settings: Settings, space: Space, launcher: "ProcessLauncher") -> bool:
    """Run trials while there are any, and something works; whether everything did."""
    config = launcher.config
    places, well, in_a_row = len(launching.slots_of(launcher, config.trainer.accelerator, config.threads)), True, 0
    while in_a_row < PATIENCE and (trials := asked(member, settings, space, places)):
        states = _run(member.study, launcher, trials)
        well = well and not states & {*BAD}
        in_a_row = in_a_row + 1 if states <= {*BAD} else 0
    return well


def _run(study: "optuna.Study", launcher: "ProcessLauncher", trials: Sequence[Trial]) -> set[str]:
    """Run trials side by side and tell the study; how they ended. A trial whose values are refused failed."""
    tasks = _prepared(launcher, trials)
    folders = {task.overrides: task.folder for task in tasks}
    able = [trial for trial in trials if tuple(trial.overrides) in folders]
    by_folder = {folders[tuple(trial.overrides)]: trial.trial for trial in able}
    for trial in able:  # two trials alike are one run
        trial.trial.set_user_attr(FOLDER, Path(folders[tuple(trial.overrides)]).name)
    outcomes = launching.ran(launcher, tasks, Pruning(by_folder)) if tasks else {}
    for trial in able:
        state, _, results = outcomes[folders[tuple(trial.overrides)]].answer
        tell(study, trial.trial, state, (results or {}).get(GOAL))
    refused = [trial for trial in trials if trial not in able]
    for trial in refused:
        tell(study, trial.trial, BAD[0], None)
    return {outcome.answer.state for outcome in outcomes.values()} | ({BAD[0]} if refused else set())


def _prepared(launcher: "ProcessLauncher", trials: Sequence[Trial]) -> list[Task]:
    """The jobs of the trials, each once, but those in which a value that was drawn is refused; that is told.

    Raises:
        UserError: what is refused was typed, so that no trial can do better.
    """
    tasks: list[Task] = []
    for overrides, trial in {tuple(trial.overrides): trial for trial in trials}.items():
        try:
            tasks += launching.prepared(launcher, [overrides], trial.trial.number)
        except UserError as error:
            if not any(key in str(error) for key in trial.trial.params):
                raise
            print_text(f"failed: {' '.join(overrides)}: {error}", file=sys.stderr)
    return tasks


def _conclude(study: "optuna.Study", settings: Settings, folder: Path, space: Space) -> float | None:
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    best = write_best(study, groups, space.fixed, folder / "conf")
    if best is None:
        print_text(f"no trial of {study.study_name} has a score")
        return None
    write_figures(study, folder / "figures")
    trial = study.best_trial
    chosen = " ".join(f"{key}={value}" for key, value in trial.params.items())
    print_text(f"best of {done(study)} trials: {GOAL} {trial.value:.4f} with {chosen}")
    print_text(f"  {FLATTERED}")
    conf = folder / "conf"
    print_text(f"  train with it:  {command('', *searched_too(conf), 'experiment=best', conf=conf)}")
    print_text(
        f"  {folder / 'figures'}: history.png, importance.png; live: optuna-dashboard {place(settings.storage, folder)}"
    )
    return float(trial.value or 0.0)


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


def write_best(study: "optuna.Study", groups: Sequence[str], fixed: Sequence[str], to: Path) -> Path | None:
    """The best trial as a choice of the group experiment; None before the first score."""
    state = needed().trial.TrialState
    if not study.get_trials(deepcopy=False, states=(state.COMPLETE,)):
        return None
    best = study.best_trial
    chosen = {**dict(o.lstrip("+").split("=", 1) for o in fixed if "=" in o), **best.params}
    chosen.pop("name", None)
    defaults = [{f"override /{key}": value} for key, value in chosen.items() if key in groups]
    tree: dict[str, Any] = {"defaults": [*defaults, "_self_"]}
    for key, value in chosen.items():
        if key not in groups:
            _put(tree, key.lstrip("+").split("."), plain_yaml.read(str(value), key))
    said = f"{GOAL} {best.value:.4f}: trial {best.number} of {len(study.trials)}, {study.study_name}"
    head = f"# @package _global_\n# {said}\n# {FLATTERED}\n"
    path = to / "experiment" / "best.yaml"
    make_own(path.parent, to)
    write_whole(path, head + yaml.safe_dump(tree, sort_keys=False))
    return path


def write_figures(study: "optuna.Study", folder: Path) -> None:
    """History and importance (PED-ANOVA, Watanabe et al. 2023, arXiv 2304.10255), each as PNG and SVG."""
    optuna = needed()
    make_own(folder)
    scored = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    points = [(trial.number, trial.value or 0.0) for trial in scored]
    drawn = [figures.history(points, GOAL)]
    if len(scored) > 3 and len(study.best_trial.params) > 1:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        drawn.append(figures.importance(shares))
    for one in drawn:
        figures.write(one, folder)


def _put(tree: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
    tree[parts[-1]] = value
