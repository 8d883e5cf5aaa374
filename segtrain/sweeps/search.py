"""A search with Optuna: `hydra/sweeper=optuna`. Trials are runs; the study lies beside them and outlives a process."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from segtrain.errors import UserError
from segtrain.runs.lock import InUse, Lock
from segtrain.runs.metrics_csv import MetricsTable
from segtrain.sweeps.pool import Outcome, Running

if TYPE_CHECKING:
    import optuna
    from hydra.core.override_parser.types import Override

JOURNAL = "study.journal"
FOLDER = "folder"  # user attribute of a trial: the name of its run's folder
SAMPLERS = ("tpe", "random", "grid", "cmaes")
PRUNERS = ("none", "median", "halving")
GOAL = "val/dice"  # of the best epoch


class Settings(NamedTuple):
    """The values of conf/hydra/sweeper/optuna.yaml that make the study."""

    n_trials: int
    sampler: str
    pruner: str
    seed: int | None
    storage: str | None


class Space(NamedTuple):
    """What is searched, and what every trial has."""

    distributions: "dict[str, optuna.distributions.BaseDistribution]"
    fixed: list[str]


def space_of(overrides: "Sequence[Override]") -> Space:
    """Hydra's syntax as Optuna's: choice(…) and lists, range(…), interval(…), tag(log, …).

    Raises:
        UserError: nothing has several values.
    """
    found: dict[str, Any] = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        found.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            found[key] = _distribution(override)
        elif override.is_delete():
            fixed[key] = str(override.input_line)
        else:
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    if not found:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search; expected keys with several values, such as "
            "aug.strength=interval(0,2) or aug=flips,medical_elastic; got one value each"
        )
    return Space(found, list(fixed.values()))


def _distribution(override: "Override") -> Any:
    d, value = needed().distributions, cast(Any, override.value())
    if override.is_interval_sweep():
        low, high, step = value.start, value.end, None
    elif override.is_range_sweep():
        last = value.stop - value.start  # the end is not in a range
        low, high, step = (
            value.start,
            value.stop - (value.step if last % value.step == 0 else last % value.step),
            value.step,
        )
    else:
        return d.CategoricalDistribution(list(override.sweep_string_iterator()))
    log = "log" in value.tags
    if all(isinstance(number, int) for number in (low, high)) and isinstance(step, int | None):
        return d.IntDistribution(low, high, log=log, step=1 if log else step or 1)
    return d.FloatDistribution(low, high, log=log, step=None if log else step)


def open_study(settings: Settings, space: Space, folder: Path) -> "optuna.Study":
    """The study of that folder, made or gone on with; trials whose process died are queued again.

    Raises:
        UserError: a setting that is none, or a storage that cannot be reached.
    """
    library = needed()
    library.logging.set_verbosity(library.logging.WARNING)
    for name, value, known in (("sampler", settings.sampler, SAMPLERS), ("pruner", settings.pruner, PRUNERS)):
        if value not in known:
            raise UserError(f"hydra.sweeper.{name} is {value!r}; expected one of {', '.join(known)}")
    study: optuna.Study = library.create_study(
        study_name=folder.name,
        storage=_storage(settings.storage, folder),
        sampler=_sampler(settings, space),
        pruner=_pruner(settings.pruner),
        direction="maximize",
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(library.trial.TrialState.RUNNING,)):
        if not _is_alive(folder / str(trial.user_attrs.get(FOLDER, ""))):
            study.tell(trial.number, state=library.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
    return study


def _storage(storage: str | None, folder: Path) -> Any:
    storages = needed().storages
    try:
        if storage is not None:
            return storages.get_storage(storage)
        folder.mkdir(parents=True, exist_ok=True)
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(folder / JOURNAL)))
    except Exception as error:  # of the file system, of SQLAlchemy, of a driver that is missing
        raise UserError(
            f"the study's storage {storage or folder / JOURNAL} cannot be used: {' '.join(str(error).split())}; "
            "expected null (a file in the sweep's folder), or a database that answers, such as "
            'postgresql://user@host/name, with pip install "segtrain[search]" psycopg2-binary'
        ) from error


def _sampler(settings: Settings, space: Space) -> Any:
    samplers = needed().samplers
    if settings.sampler == "grid":
        return samplers.GridSampler({key: _values(key, d) for key, d in space.distributions.items()}, settings.seed)
    kinds = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler, "cmaes": samplers.CmaEsSampler}
    more = {"constant_liar": True} if settings.sampler == "tpe" else {}  # trials at one time spread out
    return kinds[settings.sampler](seed=settings.seed, **more)


def _values(key: str, distribution: Any) -> list[Any]:
    if hasattr(distribution, "choices"):
        return list(distribution.choices)
    if not distribution.step:
        raise UserError(f"sampler=grid needs countable values; {key} is an interval; give range(…) or a list")
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    return [distribution.low + i * distribution.step for i in range(count)]


def _pruner(name: str) -> Any:
    pruners = needed().pruners
    kinds = {"none": pruners.NopPruner, "median": pruners.MedianPruner, "halving": pruners.SuccessiveHalvingPruner}
    return kinds[name]()


def _is_alive(run: Path) -> bool:
    """Whether a process is in that run's folder."""
    if not (run / "status.json").exists():
        return False
    try:
        with Lock(run):
            return False
    except InUse:
        return True


class Trial(NamedTuple):
    """A trial with the overrides of its run."""

    trial: "optuna.Trial"
    overrides: list[str]


def asked(study: "optuna.Study", space: Space, count: int) -> list[Trial]:
    """The next trials."""
    trials = []
    for _ in range(count):
        if isinstance(study.sampler, needed().samplers.GridSampler) and study.sampler.is_exhausted(study):
            break
        trial = study.ask(space.distributions)
        trials.append(Trial(trial, [*(f"{k}={v}" for k, v in trial.params.items()), *space.fixed]))
    return trials


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
    states = needed().trial.TrialState
    with contextlib.suppress(RuntimeError):  # a grid's last: Optuna would end a loop of its own, having kept the score
        if score is not None and state in ("finished", "skipped"):
            study.tell(trial, score)
        else:
            study.tell(trial, state=states.PRUNED if state == "pruned" else states.FAIL)


def needed() -> Any:
    """Optuna.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            'hydra/sweeper=optuna needs the package optuna, which is not installed; pip install "segtrain[search]"'
        ) from error
    return optuna
