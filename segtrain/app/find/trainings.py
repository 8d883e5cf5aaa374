"""Runs the trainings of a find on the engine of a sweep, and reads what they score."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.plugins.launcher import Launcher

from segtrain.app.find.arms import PlannedArm
from segtrain.app.find.record import Clock, Record
from segtrain.app.report.findings import write_plan
from segtrain.app.sweep import clusters, processes
from segtrain.app.sweep.job import Task
from segtrain.app.sweep.plan import Composer
from segtrain.app.sweep.pool import Outcome
from segtrain.app.sweep.processes import Limits
from segtrain.app.sweep.study import GOAL
from segtrain.app.sweep.sweep import planned_runs
from segtrain.errors import UserError
from segtrain.runs import duration
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import folder_name

DONE = ("finished", "skipped")
GO_ON = ("segtrain.model.schedulers.constant", "segtrain.model.schedulers.plateau")  # know nothing of a length
KEEP = "checkpoint.keep"


class Training(NamedTuple):
    """Names a training: an arm by its place, a seed, and what is else than in the race."""

    arm: int
    seed: int
    more: tuple[str, ...] = ()  # further overrides, such as ("trainer.max_epochs=16",)


class Trainings:
    """Holds the arms with what runs them, and what has come out."""

    def __init__(
        self, composer: Composer, engine: Limits | Launcher, arms: Sequence[PlannedArm], n_jobs: int | None
    ) -> None:
        """Takes the arms, the engine, and how many jobs run at a time; None: as the engine has it."""
        self.composer, self.arms = composer, list(arms)
        self.first = composer.compose([*arms[0].overrides, "seed=0"])
        self.configs = {0: self.first}  # of arms, as far as they were asked for
        if isinstance(engine, Limits):
            limits = engine._replace(n_jobs=n_jobs or engine.n_jobs, retries=max(1, engine.retries))
            self.engine: Limits | Launcher = limits
            self.places: list[str | None] | None = processes.slots_of(limits, self.first)
            self.slots = len(self.places)
        else:
            self.engine, self.slots, self.places = engine, n_jobs or len(arms), None
        self.tasks: dict[Training, Task] = {}
        self.outcomes: dict[Training, Outcome] = {}

    @property
    def folder(self) -> Path:
        """Returns the folder of the find, in which its runs lie."""
        HydraConfig.instance().set_config(self.first)  # which the name asks for
        return Path(str(self.first.outputs)) / str(self.first.name)

    @property
    def epochs(self) -> int:
        """Returns the epochs of a training; 0 where its length is none of epochs."""
        epochs = self.first.trainer.get("max_epochs")
        return epochs if type(epochs) is int and epochs > 0 else 0

    def overrides(self, job: Training) -> list[str]:
        """Returns what is typed for a training."""
        arm = self.arms[job.arm].overrides
        is_said = any(override.startswith(f"{KEEP}=") for override in arm)
        kept = [] if is_said or self.goes_on(job.arm) else [f"{KEEP}=best"]  # a tenth of the space
        return [*arm, *job.more, f"seed={job.seed}", *kept]

    def goes_on(self, arm: int) -> bool:
        """Returns whether a longer training of an arm has the same first epochs, so that it may go on from a copy."""
        if arm not in self.configs:
            self.configs[arm] = self.composer.compose(self.arms[arm].overrides)
        config = self.configs[arm]
        is_endless = str(config.scheduler._target_) in GO_ON and config.aug.schedule == "constant"
        return is_endless and config.early_stopping is None

    def prepare(self, jobs: Iterable[Training]) -> None:
        """Composes the configs of trainings that are not composed yet; a mistake in any is told.

        Raises:
            UserError: as `processes.prepare_tasks` has it.
        """
        new = [job for job in jobs if job not in self.tasks]
        tasks = processes.prepare_tasks(self.composer, [self.overrides(job) for job in new], len(self.tasks))
        self.tasks |= dict(zip(new, tasks, strict=True))

    def run(self, jobs: Sequence[Training], record: Record | None, score: str = GOAL) -> None:
        """Runs trainings that have no outcome yet, in their order; those that are finished are looked at only.

        Args:
            jobs: the trainings.
            record: counts the time; None: it is not counted.
            score: that is shown of each: of the race not the test's, which has no part in the choice.
        """
        new = [job for job in jobs if job not in self.outcomes]
        if not new:
            return
        self.prepare(new)
        tasks = [self.tasks[job] for job in new]
        write_plan(self.folder, {Path(task.folder).name: task.overrides for task in tasks})
        if record is None:
            outcomes = self._run(tasks, score)
        else:
            with Clock(record, [task.folder for task in tasks]):
                outcomes = self._run(tasks, score)
        for job, task in zip(new, tasks, strict=True):
            self._require_ended(job, outcomes[task.folder])
        self.outcomes |= {job: outcomes[task.folder] for job, task in zip(new, tasks, strict=True)}

    def _require_ended(self, job: Training, outcome: Outcome) -> None:
        """Raises UserError where a training did not end by itself: that says nothing of its arm."""
        state, message = outcome.answer.state, outcome.answer.message
        if state == "refused":
            raise UserError(f"{' '.join(self.overrides(job))}: {message}")
        if state == "interrupted":
            raise UserError(
                f"{outcome.name} was interrupted, and a find judges no arm by that; expected trainings that end; got: "
                f"{message}; the same command goes on"
            )

    def _run(self, tasks: Sequence[Task], score: str) -> dict[str, Outcome]:
        # The race is replayed from its beginning: what was run before would be a page of lines.
        if isinstance(self.engine, Limits):
            return processes.run_here(self.engine, tasks, score=score, tells_skipped=False)
        return clusters.run_elsewhere(self.engine, tasks, score=score, tells_skipped=False)

    def is_there(self, job: Training) -> bool:
        """Returns whether a training has finished before, by its folder; nothing is composed for that."""
        run = RunFolder(self.folder / folder_name(self.overrides(job)))
        return run.exists and run.status["state"] == "finished"

    def run_folder(self, job: Training) -> RunFolder:
        """Returns the run folder of a training, composed if it is not yet."""
        self.prepare([job])
        return RunFolder(self.tasks[job].folder)

    def score(self, job: Training) -> float:
        """Returns the val/dice of a training that was run; NaN where it failed, or validation has no score."""
        answer = self.outcomes[job].answer
        value = (answer.results or {}).get(GOAL) if answer.state in DONE else None
        return math.nan if value is None else float(value)

    def seconds(self, job: Training) -> float | None:
        """Returns what a training took, whichever process ran it; None where that is not known."""
        outcome = self.outcomes[job]
        return duration.duration(self.run_folder(job).status) if outcome.answer.state == "skipped" else outcome.seconds

    def failure(self, job: Training) -> str:
        """Returns why a training has no score."""
        answer = self.outcomes[job].answer
        if answer.state in DONE:
            return f"{GOAL} is not defined: no image of the validation part holds a class"
        return answer.message or answer.state

    def planned(self, jobs: Sequence[Training]) -> list[duration.Planned]:
        """Returns the trainings as `segtrain.runs.duration` compares them with runs that are there."""
        return planned_runs([self.tasks[job] for job in jobs], self.places)
