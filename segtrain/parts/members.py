"""Holds the processes that work together, each of which knows its place: how they meet, start, serve and end."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from segtrain.config.composition import Command
from segtrain.errors import UserError
from segtrain.interrupts import WARNINGS, Stopped, Stops, leave_to_parent
from segtrain.launchers import Place
from segtrain.model.ranks import Ranks

MEETING = timedelta(minutes=5)  # for the processes of a launcher to find the first one
WORKING = timedelta(minutes=30)  # for the slowest rank to come to where the others wait, as Lightning has it
GRACE = 10.0  # seconds for the others to end, and to say why they did
# How torch says that a rank waits for one that is gone.
LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "TCPStore", "recvValue")

Work = Callable[..., object]  # (ranks, stops, *arguments), at the top of a module


class Errand(NamedTuple):
    """Holds what the other processes are handed: a function of ours with its arguments, and the command's choices."""

    work: Work
    arguments: tuple[Any, ...]
    command: Command
    gpus: tuple[int, ...]  # that the processes of a machine compute on, one each; none: the CPU


class Company(Ranks):
    """Holds ranks that can tell of each other how they ended."""

    def __init__(self, place: Place, store: Store, processes: Sequence[Any] = ()) -> None:
        """Takes this process's place, the store that all meet at, and the other processes where they are ours."""
        super().__init__(place.rank, place.ranks)
        self.place, self.store, self.processes = place, store, list(processes)

    def deal(self, pieces: int) -> Iterator[int]:
        """Yields the numbers of pieces of work that this rank is to do: who is free takes the next one."""
        while (number := self.store.add("dealt", 1) - 1) < pieces:
            yield number

    def claim(self, what: str, owner: str) -> str:
        """Returns who owns something, over all ranks: whoever claimed it first."""
        found: bytes = self.store.compare_set(f"claim/{what}", "", owner)
        return found.decode()

    def why(self, error: BaseException) -> BaseException | None:
        """Returns the end of another rank that an error here comes of; None where it is of our own."""
        if isinstance(error, UserError) or not is_lost(error):
            return None
        end = time.monotonic() + GRACE
        while (found := self.ended_badly()) is None and time.monotonic() < end:
            time.sleep(0.1)
        return found or UserError(
            f"another process of the {self.count} that work together is gone; expected all to live until the end; "
            f"got: {' '.join(str(error).split())[:200]}; look at its machine; the same command goes on"
        )

    def ended_badly(self) -> BaseException | None:
        """Returns how the first rank ended that said so or was killed."""
        for rank in range(1, self.count):
            key = f"word/{rank}"
            if self.store.check([key]):
                is_mistake, text = json.loads(self.store.get(key))
                return UserError(text) if is_mistake else RuntimeError(f"process {rank} of {self.count} failed: {text}")
        for rank, process in enumerate(self.processes, start=1):
            status = process.exitcode
            if status is not None and status < 0:
                name = signal.Signals(-status).name
                hint = "the system does that when memory runs out" if -status == signal.SIGKILL else "it died"
                return UserError(
                    f"process {rank} of {self.count} of this work was killed by {name} ({hint}); expected all to live "
                    "until the end; the others were ended with it; the same command goes on"
                )
        return None

    def say(self, error: BaseException) -> None:
        """Leaves word for the first process of what ended this one."""
        is_mistake = isinstance(error, UserError)
        text = str(error) if is_mistake else f"{type(error).__name__}: {error}"
        with contextlib.suppress(Exception):
            self.store.set(f"word/{self.rank}", json.dumps((is_mistake, text)))


def is_lost(error: BaseException) -> bool:
    """Returns whether an error says that another process is gone, and nothing of this one's own work."""
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and any(sign in str(error) for sign in LOST)
    )


def open_store(place: Place) -> Store:
    """Returns the store of a launcher's processes."""
    is_host = place.rank == 0 and not place.hosted
    store = TCPStore(place.host, place.port, is_master=is_host, timeout=MEETING, wait_for_workers=False)
    return PrefixStore(f"segtrain/{place.attempt}", store)


def start_members(place: Place, errand: Errand, preload: Sequence[str]) -> tuple[list[Any], list[Connection]]:
    """Returns the other processes, and for each the end of a pipe whose closing, as by our death, ends it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload, __name__])
    processes, links = [], []
    for rank in range(1, place.ranks):
        theirs, ours = context.Pipe(duplex=False)
        theirs_place = place._replace(rank=rank, local_rank=rank)
        process = context.Process(target=_begin, args=(theirs_place, theirs, errand), daemon=False)
        process.start()
        theirs.close()
        processes.append(process)
        links.append(ours)
    return processes, links


def _begin(place: Place, link: Connection, errand: Errand) -> None:
    """Begins one of our own other processes."""
    leave_to_parent()
    multiprocessing.set_start_method(None, force=True)  # loaders begin as in the first one
    for number in WARNINGS:  # of Slurm, which may send them to every process of a step
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(link,), daemon=True).start()
    sys.exit(do_errand(place, open_store(place), errand, Stops()))


def _end_with(link: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        link.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def do_errand(place: Place, store: Store, errand: Errand | None, stops: Stops) -> int:
    """Runs an errand in silence; returns the exit status, of one without an errand 0."""
    company, status = Company(place, store), 0
    if errand is not None:
        warnings.simplefilter("ignore")  # the first process says them
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        status = _do(company, errand, stops)
    with contextlib.suppress(Exception):
        store.set(f"end/{place.rank}", str(status))
    return status


def _do(company: Company, errand: Errand, stops: Stops) -> int:
    try:
        errand.command.take_up()
        with process_group(company.place, company.store, errand.gpus):
            errand.work(company, stops, *errand.arguments)
        return 0
    except Stopped as stop:
        return stop.status
    except BaseException as error:
        if is_lost(error) and not isinstance(error, UserError):
            return 1  # the first process says whose fault that is
        company.say(error)
        if not isinstance(error, UserError):
            traceback.print_exc()
        return 2 if isinstance(error, UserError) else 1


@contextlib.contextmanager
def process_group(place: Place, store: Store, gpus: Sequence[int]) -> Iterator[None]:
    """Makes all processes torch's default process group in the block; GPUs talk by NCCL."""
    if gpus:
        torch.cuda.set_device(gpus[place.local_rank])
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    group = PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=place.rank, world_size=place.ranks, timeout=WORKING)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if is_done or not gpus:  # NCCL would wait for ranks that are gone; the process ends now
            with contextlib.suppress(Exception):
                dist.destroy_process_group()


def end_members(processes: Sequence[Any], at_once: bool) -> None:
    """Ends what is left of our own processes, and waits for them first where the work is done."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            process.join(0.0 if at_once and number == signal.SIGTERM else GRACE)
            if process.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
    for process in processes:
        process.join(GRACE)
