"""A sweep: its jobs planned, run, and reported on: `hydra/sweeper=grid`, the default of -m."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.segtrain_plugins import ProcessLauncher
from segtrain.app.report import verdict
from segtrain.app.report import write_report as report
from segtrain.app.report.findings import write_plan
from segtrain.app.sweep import clusters as elsewhere
from segtrain.app.sweep import job, plan
from segtrain.app.sweep import processes as launching
from segtrain.errors import UserError
from segtrain.printable import print_text
from segtrain.runs import duration

if TYPE_CHECKING:
    from hydra_plugins.segtrain_plugins import GridSweeper

CHOOSE = ("aug=", "aug.", "experiment=")  # overrides that say which policy a job has


def sweep(sweeper: "GridSweeper", arguments: Sequence[str]) -> None:
    """Run every job; in the end exit with status 1 if one failed."""
    loader = sweeper.context.config_loader
    jobs = planned(
        OmegaConf.to_container(sweeper.params),
        arguments,
        OverridesParser.create(config_loader=loader),
        lambda overrides: loader.load_sweep_config(sweeper.config, overrides),
    )
    launcher = sweeper.launcher
    if not arguments and not sweeper.params and isinstance(launcher, ProcessLauncher):
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
    tasks = launching.prepared(sweeper, jobs, 0)
    plans: dict[Path, dict[str, Sequence[str]]] = {}  # several where name or dataset is swept
    for task in tasks:
        plans.setdefault(Path(task.folder).parent, {})[Path(task.folder).name] = task.overrides
    for folder, planned_there in plans.items():
        write_plan(folder, planned_there)
    print_text(expected(launcher, tasks), flush=True)
    outcomes = (
        launching.ran(launcher, tasks) if isinstance(launcher, ProcessLauncher) else elsewhere.ran(launcher, tasks)
    )
    for folder in plans:
        conclude(folder)
    if any(outcome.answer.state not in ("finished", "skipped") for outcome in outcomes.values()):
        sys.exit(1)


def expected(launcher: Any, tasks: Sequence[job.Task]) -> str:
    """Returns how many runs there are, how many are done, and about how long the others will take."""
    first, slots = tasks[0].config, None
    if isinstance(launcher, ProcessLauncher):
        slots = launching.slots_of(launcher, first.trainer.accelerator, first.threads)
    jobs = []
    for task in tasks:
        HydraConfig.instance().set_config(task.config)  # which threads and names ask for
        nodes = OmegaConf.masked_copy(task.config, ["dataset", "model", "data", "trainer", "threads", "name", "seed"])
        config: Any = OmegaConf.to_container(nodes, resolve=True)
        named = config["trainer"]["accelerator"] in ("gpu", "cuda")
        jobs.append(duration.Planned(task.folder, config, named if slots is None else slots[0] is not None))
    return duration.forecast(jobs, Path(first.outputs), None if slots is None else len(slots))


def conclude(folder: Path) -> None:
    """Write the report of a sweep's folder, and print its verdict."""
    found = report.write_report([folder], folder)
    for sentence in verdict.sentences(found.choice, found.contrasts, found.arms):
        print_text(sentence)
    print_text(f"the whole report: {folder / 'report.html'}")


def planned(
    params: Any,
    arguments: Sequence[str],
    parser: OverridesParser,
    compose: Callable[[list[str]], DictConfig],
) -> list[plan.Job]:
    """The jobs of a sweep file's params and of what was typed, which takes the place of params of the same key."""
    arms = params.get(plan.ARMS, [])
    parsed = parser.parse_overrides([*plan.given(params), *arguments])

    @functools.cache
    def transforms(chosen: tuple[str, ...]) -> Any:
        return OmegaConf.to_container(compose(list(chosen)).aug, resolve=True)["transforms"]  # type: ignore[index,call-overload]

    def policy(job: plan.Job) -> Any:
        return transforms(tuple(o for o in job if o.startswith(CHOOSE)))

    return plan.jobs(plan.axes_of(parsed), arms, policy)
