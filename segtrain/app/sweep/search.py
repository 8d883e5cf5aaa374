"""A search: trials asked of an Optuna study, run as jobs, told back: `hydra/sweeper=optuna`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from segtrain.app.sweep import plan
from segtrain.app.sweep import processes as launching
from segtrain.app.sweep import search_results as searched
from segtrain.app.sweep.job import Task
from segtrain.app.sweep.search_space import GOAL, Settings, Space, space_of
from segtrain.app.sweep.study import open_study, place
from segtrain.app.sweep.study_members import Member
from segtrain.app.sweep.trials import FOLDER, Pruning, Trial, asked, done, tell
from segtrain.app.sweep.watch import BAD
from segtrain.command_line import command, searched_too
from segtrain.config.composition import conf_dir
from segtrain.errors import UserError
from segtrain.printable import print_text

if TYPE_CHECKING:
    import optuna

    from hydra_plugins.segtrain_plugins import OptunaSweeper, ProcessLauncher

PATIENCE = 3  # times in a row that nothing worked, until the search ends


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
    best = searched.write_best(study, groups, space.fixed, folder / "conf")
    if best is None:
        print_text(f"no trial of {study.study_name} has a score")
        return None
    searched.write_figures(study, folder / "figures")
    trial = study.best_trial
    chosen = " ".join(f"{key}={value}" for key, value in trial.params.items())
    print_text(f"best of {done(study)} trials: {GOAL} {trial.value:.4f} with {chosen}")
    print_text(f"  {searched.FLATTERED}")
    conf = folder / "conf"
    print_text(f"  train with it:  {command('', *searched_too(conf), 'experiment=best', conf=conf)}")
    print_text(
        f"  {folder / 'figures'}: history.png, importance.png; live: optuna-dashboard {place(settings.storage, folder)}"
    )
    return float(trial.value or 0.0)
