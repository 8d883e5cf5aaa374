"""One job of a sweep, in a process of its own: its output goes to a log in its run folder, its end is an answer."""

import os
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from segtrain.app.finding import without_hydra
from segtrain.app.stops import Stopped
from segtrain.config import register_resolvers
from segtrain.mistakes import explain
from segtrain.runs.folder import RunFolder
from segtrain.runs.lock import InUse
from segtrain.sweeps.pool import EX_BUSY, Answer
from segtrain.sweeps.watch import LOG
from segtrain.trust import trust

PRELOAD = ("segtrain.app.train", "segtrain.aug", "segmentation_models_pytorch", "albumentations", __name__)


class Task(NamedTuple):
    """What a job is handed."""

    config: DictConfig  # as Hydra composed it
    folder: str  # of its run
    trusted: tuple[str, ...]  # packages that the user trusts
    overrides: tuple[str, ...]


def work(task: Task, answer: Connection) -> None:
    """Train, and say how it ended; the exit status is that of the same command by itself."""
    register_resolvers()
    trust(task.trusted)
    HydraConfig.instance().set_config(task.config)
    run = RunFolder(task.folder)
    _redirect(run.path / LOG)
    said, status = _trained(run, without_hydra(task.config))
    answer.send(said)
    sys.exit(status)


def _trained(run: RunFolder, config: DictConfig) -> tuple[Answer, int]:
    from segtrain.app.train import train

    was_finished = run.exists and run.status["state"] == "finished"
    try:
        results = train(config)
    except InUse as error:
        return Answer("failed", str(error)), EX_BUSY
    except Stopped as stop:
        return Answer("interrupted", f"interrupted by {stop}"), stop.status
    except BaseException as error:
        message = explain(error)
        if message is None:
            traceback.print_exc()
            return Answer("failed", f"{type(error).__name__}: {error}"), 1
        print(f"error: {message}", file=sys.stderr)
        return Answer("refused", message), 2
    return Answer("skipped" if was_finished else "finished", results=results), 0


def _redirect(log: Path) -> None:
    """Standard output and error of this process and its loaders, appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
