"""Processes that form a group of gloo, for checks that need several ranks."""

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from segtrain.model.ranks import Ranks

Check = Callable[[Ranks], Any]


def on_ranks(checks: dict[str, Check], folder: Path, count: int) -> list[dict[str, Any]]:
    """What each check, a function at the top of a module, gives on each rank: one start of the processes for all."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_run, args=(checks, folder, rank, count)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(count)]


def _run(checks: dict[str, Check], folder: Path, rank: int, count: int) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
    ranks = Ranks(rank, count)
    (folder / str(rank)).write_bytes(pickle.dumps({name: check(ranks) for name, check in checks.items()}))
    os._exit(0)
