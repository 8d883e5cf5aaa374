"""Samples in memory behind a policy, and those who feed them: ours, torch's DataLoader, and threads."""

import functools
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data.batch import Batch, Room, aligned, stack
from segtrain.data.datamodule import EpochSampler, TrainSamples
from segtrain.data.datasets import Sample
from segtrain.data.feed import Feed
from segtrain.parts.policy import build_policy

IMAGES = 64  # more would only take memory: they are read from it in no time
BATCH = 16
COLLATE = functools.partial(stack, ignore_index=255)


class InMemory:
    """Decoded 8-bit RGB images with masks: what is left to do is the policy's, and the way of the batch."""

    ignore_index = 255

    def __init__(self, side: int) -> None:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)
        self.images = [cv2.GaussianBlur(image, (0, 0), 3) for image in noise]
        self.masks = [(image[..., 0] > 128).astype(np.uint8) for image in self.images]

    def read(self, index: int) -> Sample:
        return Sample(self.images[index], self.masks[index])


class Prepared:
    """Samples that are ready, each after so many seconds in which a core of another machine would make it."""

    def __init__(self, side: int, seconds: float) -> None:
        self.image = torch.full((3, side, side), 7, dtype=torch.uint8)
        self.mask, self.seconds = torch.ones((side, side), dtype=torch.uint8), seconds

    def __getitem__(self, key: tuple[int, int, int]) -> Batch:
        time.sleep(self.seconds)
        return {"image": self.image, "mask": self.mask, "index": torch.tensor(key[1])}


class Threads:
    """What Feed does, by threads: each batch whole, in memory that is used again."""

    def __init__(self, samples: Any, batches: Any, workers: int) -> None:
        self.samples, self.batches, self.workers = samples, batches, workers

    def __iter__(self) -> Iterator[Batch]:
        first = self.samples[next(iter(self.batches))[0]]
        size = sum(aligned(BATCH * value.nbytes) for value in first.values())
        free = [Room(torch.empty(size, dtype=torch.uint8)) for _ in range(2 * self.workers + 1)]
        begun: deque[Any] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for keys in self.batches:
                begun.append(pool.submit(self._made, keys, free.pop()))
                if len(begun) == 2 * self.workers:
                    yield from self._taken(begun, free)
            while begun:
                yield from self._taken(begun, free)

    def _made(self, keys: Any, room: Room) -> tuple[Batch, Room]:
        room.used = 0
        return COLLATE((self.samples[key] for key in keys), len(keys), room=room), room

    def _taken(self, begun: deque[Any], free: list[Room]) -> Iterator[Batch]:
        batch, room = begun.popleft().result()
        yield batch
        free.append(room)


def samples_of(side: int, policy: str) -> TrainSamples:
    """The samples behind a policy of conf/aug, none of it mixing any, with crops of their own size."""
    dataset: Any = InMemory(side)
    config = RunConfig(composed("train", [f"aug={policy}", f"data.crop={side}"]))
    return TrainSamples(dataset, build_policy(config, dataset), 0)


def keys_of(number: int) -> BatchSampler:
    return BatchSampler(EpochSampler(range(IMAGES), 0, number // BATCH * BATCH), BATCH, drop_last=False)  # type: ignore[arg-type]


def ours(samples: Any, number: int, workers: int) -> Feed:
    return Feed(samples, keys_of(number), COLLATE, workers=workers)


def torchs(samples: Any, number: int, workers: int) -> "DataLoader[Any]":
    """What a script would write for the same samples."""
    return DataLoader(
        samples,
        batch_sampler=keys_of(number),
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread,
    )


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
