"""Which sample each loader process is at, so that the one a process died of can be named."""

import multiprocessing
import os

import torch
from torch.utils.data import get_worker_info


class Reading:
    """A row for each loader process in memory that all of them share: its process id, and its sample."""

    def __init__(self, workers: int) -> None:
        """Rows for this many processes."""
        self._shared = torch.full((max(1, workers), 2), -1, dtype=torch.int64)
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self._table = self._shared.numpy()

    def __getstate__(self) -> torch.Tensor:
        """The tensor: a spawned process is handed its memory, not a copy."""
        return self._shared

    def __setstate__(self, shared: torch.Tensor) -> None:
        self._shared, self._table = shared, shared.numpy()

    def note(self, index: int) -> None:
        """This process begins with the sample of that index; nothing in the training process itself."""
        worker = get_worker_info()
        if worker is not None:
            self._table[worker.id] = os.getpid(), index

    def dead(self) -> list[int]:
        """The loader processes that live no more."""
        alive = {process.pid for process in multiprocessing.active_children()}
        return [pid for pid, index in self._table.tolist() if index >= 0 and pid not in alive]

    def of(self, process: int) -> int | None:
        """The index of the sample that a process began with last; None where it began with none."""
        return next((int(index) for pid, index in self._table.tolist() if pid == process and index >= 0), None)
