"""Lets several processes do one piece of work together: starts the others, hands them the work, ends them with it.

The first process, rank 0, reads the command, decides everything and alone writes and speaks. The others are handed
what to do and compose no config. They are processes of its own (a fork server's), or those that torchrun, srun or the
user has started: `python -m segtrain` in them only asks rank 0. Nothing goes through the environment, so that no job
that comes later meets it, and nobody types a command again, so that no sweep is run twice.
"""

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any, Self

import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from segtrain.config.composition import command_under_way
from segtrain.interrupts import Stops
from segtrain.launchers import Place, find_place
from segtrain.model.ranks import ALONE, Ranks
from segtrain.parts.device import gpus_of, number_of_devices, require_devices
from segtrain.parts.members import (
    GRACE,
    MEETING,
    Company,
    Errand,
    Work,
    do_errand,
    end_members,
    open_store,
    process_group,
    start_members,
)
from segtrain.printable import print_text

LOOK = timedelta(seconds=20)  # between looks whether the first process is still there
STUCK = 30.0  # seconds after which ranks that wait for a dead one, as NCCL lets them, are ended


@contextlib.contextmanager
def working_together(count: int, errand: Errand, preload: Sequence[str] = ()) -> Iterator[Company]:
    """Lets this many processes do the work: the others the errand, this one, the first, the block.

    However the block is left, no other process of ours is left at work.

    Args:
        count: of the processes, this one among them.
        errand: what the others do.
        preload: modules that a fork server imports before it starts the first.

    Raises:
        UserError: another process ended badly.
    """
    met = _meetings.pop() if _meetings else None
    place, store = met or _own_meeting(count)
    processes: list[Any] = []
    links: list[Connection] = []
    is_done = False
    try:
        if met is None:
            processes, links = start_members(place, errand, preload)
        else:
            store.set("errand", pickle.dumps(errand))  # type: ignore[arg-type]
        company = Company(place, store, processes)
        with _Watcher(company), process_group(place, store, errand.gpus):
            yield company
        _await(company)
        is_done = True
    finally:
        for link in links if not is_done else ():
            link.close()
        end_members(processes, not is_done)


@contextlib.contextmanager
def sharing(devices: Any, accelerator: str, work: Work, *arguments: Any) -> Iterator[Ranks]:
    """Lets as many processes as there are devices share some work: the others call `work`, this one does the block.

    An error in the block that comes of another's end is turned into what that one said.

    Args:
        devices: a number, or auto: all GPUs, or what a launcher has processes for.
        accelerator: cpu or gpu.
        work: a function at the top of a module, of (ranks, stops, *arguments).
        arguments: for it.

    Raises:
        UserError: devices that are not there, or another process ended badly.
    """
    place = find_place()
    number = number_of_devices(devices, accelerator, place)
    require_devices("devices", accelerator, number, place.machines if place else 1, place)
    count = place.ranks if place else int(number)
    if count == 1:
        yield ALONE
        return
    errand = Errand(work, arguments, command_under_way(), gpus_of(accelerator, number))
    with working_together(count, errand) as ranks:
        try:
            yield ranks
        except Exception as error:
            if lost := ranks.why(error):
                raise lost from error
            raise


def host(place: Place) -> None:
    """Lets the other processes of a launcher find this one, the first; `working_together` takes them up."""
    _meetings.append((place, open_store(place)))


def dismiss() -> None:
    """Lets the other processes of a launcher go where there was no work for them."""
    for place, store in _meetings:
        store.set("errand", pickle.dumps(None))  # type: ignore[arg-type]
        _await(Company(place, store))
    _meetings.clear()


def follow(place: Place) -> int:
    """Runs what the first process hands to this one, which a launcher started; returns the exit status."""
    try:
        store = open_store(place)
        while True:
            try:
                store.wait(["errand"], LOOK)
                break
            except dist.DistStoreError:  # not yet
                continue
        errand = pickle.loads(store.get("errand"))
    except (dist.DistError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        print_text(f"process {place.rank} of {place.ranks}: the first process is not there: {reason}", file=sys.stderr)
        return 1
    with Stops() as stops:
        return do_errand(place, store, errand, stops)


# Of this process with the others of a launcher, before they have work; at most one.
_meetings: list[tuple[Place, Store]] = []


def _own_meeting(count: int) -> tuple[Place, Store]:
    store = TCPStore("127.0.0.1", 0, is_master=True, timeout=MEETING, wait_for_workers=False)
    place = Place(0, 0, count, count, "127.0.0.1", store.port, "segtrain")
    return place, PrefixStore("segtrain/0", store)


class _Watcher:
    """Ends this process, in the block, where another one has died and torch waits for it all the same."""

    def __init__(self, company: Company) -> None:
        self.company, self._over = company, threading.Event()

    def __enter__(self) -> Self:
        if self.company.processes:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        sentinels = {process.sentinel: process for process in self.company.processes}
        while sentinels and not self._over.is_set():
            for sentinel in wait(list(sentinels), timeout=1.0):
                if sentinels.pop(sentinel).exitcode != 0 and not self._over.wait(STUCK):
                    why = self.company.ended_badly() or "another process of this work ended"
                    sys.stderr.write(f"error: {why}\n")
                    os._exit(2)


def _await(company: Company) -> None:
    """Returns when the others have ended, or have had the time for it.

    Raises:
        UserError: one ended badly, though the first process had what it needed.
    """
    keys = [f"end/{rank}" for rank in range(1, company.count)]
    end = time.monotonic() + 6 * GRACE
    while time.monotonic() < end and not company.store.check(keys):
        if any(process.exitcode for process in company.processes):
            break
        time.sleep(0.02)
    if found := company.ended_badly():
        raise found
