"""A feed gives the same batches however many processes fill it, and a batch stays as it is while anything holds it."""

import gc
import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segtrain.data import feed as feeds
from segtrain.data.batch import Batch, Room, stack, stack_by_size, to_tensors
from segtrain.data.feed import Feed, Waits
from segtrain.data.share import WHOLE
from segtrain.errors import UserError
from segtrain.mistakes import explain

# More workers than cores may be what is tested: https://docs.pytorch.org/docs/stable/data.html
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this platform"),
]


class Drawn:
    """Samples of noise by position, of the sizes that are given in turn."""

    def __init__(self, sizes: list[tuple[int, int]], dtype: Any = np.uint8, channels: int = 3) -> None:
        self.sizes, self.dtype, self.channels = sizes, dtype, channels

    def __getitem__(self, position: int) -> Batch:
        rng, (height, width) = np.random.default_rng(position), self.sizes[position % len(self.sizes)]
        image = rng.integers(0, 255, (self.channels, height, width)).astype(self.dtype)
        return to_tensors(image, rng.integers(0, 4, (height, width)).astype(np.uint8), position)


def fed(samples: Any, collate: Any, workers: int, batch_size: int = 4, number: int = 40) -> Feed:
    return Feed(samples, WHOLE.of_evaluation(number, batch_size), collate, workers=workers, context="fork")


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one.keys() == other.keys() and all(
        value.dtype == other[key].dtype and torch.equal(value, other[key]) for key, value in one.items()
    )


PADDED = partial(stack, ignore_index=255)
LARGER_LATER = [(32, 32)] * 5 + [(96, 224)]  # a batch of which does not fit into a slot


@pytest.mark.parametrize(
    ("samples", "collate"),
    [
        (Drawn([(32, 64)]), PADDED),
        (Drawn([(32, 64)], np.uint16, 7), PADDED),
        (Drawn([(33, 20)], np.float32, 1), PADDED),
        (Drawn(LARGER_LATER), PADDED),
        (Drawn(LARGER_LATER, np.float32), stack_by_size),
        (Drawn([(64, 64), (32, 64)]), stack_by_size),
    ],
)
def test_batches_are_those_of_one_process_for_any_number_of_processes(samples: Any, collate: Any) -> None:
    alone = list(fed(samples, collate, 0))
    several = fed(samples, collate, 3)
    assert several.assembly.ring is None
    for _ in range(2):  # the processes stay
        assert equal(list(several), alone)
    gc.collect()
    ring = several.assembly.ring
    assert ring is not None and sorted(ring.free) == list(range(3 * feeds.AHEAD + feeds.SPARE))


def test_batches_of_the_expected_size_lie_in_the_ring_and_others_beside_it() -> None:
    feed = fed(Drawn(LARGER_LATER), stack_by_size, 1)
    places = []
    for groups in feed:
        assert feed.assembly.ring is not None
        whole = Room(feed.assembly.ring.memory)
        places.append({size: whole.place(group["image"]) for group in groups for size in [group["image"].shape[2]]})
    assert all(place[32] is not None for place in places)
    assert {place.get(96) for place in places} == {None}


def test_what_is_kept_of_a_batch_stays_when_the_ring_goes_round() -> None:
    feed, alone = fed(Drawn([(32, 32)]), PADDED, 2), list(fed(Drawn([(32, 32)]), PADDED, 0))
    kept = [batch["image"][1].numpy()[:, 3] for _ in range(3) for batch in feed]
    assert len(kept) == 30 > 2 * feeds.AHEAD + feeds.SPARE
    for number, rows in enumerate(kept):
        assert np.array_equal(rows, alone[number % 10]["image"][1, :, 3].numpy())


def test_an_epoch_that_is_left_early_costs_no_slots() -> None:
    feed, alone = fed(Drawn([(32, 32)]), PADDED, 2), list(fed(Drawn([(32, 32)]), PADDED, 0))
    for _ in range(5):
        begun = iter(feed)
        assert equal(next(begun), alone[0])
        del begun
    assert equal(list(feed), alone)
    gc.collect()
    assert feed.assembly.ring is not None and len(feed.assembly.ring.free) == 2 * feeds.AHEAD + feeds.SPARE


class Corrupt(Drawn):
    """A sample that cannot be read."""

    def __getitem__(self, position: int) -> Batch:
        if position == 13:
            raise UserError("image 'a_13.png' cannot be read")
        return super().__getitem__(position)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_the_message_of_the_one_process(workers: int) -> None:
    feed = fed(Corrupt([(32, 32)]), PADDED, workers)
    with pytest.raises(UserError) as raised:
        list(feed)
    assert explain(raised.value) == "image 'a_13.png' cannot be read"


def trains(how: str, told: Any) -> None:
    """In a process of its own: tells its loader processes in the middle of an epoch, and ends."""
    feed = fed(Drawn([(64, 64)]), PADDED, 2, number=4000)
    for number, _ in enumerate(feed):
        if number == 20:
            told.send([worker.pid for worker in feed._iterator._workers])  # type: ignore[union-attr]
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise SystemExit(0)


@pytest.mark.parametrize("how", ["killed", "left"])
def test_no_process_and_no_memory_outlives_the_training(how: str) -> None:
    hears, told = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=trains, args=(how, told))
    process.start()
    assert hears.poll(120)
    workers = hears.recv()
    process.join(60)
    assert process.exitcode == (-signal.SIGKILL if how == "killed" else 0) and len(workers) == 2
    end = time.monotonic() + 60  # torch's loader looks for its parent every 5 seconds
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_running, workers))
    made = [f"_{pid}_" for pid in (process.pid, *workers)]
    assert not [path for path in Path("/dev/shm").glob("torch_*") if any(name in path.name for name in made)]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_waits_add_up_and_begin_anew() -> None:
    waits = Waits()
    for _ in range(2):
        with waits:
            time.sleep(0.02)
        time.sleep(0.02)
    assert 0.04 <= waits.take() < 0.06 + 0.5
    assert waits.take() == 0


class Device:
    """A clock of a device that computes for longer than the program waits."""

    now = 0.0

    def __init__(self, moment: float) -> None:
        self.moment, self.synchronized = moment, False

    def query(self) -> bool:
        return self.synchronized or self.moment <= Device.now

    def synchronize(self) -> None:
        self.synchronized = True

    def elapsed_time(self, other: "Device") -> float:
        assert other.query()
        return 1000 * (other.moment - self.moment)


def test_a_gpu_that_still_computes_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = iter([Device(m) for m in (1.0, 1.0, 2.0, 2.5, 9.0, 9.25)])
    monkeypatch.setattr(feeds, "_mark", lambda: next(marks))
    monkeypatch.setattr(Device, "now", 3.0)
    waits = Waits()
    for _ in range(3):
        with waits:
            pass
    assert waits.take() == pytest.approx(0.75)
