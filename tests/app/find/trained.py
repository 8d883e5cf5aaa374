"""An engine that trains nothing: it leaves run folders with made-up scores, and counts what it was asked."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from segtrain.app.find import record, trainings
from segtrain.app.sweep.job import Task
from segtrain.app.sweep.pool import Answer, Outcome
from segtrain.interrupts import Stopped
from segtrain.runs.folder import RunFolder
from tests.app.report import made

Score = Callable[[str, float], float]
SECONDS = 10.0  # of a run


def gain_of(policy: str, strength: float) -> float:
    """geometric helps much, flips a little."""
    return {"none": 0.0, "flips": 0.02}.get(policy, 0.06 * strength)


class Engine:
    """Stands for the processes of a sweep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gain: Score = gain_of) -> None:
        self.gain, self.trained, self.failing = gain, list[str](), set[str]()
        self.shown: list[tuple[str, str]] = []  # what was typed for a run, and the score that is shown of it
        self.stop_after: int | None = None  # runs
        self.refusing = "nothing"
        monkeypatch.setattr(trainings.processes, "run_here", self.run)
        monkeypatch.setattr(trainings, "Clock", Clock)

    def run(self, limits: object, tasks: Sequence[Task], score: str, tells_skipped: bool) -> dict[str, Outcome]:
        self.shown += [(" ".join(task.overrides), score) for task in tasks]
        return {task.folder: Outcome(task.folder, self._train(task), SECONDS) for task in tasks}

    def _train(self, task: Task) -> Answer:
        run, typed = RunFolder(task.folder), " ".join(task.overrides)
        if self.refusing in typed:
            return Answer("refused", "it was begun with another config")
        if run.exists and run.status["state"] == "finished":
            return Answer("skipped", results=run.results)
        if any(name in typed for name in self.failing):
            return Answer("failed", "it diverged")
        if self.stop_after is not None and len(self.trained) >= self.stop_after:
            raise Stopped(15)
        self.trained.append(typed)
        policy, strength = str(task.config.hydra.runtime.choices["aug"]), float(task.config.aug.strength)
        longer = 0.01 * np.log2(task.config.trainer.max_epochs / 2)
        path = made.run(
            Path(task.folder).parent / "made",
            policy,
            strength,
            task.config.seed,
            lambda name, amount: self.gain(name, amount) + longer,
            trainer={"max_epochs": task.config.trainer.max_epochs, "accumulate_grad_batches": 1},
        )
        (path / "checkpoints" / "best.safetensors").write_bytes(typed.encode())
        shutil.rmtree(task.folder, ignore_errors=True)
        shutil.move(path, task.folder)
        shutil.rmtree(Path(task.folder).parent / "made")
        return Answer("finished", results=RunFolder(task.folder).results)


class Clock:
    """Counts ten seconds a run that is not there, two at a time."""

    def __init__(self, of: record.Record, folders: Sequence[str]) -> None:
        self.record, self.folders = of, [folder for folder in folders if not RunFolder(folder).has_results]

    def __enter__(self) -> "Clock":
        return self

    def __exit__(self, *error: object) -> None:
        done = [folder for folder in self.folders if RunFolder(folder).has_results]
        self.record.spent += SECONDS * len(done) / 2
        self.record.write()
