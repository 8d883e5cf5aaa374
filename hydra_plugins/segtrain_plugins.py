"""Where Hydra looks for launchers and sweepers; it imports this at every start, so nothing heavy stands here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """Jobs in processes of their own: see `segtrain.app.sweep.processes`."""

    def __init__(self, n_jobs: int | None = None, timeout: float | None = None, retries: int = 0) -> None:
        """Take the values of conf/hydra/launcher/processes.yaml."""
        self.n_jobs, self.timeout, self.retries = n_jobs, timeout, retries

    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Hydra's hook."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run them, and return when the last one has ended."""
        from segtrain.app.sweep.processes import launch

        return launch(self, job_overrides, initial_job_idx)


class GridSweeper(Sweeper):
    """Every combination, and zipped arms, all arms of a seed first: see `segtrain.app.sweep.sweep`."""

    config: "DictConfig"
    launcher: Launcher

    def __init__(self, params: Any) -> None:
        """Take the values of a file in conf/sweep."""
        self.params = params

    def setup(self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig") -> None:
        """Hydra's hook."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.plugins import Plugins

        from segtrain.app.sweep.clusters import work

        self.context, self.config = hydra_context, config
        HydraConfig.instance().set_config(config)  # a launcher's folder may hold ${name}, which asks for it
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=work, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs that params and arguments describe."""
        from segtrain.app.sweep.sweep import sweep

        sweep(self, arguments)


class OptunaSweeper(GridSweeper):
    """A search with Optuna: see `segtrain.app.sweep.search`."""

    def __init__(
        self,
        params: Any,
        n_trials: int = 20,
        sampler: str = "tpe",
        pruner: str = "none",
        seed: int | None = 0,
        storage: str | None = None,
    ) -> None:
        """Take the values of conf/hydra/sweeper/optuna.yaml."""
        from segtrain.app.sweep.search_space import Settings

        super().__init__(params)
        self.settings = Settings(n_trials, sampler, pruner, seed, storage)

    def sweep(self, arguments: list[str]) -> Any:
        """Search."""
        from segtrain.app.sweep.search import run_search

        return run_search(self, arguments)
