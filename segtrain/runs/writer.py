"""Writes checkpoints beside the training, in a thread of their own."""

import itertools
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from segtrain.runs.checkpoint import check_plain, save_best, save_last


class Writer:
    """Writes a folder's checkpoints one after the other in a thread of its own: training goes on meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder; nothing is being written yet."""
        self.folder = folder
        self._copy: dict[str, Any] = {}  # the last one, whose memory the next one takes: fresh pages cost five times
        self._thread = ThreadPoolExecutor(1, initializer=_step_back)
        self._pending: list[Future[None]] = []

    def last(self, checkpoint: Mapping[str, Any]) -> None:
        """Begins to write last.ckpt from a copy, after what was begun before.

        Raises:
            UserError, TypeError: of what was begun before; or it holds more than plain values.
        """
        check_plain(checkpoint, "checkpoint")
        self.wait()
        self._copy = _copied(checkpoint, self._copy)
        self._pending.append(self._thread.submit(save_last, self._copy, self.folder))

    def best(self) -> None:
        """Begins to make best.ckpt the same as the last.ckpt begun before."""
        self._pending.append(self._thread.submit(save_best, self.folder))

    def wait(self) -> None:
        """Returns when all that was begun is on the disk.

        Raises:
            UserError: the disk did not take it.
        """
        pending, self._pending = self._pending, []
        for writing in pending:
            writing.result()


def _step_back() -> None:
    """Gives this thread the lowest priority, where the system knows one: a training's threads wait for the slowest."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _copied(value: Any, old: Any) -> Any:
    """Returns the same tree with every tensor copied, on the CPU: training changes its own in place.

    A tensor of `old`, an earlier copy, is written over where it has the same place and layout.
    """
    if isinstance(value, torch.Tensor):
        if isinstance(old, torch.Tensor) and _layout(old) == _layout(value):
            return old.copy_(value.detach())
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        return type(value)({key: _copied(item, before.get(key)) for key, item in value.items()})  # type: ignore[call-arg]
    if type(value) in (list, tuple):
        ones = old[: len(value)] if type(old) is type(value) else ()
        return type(value)(_copied(item, one) for item, one in itertools.zip_longest(value, ones))
    return {_copied(item, None) for item in value} if type(value) is set else value


def _layout(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride()
