"""Audits the policy on the data's samples, and asks whether two workers or epochs of a loader draw the same."""

import hashlib
from collections import defaultdict
from collections.abc import Sized
from typing import Any, cast

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segtrain.app.check.data_audit import AuditedData
from segtrain.aug import Partners
from segtrain.aug.audit.audit import audit
from segtrain.aug.audit.draws import repeats_line
from segtrain.aug.audit.parts import Transform, cut_small
from segtrain.config.run_config import RunConfig
from segtrain.data.datamodule import EpochSampler
from segtrain.data.datasets import SegmentationDataset
from segtrain.errors import UserError
from segtrain.parts.data import build_dataset, build_split
from segtrain.parts.policy import build_policy
from segtrain.spread import spread

EPOCHS = 2
DRAWS = 64  # a worker and epoch: tells repetition from chance unless four draws of five leave the picture alone
BATCH = 4
SIDE = 128  # pixels of the picture: many draws are needed, not many pixels
Stream = dict[tuple[int, int], list[str]]


def audit_policy(config: RunConfig, data: AuditedData) -> tuple[list[Any], dict[str, Any]]:
    """Returns the lines of the augmentation's audit, on samples that can be read, and what was sampled for them."""
    cv2.setNumThreads(1)  # speed is said for one core
    dataset = data.dataset or build_dataset(config)
    good = data.readable or list(range(len(dataset.ids)))
    policy = build_policy(config, dataset, _partners(config, dataset, set(good)))
    order = [good[i] for i in _order(len(good), config.samples, config.seed)]
    samples = ((i, *dataset.read(i)) for i in order)
    options = {"seed": config.seed, "draws": config.draws, "seconds": config.seconds}
    lines, sampled = audit(policy, samples, dataset.classes, dataset.ignore_index, **options)
    probe = RepeatedPair(policy, *dataset.read(order[0]), seed=config.seed)
    lines.append(repeats_line(mark_draws(probe, workers=config.workers)))
    return lines, {"images": len(dataset.ids), **sampled}


def _partners(config: RunConfig, dataset: SegmentationDataset, good: set[int]) -> Any:
    """Returns partners that can be read; None, so that the policy finds its own, where all can."""
    if len(good) == len(dataset.ids):
        return None
    try:
        train = [i for i in build_split(config, dataset).train if i in good]
    except UserError:  # a line of the data's says so
        train = sorted(good)
    return Partners(dataset.read, train or sorted(good), dataset.ignore_index)


def _order(count: int, wanted: int, seed: int) -> list[int]:
    """Returns samples evenly spread and shuffled: when the time cuts them short, they are still spread."""
    order: list[int] = np.random.default_rng(seed).permutation(spread(range(count), wanted)).tolist()
    return order


class RepeatedPair(Dataset[Any]):
    """Holds the same pair under every key (epoch, index, view), through a transform."""

    def __init__(self, transform: Transform, image: np.ndarray, mask: np.ndarray, seed: int = 0) -> None:
        """Takes a piece of this pair; `seed` is the first part of every key."""
        self.transform, self.seed = transform, seed
        self.pair = cut_small(transform, image, mask, SIDE, (seed, 0, 0, 0))

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        return self.transform(*self.pair, (self.seed, *key))


class _Marked(Dataset[Any]):
    """Replaces a dataset's items by the worker that made each and a mark of its content."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> tuple[int, str]:
        info = get_worker_info()
        digest = hashlib.blake2b(digest_size=8)
        for part in _arrays(self.dataset[key]):
            digest.update(np.ascontiguousarray(part).tobytes())
        return info.id if info else 0, digest.hexdigest()


def mark_draws(dataset: Dataset[Any], workers: int = 2, draws: int = DRAWS) -> Stream:
    """Returns (epoch, worker) -> marks of its outputs in order, from a loader that starts its workers every epoch.

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
