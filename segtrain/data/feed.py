"""Feeds batches to who trains: other processes put them together, whole, in memory that both share.

torch's DataLoader starts, watches and ends the processes, hands them their tasks and keeps the order. It would copy
each batch into new shared memory, which costs more than many an augmentation; here a task says into which slot of a
ring, which is shared once, its batch is written, and only the number of the slot travels. A batch for which there is
no room, a larger one than expected or while all slots are in use, travels as torch has it. The pixels are the same.
"""

import functools
import itertools
import mmap
import multiprocessing
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Protocol

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from segtrain.data.batch import Room, aligned

AHEAD = 2  # batches that each process may be ahead: one that is made while another waits to be fetched
SPARE = 4  # slots beside those: the batch of this step, the next one, and what a callback may keep
ALLOWANCE = 2  # times the first sample's bytes: others may be larger, and what no batch touches takes no memory

Task = tuple[int | None, Sequence[Any]]  # slot and keys
Mark = Any  # a time in seconds, or an event of CUDA


class Reading:
    """Holds a row for each loader process in memory that all share: its process id, and its sample."""

    def __init__(self, workers: int, feeds: int = 1) -> None:
        """Makes rows for this many processes of each feed."""
        self._shared = torch.full((feeds, max(1, workers), 2), -1, dtype=torch.int64)
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self._table = self._shared.numpy()

    def __getstate__(self) -> torch.Tensor:
        """Returns the tensor: a spawned process is handed its memory, not a copy."""
        return self._shared

    def __setstate__(self, shared: torch.Tensor) -> None:
        self._shared, self._table = shared, shared.numpy()

    def note(self, index: int, feed: int = 0) -> None:
        """Notes that this process begins with the sample of that index; nothing in the training process itself."""
        worker = get_worker_info()
        if worker is not None:
            self._table[feed, worker.id] = os.getpid(), index

    def dead(self) -> list[int]:
        """Returns the loader processes that live no more."""
        alive = {process.pid for process in multiprocessing.active_children()}
        return [pid for pid, index in self._rows() if index >= 0 and pid not in alive]

    def of(self, process: int) -> int | None:
        """Returns the index of the sample that a process began with last; None where it began with none."""
        return next((index for pid, index in self._rows() if pid == process and index >= 0), None)

    def _rows(self) -> list[list[int]]:
        rows: list[list[int]] = self._table.reshape(-1, 2).tolist()
        return rows


class Ring:
    """Holds slots of memory, a batch each, that the processes of a feed share.

    A slot is free again once every tensor in it is gone, views of it included. Memory of forked processes has no name
    and lies in no file system: nothing of it can be left behind, and a small /dev/shm does not limit it.
    """

    here: ClassVar["weakref.WeakValueDictionary[int, Ring]"] = (
        weakref.WeakValueDictionary()
    )  # by number, of this process
    numbers = itertools.count()

    def __init__(self, slots: int, size: int, *, is_forked: bool) -> None:
        """Makes slots of at least `size` bytes, to be inherited by a fork or else handed over."""
        self.size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if is_forked:
            self.memory = torch.frombuffer(mmap.mmap(-1, slots * self.size), dtype=torch.uint8)
        else:
            self.memory = torch.empty(slots * self.size, dtype=torch.uint8)
            self.memory.share_memory_()  # type: ignore[no-untyped-call]
        self.free, self.promised = deque(range(slots)), set[int]()
        self.number = next(self.numbers)
        self.here[self.number] = self

    def promise(self) -> int | None:
        """Returns a slot for a task; None where all are in use. The newest that came back: it is in the caches."""
        try:
            slot = self.free.pop()
        except IndexError:
            return None
        self.promised.add(slot)
        return slot

    def withdraw(self) -> None:
        """Takes back the slots of tasks whose batches were never fetched."""
        self.free.extend(self.promised)
        self.promised.clear()

    def room(self, slot: int) -> Room:
        """Returns the room in a slot."""
        return Room(self.memory[slot * self.size : (slot + 1) * self.size])

    def lend(self, slot: int) -> memoryview:
        """Returns a slot's memory, to be held by each tensor in it: when it is gone, the slot is free."""
        self.promised.discard(slot)
        lent = self.memory.numpy().data[slot * self.size : (slot + 1) * self.size]
        weakref.finalize(lent, self.free.append, slot).atexit = False
        return lent


class InSlot:
    """Stands for a batch in a slot on its way to the process that trains, where unpickling makes it the batch again."""

    def __init__(self, ring: int, slot: int, batch: Any, room: Room) -> None:
        """Takes the number of a ring, and what a function made of samples, in the room of that slot or beside it."""
        self.ring, self.slot, self.batch = ring, slot, _each_tensor(batch, functools.partial(_described, room))

    def __reduce__(self) -> tuple[Any, ...]:
        return _fetch, (self.ring, self.slot, self.batch)


class Placed(tuple[int, torch.dtype, tuple[int, ...]]):
    """Says where in a slot a tensor begins, its dtype, and its shape."""


class Collate(Protocol):
    """Makes a batch of samples that it takes one by one, in a room."""

    def __call__(self, samples: Iterable[Any], number: int, *, room: Room) -> Any:
        """Returns a tensor, or lists and dicts of tensors."""


class Assembly(Dataset[Any]):
    """Makes the batch of a task, in whichever process it is asked."""

    def __init__(self, samples: Any, collate: Collate) -> None:
        """Takes samples by key."""
        self.samples, self.collate = samples, collate
        self.ring: Ring | None = None

    def __getitem__(self, task: Task) -> Any:
        slot, keys = task
        if slot is None or self.ring is None:
            return self.collate((self.samples[key] for key in keys), len(keys), room=Room())
        room = self.ring.room(slot)
        batch = self.collate((self.samples[key] for key in keys), len(keys), room=room)
        return InSlot(self.ring.number, slot, batch, room)


class Tasks(Sampler[Task]):
    """Yields the tasks of an epoch: lists of keys, each with a slot for its batch if one is free by then."""

    def __init__(self, batches: Any) -> None:
        """Takes an object of a length that yields lists of keys, and may have `set_epoch`, or a sampler with it."""
        self.batches = batches
        self.ring: Ring | None = None

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls this before each."""
        for one in (self.batches, getattr(self.batches, "sampler", None)):
            if one is not None and hasattr(one, "set_epoch"):
                one.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Task]:
        if self.ring is not None:
            self.ring.withdraw()  # an epoch that was left before its end; its processes are done with it by now
        for keys in self.batches:
            yield None if self.ring is None else self.ring.promise(), keys


class Feed(DataLoader[Any]):
    """Yields batches in order, the same for any number of processes; those stay from epoch to epoch."""

    def __init__(
        self,
        samples: Any,
        batches: Any,
        collate: Collate,
        *,
        workers: int = 0,
        in_worker: Callable[[], None] | None = None,
        context: str | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            samples: by key, read and augmented.
            batches: an object of a length that yields lists of keys; iterated here, in the order of the batches.
            collate: makes a batch of samples.
            workers: processes; 0 makes batches in this one.
            in_worker: called in each process as it starts.
            context: how they start: fork, forkserver or spawn; None: as Python has it.
        """
        self.waits, self.assembly, self.tasks = Waits(), Assembly(samples, collate), Tasks(batches)
        self.context = context
        if workers:
            cv2.setNumThreads(0)  # a fork while a thread of OpenCV's holds its lock would leave it locked in the worker
        super().__init__(
            self.assembly,
            batch_size=None,
            sampler=self.tasks,
            num_workers=workers,
            collate_fn=_unchanged,
            worker_init_fn=functools.partial(_start_worker, in_worker),
            generator=torch.Generator(),  # a loader's own draw, of seeds we do not use, must not move torch's state
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            prefetch_factor=AHEAD if workers else None,
            multiprocessing_context=context if workers else None,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.num_workers and self.assembly.ring is None:
            self.assembly.ring = self.tasks.ring = self._made_ring()
        return self._timed(super().__iter__())

    def _made_ring(self) -> Ring | None:
        """Returns a ring with slots as the first batch needs them; None where there is no batch."""
        keys = next(iter(self.tasks.batches), None)
        if not keys:
            return None
        first = self.assembly.samples[keys[0]]
        size = sum(aligned(len(keys) * value.nbytes) for value in first.values())
        is_forked = multiprocessing.get_context(self.context).get_start_method() == "fork"
        return Ring(self.num_workers * AHEAD + SPARE, ALLOWANCE * size, is_forked=is_forked)

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self.waits:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
            del batch  # else its slot would be in use while the next batch is waited for


class Waits:
    """Adds up for how long who asks for batches had to wait.

    On a GPU that is how long it had nothing left to do: the program may wait for a batch while the GPU still computes.
    """

    def __init__(self) -> None:
        """Begins with none."""
        self._seconds = 0.0
        self._open: deque[tuple[Mark, Mark]] = deque()  # waits that the GPU has not come to yet

    def __enter__(self) -> None:
        self._began = _mark()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.append((self._began, _mark()))
        while self._open and _is_over(self._open[0][1]):
            self._add()

    def take(self) -> float:
        """Returns the seconds since this was asked last, when the device has come to them."""
        while self._open:
            self._add()
        found, self._seconds = self._seconds, 0.0
        return found

    def _add(self) -> None:
        began, ended = self._open.popleft()
        if isinstance(began, float) and isinstance(ended, float):
            self._seconds += ended - began
        elif not isinstance(began, float) and not isinstance(ended, float):
            ended.synchronize()
            self._seconds += began.elapsed_time(ended) / 1000


def _mark() -> Mark:
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _is_over(mark: Mark) -> bool:
    return isinstance(mark, float) or bool(mark.query())


def _described(room: Room, tensor: torch.Tensor) -> Placed | torch.Tensor:
    begin = room.place(tensor)
    return tensor if begin is None else Placed((begin, tensor.dtype, tuple(tensor.shape)))


def _fetch(ring: int, slot: int, batch: Any) -> Any:
    lent = Ring.here[ring].lend(slot)

    def found(placed: Any) -> Any:
        if not isinstance(placed, Placed):
            return placed
        begin, dtype, shape = placed
        count = torch.Size(shape).numel()
        return torch.frombuffer(lent, dtype=dtype, count=count, offset=begin).view(shape)

    return _each_tensor(batch, found)


def _each_tensor(batch: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(batch, dict):
        return {key: _each_tensor(value, change) for key, value in batch.items()}
    if isinstance(batch, list):
        return [_each_tensor(value, change) for value in batch]
    return change(batch)


def _unchanged(batch: Any) -> Any:
    return batch


def _start_worker(also: Callable[[], None] | None, _: int) -> None:
    if also is not None:
        also()
    cv2.setNumThreads(0)  # processes are the parallelism here; OpenCV's own threads would fight for the same cores
