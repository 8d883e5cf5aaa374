"""The jobs of a sweep, run on this machine: `hydra/launcher=processes`, the default of -m."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, open_dict

from segtrain.app import job
from segtrain.app.finding import run_of, without_hydra
from segtrain.app.stops import Stops
from segtrain.config import cores
from segtrain.errors import UserError
from segtrain.sweeps.pool import Outcome, Pool
from segtrain.sweeps.watch import Watch

if TYPE_CHECKING:
    from hydra_plugins.segtrain_plugins import ProcessLauncher


def launch(launcher: "ProcessLauncher", job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run the jobs, some at a time; every one is tried, whatever becomes of the others.

    Returns:
        For each job, in their order, its results or what kept it from them.
    """
    tasks = list(_tasks(launcher, job_overrides, first))
    slots = _slots(launcher, tasks[0].config)
    with Stops(), Watch(_names(tasks, job_overrides), len(slots)) as watch:
        pool = Pool(
            job.work,
            slots,
            preload=job.PRELOAD,
            timeout=60 * launcher.timeout if launcher.timeout else None,
            retries=launcher.retries,
            look=watch,
        )
        ended = pool.run((task.folder, task) for task in tasks)
    outcomes = {outcome.name: outcome for outcome in ended}
    return [_returned(task, list(o), outcomes[task.folder]) for task, o in zip(tasks, job_overrides, strict=True)]


def _tasks(launcher: "ProcessLauncher", job_overrides: Sequence[Sequence[str]], first: int) -> Iterator[job.Task]:
    """The jobs with their configs, all composed before the first one runs: a mistake in any is told at once."""
    seen: dict[str, Sequence[str]] = {}
    for number, overrides in enumerate(job_overrides):
        config = launcher.context.config_loader.load_sweep_config(launcher.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = first + number
        HydraConfig.instance().set_config(config)
        plain = without_hydra(config)
        folder = str(run_of(plain).path)
        if folder in seen:
            raise UserError(
                f"two jobs of the sweep would use the folder {folder}: {' '.join(seen[folder])} and "
                f"{' '.join(overrides)}; expected a folder each; name the difference by a key that changes results"
            )
        seen[folder] = overrides
        yield job.Task(config, folder, tuple(plain.trust))


def _names(tasks: Sequence[job.Task], job_overrides: Sequence[Sequence[str]]) -> dict[str, str]:
    """Folder to what tells the job from the others: the overrides that not all of them have."""
    common = set.intersection(*map(set, job_overrides))
    told = [",".join(o for o in overrides if o not in common) for overrides in job_overrides]
    return {task.folder: name or Path(task.folder).name for task, name in zip(tasks, told, strict=True)}


def _slots(launcher: "ProcessLauncher", config: DictConfig) -> list[str | None]:
    """A place for each job that runs at a time, and the GPU of the place: dealt out in turn."""
    gpus = _gpus() if config.trainer.accelerator in ("auto", "gpu", "cuda") else []
    number = launcher.n_jobs or len(gpus) or max(1, cores() // config.threads)
    if type(number) is not int or number < 1:
        raise UserError(f"hydra.launcher.n_jobs is {number!r}; expected a whole number from 1, or null")
    return [gpus[i % len(gpus)] if gpus else None for i in range(number)]


def _gpus() -> list[str]:
    """The GPUs of this process, by the names that CUDA_VISIBLE_DEVICES takes, without waking CUDA."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(i) for i in range(len(listed.stdout.splitlines()))] if listed.returncode == 0 else []


def _returned(task: job.Task, overrides: list[str], outcome: Outcome) -> JobReturn:
    done = outcome.answer.state in ("finished", "skipped")
    returned = JobReturn(overrides, without_hydra(task.config), task.config.hydra, str(Path.cwd()))
    returned.status = JobStatus.COMPLETED if done else JobStatus.FAILED
    returned.return_value = outcome.answer.results if done else RuntimeError(outcome.answer.message)
    return returned
