"""Keeps what a find has decided, and the time that it has used, so that it goes on after it was stopped.

What can be read from the run folders is not in here: the race is replayed from their scores.
"""

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from segtrain import plain_files
from segtrain.app.find.allowance import RunTime
from segtrain.app.find.arms import PlannedArm
from segtrain.errors import UserError, damaged
from segtrain.files import make_own, text_of, write_whole
from segtrain.runs.contents import are_texts, is_number, is_whole
from segtrain.runs.find_folder import FIND_RECORD
from segtrain.runs.folder import RunFolder

TICK = 5.0  # seconds between two entries of the time that is used: at most so much is lost by a kill


class Record:
    """Holds find_record.json; every change is written."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there.

        Raises:
            UserError: the file is damaged.
        """
        self.path = folder / FIND_RECORD
        self.arms: list[tuple[str, list[str]]] = []  # name and overrides
        self.lasts: list[int] = []  # largest number of seeds of each stage of the race
        self.confirming: int | None = None  # seeds; decided once
        self.run: RunTime | None = None
        self.timing = 0.0  # seconds that it took to time a run
        self.spent = 0.0  # seconds in which jobs ran, those included
        self._lock = threading.Lock()
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        content = plain_files.read_json(text_of(self.path), self.path)
        known: dict[str, Any] = content if isinstance(content, dict) else {}
        arms, lasts, run = known.get("arms"), known.get("lasts"), known.get("run")
        sound = (
            isinstance(arms, dict)
            and all(are_texts(overrides) for overrides in arms.values())
            and isinstance(lasts, list)
            and all(is_whole(one) and one >= 3 for one in lasts)
            and lasts == sorted(set(lasts))
            and (known.get("confirming") is None or (is_whole(known["confirming"]) and known["confirming"] > 0))
            and is_number(known.get("timing"))
            and known["timing"] >= 0
            and is_number(known.get("spent"))
            and known["spent"] >= 0
            and (run is None or _is_run_time(run))
        )
        if not sound:
            raise damaged(self.path, "something else", "what a find has decided, as it wrote it")
        assert isinstance(arms, dict)
        self.arms, self.lasts = list(arms.items()), list(lasts or ())
        self.confirming, self.timing, self.spent = known["confirming"], float(known["timing"]), float(known["spent"])
        self.run = RunTime(**run) if run else None

    def write(self) -> None:
        """Writes the file whole."""
        with self._lock:
            content = {
                "arms": dict(self.arms),
                "lasts": self.lasts,
                "confirming": self.confirming,
                "run": self.run._asdict() if self.run else None,
                "timing": round(self.timing, 1),
                "spent": round(self.spent, 1),
            }
            make_own(self.path.parent)
            write_whole(self.path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def require_same(self, arms: Sequence[PlannedArm]) -> None:
        """Raises UserError where the find of this folder has other arms; a new one gets these."""
        now = [(arm.name, list(arm.overrides)) for arm in arms]
        if self.arms != now and not self.lasts:  # the race has not begun
            self.run, self.timing = None, 0.0
        elif self.arms != now:
            there = {name for name, _ in self.arms}
            others = [name for name, _ in now if name not in there] or [name for name, _ in now]
            raise UserError(
                f"'{self.path.parent}' is a find of other arms, or of another training: {', '.join(there)}; expected "
                f"the same again, as its answer is of one race; got {', '.join(others)}; give the same command, "
                "or another name=…"
            )
        self.arms = now

    def add_stage(self, seeds: int) -> None:
        """Adds a stage to the race where more seeds of an arm are asked for than before."""
        if not self.lasts or seeds > self.lasts[-1]:
            self.lasts.append(seeds)


def _is_run_time(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.keys() != set(RunTime._fields):
        return False
    numbers = [value["fixed"], value["an_epoch"], value["epochs"]]
    return all(is_number(one) and 0 <= one < math.inf for one in numbers) and isinstance(value["basis"], str)


class Clock:
    """Counts, while entered, the seconds in which any of some runs is at work, into the record."""

    def __init__(self, record: Record, folders: Sequence[str]) -> None:
        """Takes the folders of the runs."""
        self.record, self.folders = record, folders
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._since, self._states = 0.0, self._read_states()

    def __enter__(self) -> "Clock":
        self._since = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._count()

    def _follow(self) -> None:
        while not self._over.wait(TICK):
            self._count()

    def _count(self) -> None:
        now, states = time.monotonic(), self._read_states()
        if "running" in states or states != self._states:  # else all wait for their turn on a cluster
            self.record.spent += now - self._since
            self.record.write()
        self._since, self._states = now, states

    def _read_states(self) -> list[str]:
        runs = [RunFolder(folder) for folder in self.folders]
        return [str(run.status["state"]) if run.exists else "" for run in runs]
