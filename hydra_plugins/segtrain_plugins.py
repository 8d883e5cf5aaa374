"""Holds the launcher and the sweepers that Hydra finds here; it imports this at every start, so nothing is heavy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from segtrain.app.sweep.plan import Composer
    from segtrain.app.sweep.processes import Limits


class ProcessLauncher(Launcher):
    """Runs jobs in processes of their own: see `segtrain.app.sweep.processes`."""

    def __init__(self, n_jobs: int | None = None, timeout: float | None = None, retries: int = 0) -> None:
        """Takes the values of conf/hydra/launcher/processes.yaml."""
        self.n_jobs, self.timeout, self.retries = n_jobs, timeout, retries

    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Keeps what jobs are composed from: Hydra's hook."""
        self.context, self.config = hydra_context, config

    @property
    def limits(self) -> "Limits":
        """Returns how many jobs run at a time, for how long, and how often each is tried again."""
        from segtrain.app.sweep.processes import Limits

        return Limits(self.n_jobs, self.timeout, self.retries)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs, and returns when the last one has ended."""
        from segtrain.app.sweep.plan import Composer
        from segtrain.app.sweep.processes import launch

        composer = Composer(self.context.config_loader, self.config)
        return launch(composer, self.limits, job_overrides, initial_job_idx)


class GridSweeper(Sweeper):
    """Runs every combination, and zipped arms, all arms of a seed first: see `segtrain.app.sweep.sweep`."""

    config: "DictConfig"
    launcher: Launcher

    def __init__(self, params: Any) -> None:
        """Takes the values of a file in conf/sweep."""
        self.params = params

    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Makes the launcher that the config names: Hydra's hook."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.plugins import Plugins

        from segtrain.app.sweep.clusters import work

        self.context, self.config = hydra_context, config
        HydraConfig.instance().set_config(config)  # a launcher's folder may hold ${name}, which asks for it
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=work, config=config
        )

    @property
    def composer(self) -> "Composer":
        """Returns the composer of the jobs' configs."""
        from segtrain.app.sweep.plan import Composer

        return Composer(self.context.config_loader, self.config)

    @property
    def limits(self) -> "Limits | None":
        """Returns the limits of jobs that run on this machine; None where another engine's launcher runs them."""
        return self.launcher.limits if isinstance(self.launcher, ProcessLauncher) else None

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the jobs that params and arguments describe."""
        from omegaconf import OmegaConf

        from segtrain.app.sweep.sweep import sweep

        sweep(self.composer, OmegaConf.to_container(self.params), arguments, self.limits or self.launcher)


class OptunaSweeper(GridSweeper):
    """Searches with Optuna: see `segtrain.app.sweep.search`."""

    def __init__(
        self,
        params: Any,
        n_trials: int = 20,
        sampler: str = "tpe",
        pruner: str = "none",
        seed: int | None = 0,
        storage: str | None = None,
    ) -> None:
        """Takes the values of conf/hydra/sweeper/optuna.yaml."""
        from segtrain.app.sweep.study import Settings

        super().__init__(params)
        self.settings = Settings(n_trials, sampler, pruner, seed, storage)

    def sweep(self, arguments: list[str]) -> Any:
        """Runs trials until the study has as many as were asked for."""
        from omegaconf import OmegaConf

        from segtrain.app.sweep.search import run_search

        params = OmegaConf.to_container(self.params)
        return run_search(self.composer, params, arguments, self.settings, self.limits)


class FindSweeper(GridSweeper):
    """Finds the best arm within a budget: see `segtrain.app.find.find`."""

    def __init__(
        self,
        params: Any,
        budget: str | None = None,
        tolerance: float = 0.005,
        seeds: int = 16,
        confirm: int = 8,
        lengths: Any = "auto",
        arms: int | None = None,
        n_jobs: int | None = None,
        spread: float = 0.01,
    ) -> None:
        """Takes the values of conf/hydra/sweeper/find.yaml."""
        from segtrain.app.find.options import Options

        super().__init__(params)
        several = lengths if isinstance(lengths, str) else tuple(map(float, lengths))
        self.options = Options(budget, tolerance, seeds, confirm, several, arms, n_jobs, spread)

    def sweep(self, arguments: list[str]) -> Any:
        """Races, confirms and hands over, as far as the budget goes."""
        from omegaconf import OmegaConf

        from segtrain.app.find.find import find

        params: Any = OmegaConf.to_container(self.params)
        find(self.composer, params, arguments, self.options, self.limits or self.launcher)
