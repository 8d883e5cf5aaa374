"""Runs one job of a sweep in a process of its own: its output goes to a log in its run folder, its end is an answer."""

import contextlib
import copy
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from segtrain.app.sweep.pool import EX_BUSY, Answer
from segtrain.app.sweep.watch import LOG
from segtrain.config.composition import register_resolvers
from segtrain.config.trust import trust
from segtrain.errors import UserError
from segtrain.files import appended, explained, make_own, print_any_name
from segtrain.interrupts import Stopped
from segtrain.mistakes import explain
from segtrain.printable import print_text
from segtrain.runs.folder import RunFolder
from segtrain.runs.lock import InUse

PRELOAD = ("segtrain.app.train.fit_run", "segtrain.aug", "segmentation_models_pytorch", "albumentations", __name__)


class Task(NamedTuple):
    """Holds what a job is handed."""

    config: DictConfig  # as Hydra composed it
    folder: str  # of its run
    trusted: tuple[str, ...]  # packages that the user trusts
    overrides: tuple[str, ...]


def run_task(task: Task, answer: Connection) -> None:
    """Trains, and says how it ended; the exit status is that of the same command by itself."""
    print_any_name()
    register_resolvers()
    trust(task.trusted)
    HydraConfig.instance().set_config(task.config)
    run = RunFolder(task.folder)
    try:
        with logged_to_run(run):
            said, status = train_task(run, without_hydra(task.config))
    except UserError as error:  # of the log
        said, status = Answer("refused", str(error)), 2
    with contextlib.suppress(BrokenPipeError):  # the sweep was killed: nobody is left to be told
        answer.send(said)
    sys.exit(status)


def job_names(tasks: Sequence[Task]) -> dict[str, str]:
    """Returns folder -> what tells the job from the others: the overrides that not all of them have."""
    common = set.intersection(*(set(task.overrides) for task in tasks))
    told = [",".join(o for o in task.overrides if o not in common) for task in tasks]
    return {task.folder: name or Path(task.folder).name for task, name in zip(tasks, told, strict=True)}


def train_task(run: RunFolder, config: DictConfig) -> tuple[Answer, int]:
    """Trains; returns how that ended, and the exit status of the same command by itself."""
    from segtrain.app.train.train import train

    was_finished = run.exists and run.status["state"] == "finished"
    try:
        results = train(config)
    except InUse as error:
        return Answer("failed", str(error)), EX_BUSY
    except Stopped as stop:
        return Answer("interrupted", f"interrupted by {stop}"), stop.status
    except SystemExit:  # of the engine that runs the job: it has queued it again
        raise
    except BaseException as error:
        message = explain(error)
        if message is None:
            traceback.print_exc()
            return Answer("failed", f"{type(error).__name__}: {error}"), 1
        print_text(f"error: {message}", file=sys.stderr)
        return Answer("refused", message), 2
    return Answer("skipped" if was_finished else "finished", results=results), 0


@contextlib.contextmanager
def logged_to_run(run: RunFolder) -> Iterator[None]:
    """Appends standard output and error of this process and its loaders to the run's job.log, in the block."""
    make_own(run.path)
    with explained(run.path / LOG):
        log = appended(run.path / LOG)
    with log:
        before = [os.dup(1), os.dup(2)]
        _direct([os.dup(log.fileno())] * 2)
        try:
            yield
        finally:
            _direct(before)


def _direct(files: Sequence[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
    for file in set(files):
        os.close(file)


def without_hydra(config: DictConfig) -> DictConfig:
    """Returns the config of a job as the app takes it: Hydra's own part is in HydraConfig."""
    plain = copy.deepcopy(config)
    with read_write(plain), open_dict(plain):
        del plain["hydra"]
    return plain
