"""Plans the jobs of a sweep, runs them, and writes the report on them: `hydra/sweeper=grid`, the default of -m."""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from segtrain.app.report import verdict
from segtrain.app.report.findings import write_plan
from segtrain.app.report.report import write_report
from segtrain.app.sweep import clusters, job, plan, processes
from segtrain.app.sweep.plan import Composer
from segtrain.app.sweep.processes import Limits
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs import duration

CHOOSE = ("aug=", "aug.", "experiment=")  # overrides that say which policy a job has


def sweep(composer: Composer, params: Any, arguments: Sequence[str], engine: Limits | Launcher) -> None:
    """Runs every job, and writes the report.

    Args:
        composer: makes the jobs' configs.
        params: of the sweep's file.
        arguments: what was typed; it takes the place of params of the same key.
        engine: the limits of jobs that run on this machine, or the launcher of another engine.

    Raises:
        SystemExit: with status 1 when a job failed.
    """
    jobs = plan_sweep(composer, params, arguments)
    if not arguments and not params and isinstance(engine, Limits):
        raise UserError(
            "-m sweeps nothing, as no key is given; expected keys with several values, such as -m aug=none,flips "
            "seed=0,1,2, or sweep=strength; give some, or leave -m out for one run"
        )
    if len(jobs) == 1:
        print_text(
            "careful: nothing is swept, this is one run: no key has several values; expected such as aug=none,flips "
            "seed=0,1,2, or sweep=strength; without -m it is the same run, shown as it goes",
            flush=True,
        )
    tasks = processes.prepare_tasks(composer, jobs, 0)
    plans: dict[Path, dict[str, Sequence[str]]] = {}  # several where name or dataset is swept
    for task in tasks:
        plans.setdefault(Path(task.folder).parent, {})[Path(task.folder).name] = task.overrides
    for folder, planned_there in plans.items():
        write_plan(folder, planned_there)
    print_text(_forecast_sweep(engine, tasks), flush=True)
    if isinstance(engine, Limits):
        outcomes = processes.run_here(engine, tasks)
    else:
        outcomes = clusters.run_elsewhere(engine, tasks)
    for folder in plans:
        _conclude_sweep(folder)
    if any(outcome.answer.state not in ("finished", "skipped") for outcome in outcomes.values()):
        sys.exit(1)


def _forecast_sweep(engine: Limits | Launcher, tasks: Sequence[job.Task]) -> str:
    """Returns how many runs there are, how many are done, and about how long the others will take."""
    first, slots = tasks[0].config, None
    if isinstance(engine, Limits):
        slots = processes.slots_of(engine, first)
    jobs = planned_runs(tasks, slots)
    return duration.forecast(jobs, Path(first.outputs), None if slots is None else len(slots))


def planned_runs(tasks: Sequence[job.Task], slots: Sequence[str | None] | None) -> list[duration.Planned]:
    """Returns jobs as `duration` compares them with runs that are there; `slots` None: another engine places them."""
    found = []
    for task in tasks:
        HydraConfig.instance().set_config(task.config)  # which threads and names ask for
        nodes = OmegaConf.masked_copy(task.config, ["dataset", "model", "data", "trainer", "threads", "name", "seed"])
        config: Any = OmegaConf.to_container(nodes, resolve=True)
        named = config["trainer"]["accelerator"] in ("gpu", "cuda")
        found.append(duration.Planned(task.folder, config, named if slots is None else slots[0] is not None))
    return found


def _conclude_sweep(folder: Path) -> None:
    """Writes the report of a sweep's folder, and prints its verdict."""
    found = write_report([folder], folder)
    for sentence in verdict.verdict_sentences(found.choice, found.contrasts, found.arms):
        print_text(sentence)
    print_text(f"the whole report: {folder / 'report.html'}")


def plan_sweep(composer: Composer, params: Mapping[str, Any], arguments: Sequence[str]) -> list[plan.Job]:
    """Returns the jobs of a sweep file's params and of what was typed, which takes the place of the same key."""
    parsed = composer.parse([*plan.params_overrides(params), *arguments])

    @functools.cache
    def transforms(chosen: tuple[str, ...]) -> Any:
        return OmegaConf.to_container(composer.compose(chosen).aug, resolve=True)["transforms"]  # type: ignore[index,call-overload]

    def policy(job: plan.Job) -> Any:
        return transforms(tuple(o for o in job if o.startswith(CHOOSE)))

    return plan.plan_jobs(plan.read_axes(parsed), params.get(plan.ARMS, []), policy)
