"""Several processes on one study: which of them asked a trial, and whether that one lives.

Each holds a lock file in the sweep's folder while it searches, and its trials bear the file's name. A trial whose
process died is queued again by the next one that asks. Where machines do not share the folder they do not see each
other's files, and leave each other's trials alone.
"""

import contextlib
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from segtrain.app.sweep.search_space import needed
from segtrain.errors import UserError
from segtrain.runs.lock import InUse, Lock

if TYPE_CHECKING:
    import optuna

OWNER = "process"  # user attribute of a trial: the lock file of the process that asked it
FILES = ".searching"
WAIT = 0.05  # seconds between looks at whether it is our turn; one takes hundredths of a second


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
