"""One picture again and again through a real loader: equal outputs are equal draws."""

import hashlib
from collections import defaultdict
from collections.abc import Sized
from typing import Any, cast

import numpy as np
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segtrain.aug.audit.parts import Transform
from segtrain.data.sampler import EpochSampler

EPOCHS = 2
DRAWS = 64  # a worker and epoch: tells repetition from chance unless four draws of five leave the picture alone
BATCH = 4
SIDE = 128  # pixels of the picture: many draws are needed, not many pixels
Stream = dict[tuple[int, int], list[str]]


class Repeated(Dataset[Any]):
    """The same pair under every key (epoch, index, view), through a transform."""

    def __init__(self, transform: Transform, image: np.ndarray, mask: np.ndarray, seed: int = 0) -> None:
        """Samples are a piece of this pair; `seed` is the first part of every key."""
        self.transform, self.seed = transform, seed
        self.pair = _piece(image), _piece(mask)
        try:
            transform(*self.pair, (seed, 0, 0, 0))
        except Exception:  # a crop of fixed size needs the whole image
            self.pair = image, mask

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        return self.transform(*self.pair, (self.seed, *key))


class _Marked(Dataset[Any]):
    """A dataset whose items are replaced by the worker that made them and a mark of their content."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> tuple[int, str]:
        info = get_worker_info()
        digest = hashlib.blake2b(digest_size=8)
        for part in _arrays(self.dataset[key]):
            digest.update(np.ascontiguousarray(part).tobytes())
        return info.id if info else 0, digest.hexdigest()


def streams(dataset: Dataset[Any], workers: int = 2, draws: int = DRAWS) -> Stream:
    """(epoch, worker) -> marks of its outputs in their order, from a loader that starts its workers every epoch.

    Args:
        dataset: items are tuples or dicts of arrays or tensors, all of one source sample. One that has a length is
            indexed from 0 on, as a plain Dataset; another by the keys of a training epoch.
        workers: loader processes.
        draws: of each worker in an epoch.
    """
    found: Stream = defaultdict(list)
    for epoch in range(EPOCHS):
        sampler: Any = EpochSampler(range(draws * workers), 0, draws * workers)
        sampler.set_epoch(epoch)
        if hasattr(dataset, "__len__"):
            sampler = [i % len(cast(Sized, dataset)) for i in range(draws * workers)]
        marked: Dataset[Any] = _Marked(dataset)
        loader = DataLoader(marked, BATCH, sampler=sampler, num_workers=workers, collate_fn=list)
        for batch in loader:
            for worker, mark in batch:
                found[epoch, worker].append(mark)
    return dict(found)


def _arrays(item: Any) -> list[np.ndarray]:
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else [item]
    return [np.asarray(part) for part in parts]


def _piece(pixels: np.ndarray) -> np.ndarray:
    top, left = ((length - min(length, SIDE)) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])
