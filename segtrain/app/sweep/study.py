"""Reads what is searched, opens the study of a search, and says how it draws, where it stops and who is at work.

A study lies beside the runs and outlives a process.
"""

import contextlib
import re
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from segtrain.app.sweep.cmaes_state import guard_sampler
from segtrain.app.sweep.plan import MOST_VALUES, require_values
from segtrain.errors import UserError
from segtrain.files import require_own
from segtrain.runs.lock import InUse, Lock

if TYPE_CHECKING:
    import optuna
    from hydra.core.override_parser.types import Override

GOAL = "val/dice"  # of the best epoch
MOST = 1e15  # of a bound: a number that is drawn below it is exact, and so is what Optuna makes of it
JOURNAL = "study.journal"
SAMPLERS = ("tpe", "random", "grid", "cmaes")
PRUNERS = ("none", "median", "halving")
OWNER = "process"  # user attribute of a trial: the lock file of the process that asked it
FILES = ".searching"
WAIT = 0.05  # seconds between looks at whether it is our turn; one takes hundredths of a second


class Settings(NamedTuple):
    """Holds the values of conf/hydra/sweeper/optuna.yaml that make the study."""

    n_trials: int
    sampler: str
    pruner: str
    seed: int | None
    storage: str | None


class Space(NamedTuple):
    """Holds what is searched, and what every trial has."""

    distributions: "dict[str, optuna.distributions.BaseDistribution]"
    fixed: list[str]


def open_study(settings: Settings, space: Space, folder: Path) -> "optuna.Study":
    """Returns the study of that folder, made or gone on with.

    Raises:
        UserError: a setting that is none, a storage that cannot be reached, or a study of other choices.
    """
    library = require_optuna()
    library.logging.set_verbosity(library.logging.WARNING)
    for name, value, known in (("sampler", settings.sampler, SAMPLERS), ("pruner", settings.pruner, PRUNERS)):
        if value not in known:
            raise UserError(f"hydra.sweeper.{name} is {value!r}; expected one of {', '.join(known)}")
    with held_turn(folder):  # two that make a database's tables at a time are one too many
        study: optuna.Study = library.create_study(
            study_name=folder.name,
            storage=_storage(settings.storage, folder),
            sampler=build_sampler(settings, space, 0),
            pruner=_pruner(settings.pruner),
            direction="maximize",
            load_if_exists=True,
        )
    _same_space(study, space)
    return study


def _same_space(study: "optuna.Study", space: Space) -> None:
    compatible = require_optuna().distributions.check_distribution_compatibility
    for trial in study.get_trials(deepcopy=False):
        for key in trial.distributions.keys() & space.distributions.keys():
            try:
                compatible(trial.distributions[key], space.distributions[key])
            except ValueError as error:
                raise UserError(
                    f"the study {study.study_name!r} searches {key} in {trial.distributions[key]}; expected the same "
                    f"choices again; got {space.distributions[key]}; search these with another name=…"
                ) from error


def _storage(storage: str | None, folder: Path) -> Any:
    storages = require_optuna().storages
    try:
        if storage is None:
            require_own(folder / JOURNAL)
            return storages.JournalStorage(storages.journal.JournalFileBackend(str(folder / JOURNAL)))
        from sqlalchemy.pool import NullPool  # a connection that is idle for a run's hours may be cut

        return storages.RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
    except UserError:
        raise
    except Exception as error:  # of the file system, of SQLAlchemy, of a driver that is missing
        raise UserError(
            f"the study's storage {storage_words(storage, folder)} cannot be used: {' '.join(str(error).split())}; "
            "expected null (a file in the sweep's folder), or a database in UTF8 that answers, such as "
            'postgresql://user@host/name, with pip install "segtrain[search]"'
        ) from error


def storage_words(storage: str | None, folder: Path) -> str:
    """Returns where the study lies, to be shown: without a password."""
    return re.sub(r"(//[^/@]*):[^/@]*@", r"\1:***@", storage) if storage else str(folder / JOURNAL)


def build_sampler(settings: Settings, space: Space, number: int) -> Any:
    """Returns what draws the trial of that number.

    A generator a trial: a process that begins with the seed draws none of what the ones before or beside it have drawn.
    """
    samplers, seed = require_optuna().samplers, settings.seed
    if settings.sampler == "grid":  # its seed is the order of the grid, which all must number alike
        return samplers.GridSampler({key: _values(key, d) for key, d in space.distributions.items()}, seed)
    kinds = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler, "cmaes": guard_sampler(require_optuna())}
    more = {"constant_liar": True} if settings.sampler == "tpe" else {}  # trials at one time spread out
    own = None if seed is None else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return kinds[settings.sampler](seed=own, **more)


def _values(key: str, distribution: Any) -> list[Any]:
    if hasattr(distribution, "choices"):
        return list(distribution.choices)
    if not distribution.step:
        raise UserError(f"sampler=grid needs countable values; {key} is an interval; give range(…) or a list")
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    if count > MOST_VALUES:
        raise UserError(
            f"sampler=grid would try {count:,} values of {key}; expected {MOST_VALUES:,} at most; give a larger step, "
            "or another sampler, such as hydra.sweeper.sampler=tpe"
        )
    return [distribution.low + i * distribution.step for i in range(count)]


def _pruner(name: str) -> Any:
    pruners = require_optuna().pruners
    kinds = {"none": pruners.NopPruner, "median": pruners.MedianPruner, "halving": pruners.SuccessiveHalvingPruner}
    return kinds[name]()


@contextlib.contextmanager
def held_turn(folder: Path) -> Iterator[None]:
    """Lets no other process of the search into such a block, while in it."""
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(Lock(folder / FILES, "turn"))
                break
            except InUse:
                time.sleep(WAIT)
        yield


class Member:
    """Holds this process as one of those that search; when it leaves, what it has not ended is queued again."""

    def __init__(self, study: "optuna.Study", folder: Path) -> None:
        """Names this process; it is no member yet."""
        self.study, self.folder = study, folder
        self.name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}.lock"
        self._lock = Lock(folder / FILES, self.name)

    def __enter__(self) -> "Member":
        self._lock.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:  # a user's mistake is one the next time too
            give_up_trials(self.study, self.name, again=not isinstance(error, UserError))
        finally:
            self._lock.__exit__(kind, error, trace)

    def elsewhere(self) -> "list[optuna.trial.FrozenTrial]":
        """Returns the trials at work in other processes; those of processes that died are queued again."""
        living = set()
        for file in (self.folder / FILES).glob("*.lock"):
            if file.name == self.name:  # to open it again would let the lock go
                continue
            try:
                with Lock(file.parent, file.name):
                    give_up_trials(self.study, file.name, again=True)
            except InUse:
                living.add(file.name)
        return [trial for trial in running_trials(self.study) if trial.user_attrs.get(OWNER) in living]


def running_trials(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Returns the trials that were asked and have not ended, here or elsewhere."""
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(
        deepcopy=False, states=(require_optuna().trial.TrialState.RUNNING,)
    )
    return trials


def give_up_trials(study: "optuna.Study", owner: str, again: bool) -> None:
    """Ends the trials that this process was at; with `again`, they are the next to be asked."""
    for trial in [trial for trial in running_trials(study) if trial.user_attrs.get(OWNER) == owner]:
        if again:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        fail_trial(study, trial.number)


def fail_trial(study: "optuna.Study", number: int) -> None:
    """Ends a trial without a score."""
    with contextlib.suppress(RuntimeError):  # a grid's last: Optuna would end a loop of its own, having kept the state
        study.tell(number, state=require_optuna().trial.TrialState.FAIL)


def read_space(overrides: "Sequence[Override]") -> Space:
    """Returns Hydra's syntax as Optuna's: choice(…) and lists, range(…), interval(…), tag(log, …).

    Raises:
        UserError: nothing has several values, or one has none.
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
    d, value = require_optuna().distributions, cast(Any, override.value())
    if override.is_interval_sweep():
        low, high, step = value.start, value.end, None
    elif override.is_range_sweep():
        _require_steps(override)
        last = value.stop - value.start  # the end is not in a range
        low, high, step = (
            value.start,
            value.stop - (value.step if last % value.step == 0 else last % value.step),
            value.step,
        )
    else:
        values = list(override.sweep_string_iterator())
        require_values(override, values)
        return d.CategoricalDistribution(values)
    log = "log" in value.tags
    _require_drawn(override, low, high, log)
    if all(isinstance(number, int) for number in (low, high)) and isinstance(step, int | None):
        return d.IntDistribution(low, high, log=log, step=1 if log else step or 1)
    return d.FloatDistribution(low, high, log=log, step=None if log else step)


def _require_steps(override: "Override") -> None:
    """Raises UserError unless a range goes up by steps from its beginning to its end."""
    value = cast(Any, override.value())
    numbers = (value.start, value.stop, value.step)
    if not all(abs(one) <= MOST for one in numbers) or value.step <= 0 or value.stop <= value.start:
        raise UserError(
            f"'{override.input_line}' has nothing to draw; expected range(FIRST,END,STEP) with numbers up to "
            f"{MOST:,.0f}, an END above FIRST and a STEP above 0, such as range(32,97,32); correct it"
        )


def _require_drawn(override: "Override", low: float, high: float, log: bool) -> None:
    """Raises UserError unless there are numbers from `low` to `high`, which a logarithm takes if it is asked for."""
    if not (abs(low) <= MOST and abs(high) <= MOST and low <= high and (low > 0 or not log)):
        least = ", the lower above 0, as tag(log, …) asks for" if log else ""
        raise UserError(
            f"'{override.input_line}' has nothing to draw; expected interval(LOW,HIGH) with LOW up to HIGH{least}, "
            f"numbers up to {MOST:,.0f}; got {low} to {high}; correct it, such as interval(0.5,2)"
        )


def require_optuna() -> Any:
    """Returns the package optuna.

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
