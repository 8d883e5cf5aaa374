"""Runs the jobs of a sweep on this machine: `hydra/launcher=processes`, the default of -m."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from rich.progress import track

from segtrain.app.sweep import job
from segtrain.app.sweep.plan import Composer
from segtrain.app.sweep.pool import Outcome, Pool, Running
from segtrain.app.sweep.watch import Watch
from segtrain.app.train.train import LOOKED_AT, look_first, run_of
from segtrain.config.composition import choices_of, cores
from segtrain.config.known_keys import require_known
from segtrain.config.trust import trust, typed_trust
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.screen import Screen

Look = Callable[[Sequence[Running], Sequence[Outcome]], None]


class Limits(NamedTuple):
    """Holds the values of conf/hydra/launcher/processes.yaml."""

    n_jobs: int | None  # at a time; None: one for the devices of each, or as many as the cores have room for
    timeout: float | None  # minutes after which a job is stopped
    retries: int  # how often a job is tried again that died or failed by no mistake of the user's


def launch(composer: Composer, limits: Limits, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Runs jobs for Hydra.

    Returns:
        For each job, in their order, its results or what kept it from them.
    """
    tasks = prepare_tasks(composer, job_overrides, first)
    outcomes = run_here(limits, tasks)
    return [_returned(task, outcomes[task.folder]) for task in tasks]


def run_here(
    limits: Limits,
    tasks: Sequence[job.Task],
    also: Look | None = None,
    *,
    score: str = "test/dice",
    tells_skipped: bool = True,
) -> dict[str, Outcome]:
    """Runs the jobs, some at a time; every one is tried, whatever becomes of the others.

    Args:
        limits: how many at a time, for how long, how often.
        tasks: the jobs.
        also: called with what runs and what ended, beside the display.
        score, tells_skipped: those of `Watch`.

    Returns:
        Folder to how its job ended.
    """
    slots = slots_of(limits, tasks[0].config)
    watching = Watch(job.job_names(tasks), len(slots), score, tells_skipped=tells_skipped)
    with Stops() as stops, watching as watch:

        def look(running: Sequence[Running], ended: Sequence[Outcome]) -> None:
            stops.check()
            watch(running, ended)
            if also is not None:
                also(running, ended)

        pool = Pool(
            job.run_task,
            slots,
            preload=job.PRELOAD,
            timeout=60 * limits.timeout if limits.timeout else None,
            retries=limits.retries,
            look=look,
        )
        return {outcome.name: outcome for outcome in pool.run((task.folder, task) for task in tasks)}


def prepare_tasks(composer: Composer, job_overrides: Sequence[Sequence[str]], first: int) -> list[job.Task]:
    """Returns the jobs with their configs, all composed before the first one runs: a mistake in any is told at once.

    Args:
        composer: makes a job's config.
        job_overrides: of each job.
        first: the first one's number.

    Raises:
        UserError: a value that cannot be, a key that nothing reads, data or weights that are not there, or two jobs in
            one folder.
    """
    tasks: dict[str, job.Task] = {}
    looked_at = set[str]()
    terminal = Screen().is_terminal  # Hydra takes about .1 s for each
    for number, overrides in enumerate(track(job_overrides, "configs", transient=True, disable=not terminal)):
        config = composer.compose(overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = first + number
        HydraConfig.instance().set_config(config)
        plain = job.without_hydra(config)
        trusted = typed_trust(plain.trust, sys.argv[1:])
        trust(trusted)
        require_known(plain, "train", choices_of(HydraConfig.get()))
        if plain.data.batch_size == "auto":
            raise UserError(
                "data.batch_size=auto finds a number for each run, and runs of other batch sizes cannot be compared; "
                "expected one number for all jobs of a sweep; got auto; find it by one run of the largest of them, "
                "data.batch_size=auto trainer=smoke, and give the number that it says"
            )
        run = run_of(plain)
        folder, data = str(run.path), OmegaConf.to_yaml(OmegaConf.masked_copy(plain, LOOKED_AT))
        if data not in looked_at and look_first(plain, run) is not None:
            looked_at.add(data)  # jobs that differ in nothing that is looked at are one
        if folder in tasks:
            raise UserError(
                f"two jobs of the sweep would use the folder {folder}: {' '.join(tasks[folder].overrides)} and "
                f"{' '.join(overrides)}; expected a folder each; name the difference by a key that changes results"
            )
        tasks[folder] = job.Task(config, folder, tuple(trusted), tuple(overrides))
    return list(tasks.values())


def slots_of(limits: Limits, config: DictConfig) -> list[str | None]:
    """Returns a place for each job that runs at a time, and the GPUs of the place, 0,1 for two: dealt out in turn.

    Args:
        limits: how many jobs may run.
        config: of a job; its trainer says how many devices it has to itself, each with `threads` of a CPU.

    Raises:
        UserError: a number of jobs that is none, or more devices a job than there are.
    """
    trainer = config.trainer
    gpus = _gpus() if trainer.accelerator in ("auto", "gpu", "cuda") else []
    asked = trainer.get("devices", 1)
    if isinstance(asked, ListConfig):  # of all GPUs, which the job chooses among
        each, groups = len(asked), [",".join(gpus)] if gpus else []
    else:
        each = max(1, len(gpus)) if asked == "auto" else int(asked)
        groups = [",".join(gpus[i : i + each]) for i in range(0, len(gpus) - each + 1, each)]
    if gpus and not groups:
        raise UserError(
            f"each job trains on {each} devices, and there are {counted(len(gpus), 'GPU')}; expected no more of them "
            f"than that; give trainer.devices={len(gpus)}"
        )
    number = limits.n_jobs or len(groups) or max(1, cores() // (config.threads * each))
    if type(number) is not int or number < 1:
        raise UserError(f"hydra.launcher.n_jobs is {number!r}; expected a whole number from 1, or null")
    return [groups[i % len(groups)] if groups else None for i in range(number)]


def _gpus() -> list[str]:
    """Returns the GPUs of this process, by the names that CUDA_VISIBLE_DEVICES takes, without waking CUDA."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(i) for i in range(len(listed.stdout.splitlines()))] if listed.returncode == 0 else []


def _returned(task: job.Task, outcome: Outcome) -> JobReturn:
    done = outcome.answer.state in ("finished", "skipped")
    folder = str(Path(task.folder).parent)
    returned = JobReturn(list(task.overrides), job.without_hydra(task.config), task.config.hydra, folder)
    returned.status = JobStatus.COMPLETED if done else JobStatus.FAILED
    returned.return_value = outcome.answer.results if done else RuntimeError(outcome.answer.message)
    return returned
