"""The study of a search: where it lies, how it draws, what it stops. It lies beside the runs and outlives a process."""

import contextlib
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from segtrain.app.sweep.cmaes_state import guarded
from segtrain.app.sweep.plan import MOST_VALUES
from segtrain.app.sweep.search_space import Settings, Space, needed
from segtrain.errors import UserError
from segtrain.files import require_own
from segtrain.runs.lock import InUse, Lock

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.journal"
SAMPLERS = ("tpe", "random", "grid", "cmaes")
PRUNERS = ("none", "median", "halving")
OWNER = "process"  # user attribute of a trial: the lock file of the process that asked it
FILES = ".searching"
WAIT = 0.05  # seconds between looks at whether it is our turn; one takes hundredths of a second


def open_study(settings: Settings, space: Space, folder: Path) -> "optuna.Study":
    """The study of that folder, made or gone on with.

    Raises:
        UserError: a setting that is none, a storage that cannot be reached, or a study of other choices.
    """
    library = needed()
    library.logging.set_verbosity(library.logging.WARNING)
    for name, value, known in (("sampler", settings.sampler, SAMPLERS), ("pruner", settings.pruner, PRUNERS)):
        if value not in known:
            raise UserError(f"hydra.sweeper.{name} is {value!r}; expected one of {', '.join(known)}")
    with turn(folder):  # two that make a database's tables at a time are one too many
        study: optuna.Study = library.create_study(
            study_name=folder.name,
            storage=_storage(settings.storage, folder),
            sampler=sampler(settings, space, 0),
            pruner=_pruner(settings.pruner),
            direction="maximize",
            load_if_exists=True,
        )
    _same_space(study, space)
    return study


def _same_space(study: "optuna.Study", space: Space) -> None:
    compatible = needed().distributions.check_distribution_compatibility
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
    storages = needed().storages
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
            f"the study's storage {place(storage, folder)} cannot be used: {' '.join(str(error).split())}; "
            "expected null (a file in the sweep's folder), or a database in UTF8 that answers, such as "
            'postgresql://user@host/name, with pip install "segtrain[search]"'
        ) from error


def place(storage: str | None, folder: Path) -> str:
    """Where the study lies, to be shown: without a password."""
    return re.sub(r"(//[^/@]*):[^/@]*@", r"\1:***@", storage) if storage else str(folder / JOURNAL)


def sampler(settings: Settings, space: Space, number: int) -> Any:
    """What draws the trial of that number.

    A generator a trial: a process that begins with the seed draws none of what the ones before or beside it have drawn.
    """
    samplers, seed = needed().samplers, settings.seed
    if settings.sampler == "grid":  # its seed is the order of the grid, which all must number alike
        return samplers.GridSampler({key: _values(key, d) for key, d in space.distributions.items()}, seed)
    kinds = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler, "cmaes": guarded()}
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
    pruners = needed().pruners
    kinds = {"none": pruners.NopPruner, "median": pruners.MedianPruner, "halving": pruners.SuccessiveHalvingPruner}
    return kinds[name]()


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """In the block no other process of the search is in such a block."""
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(Lock(folder / FILES, "turn"))
                break
            except InUse:
                time.sleep(WAIT)
        yield


class Member:
    """This process as one of those that search; when it leaves, what it has not ended is queued again."""

    def __init__(self, study: "optuna.Study", folder: Path) -> None:
        """Not one yet."""
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
            give_up(self.study, self.name, again=not isinstance(error, UserError))
        finally:
            self._lock.__exit__(kind, error, trace)

    def elsewhere(self) -> "list[optuna.trial.FrozenTrial]":
        """The trials at work in other processes; those of processes that died are queued again."""
        living = set()
        for file in (self.folder / FILES).glob("*.lock"):
            if file.name == self.name:  # to open it again would let the lock go
                continue
            try:
                with Lock(file.parent, file.name):
                    give_up(self.study, file.name, again=True)
            except InUse:
                living.add(file.name)
        return [trial for trial in running(self.study) if trial.user_attrs.get(OWNER) in living]


def running(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Trials that were asked and have not ended, here or elsewhere."""
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(
        deepcopy=False, states=(needed().trial.TrialState.RUNNING,)
    )
    return trials


def give_up(study: "optuna.Study", owner: str, again: bool) -> None:
    """Ends the trials that this process was at; with `again`, they are the next to be asked."""
    for trial in [trial for trial in running(study) if trial.user_attrs.get(OWNER) == owner]:
        if again:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        fail(study, trial.number)


def fail(study: "optuna.Study", number: int) -> None:
    """Ends a trial without a score."""
    with contextlib.suppress(RuntimeError):  # a grid's last: Optuna would end a loop of its own, having kept the state
        study.tell(number, state=needed().trial.TrialState.FAIL)
