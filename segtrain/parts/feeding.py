"""Feeds a training: its data, what is worked out of them once, and the data module and the loss made of these.

What is worked out is kept beside the runs, in `outputs/cache/`, for all that train on the same data.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.progress import Progress
from torch import nn

from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.data.cache import (
    INDEX,
    SAMPLES,
    Cached,
    Mapped,
    hold_samples,
    pack_samples,
    reading_code,
    stamp_of,
)
from segtrain.data.cautions import scales_caution
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.pixel_meaning import PixelMeaning, Span, require_one_dtype, spacings_of, span_of
from segtrain.data.split import Split
from segtrain.data.statistics import (
    Counts,
    class_weights,
    count_classes,
    find_labels,
    images_looked_at,
    measure_mean_and_std,
    repeats,
)
from segtrain.errors import UserError
from segtrain.files import created, make_own, part, put, text_of, to_disk, write_whole
from segtrain.interrupts import leave_to_parent
from segtrain.parts.data import build_split
from segtrain.parts.limits import least_size, samples_of
from segtrain.parts.policy import build_schedule
from segtrain.runs.lock import InUse, Lock
from segtrain.screen import Screen

WAIT = 0.2  # seconds between two looks at what another process is building


class Feeding:
    """Holds the data as training reads them, and what must be known of them, kept by fingerprint."""

    def __init__(self, config: RunConfig, dataset: SegmentationDataset) -> None:
        """Takes the dataset that the config describes; `fingerprint` is that of its files."""
        self.fingerprint = dataset.fingerprint()
        described = dict(config.dataset)
        known = [self.fingerprint, reading_code(dataset), {k: v for k, v in described.items() if k != "split"}]
        key = json.dumps(known, sort_keys=True)
        self.folder = Path(config.outputs) / "cache" / hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
        self.dataset = self._cached(config.data.cache, dataset)

    def statistics(self, train: Sequence[int]) -> tuple[list[float], list[float]]:
        """Returns mean and standard deviation a channel of the training images."""
        mean, std = self._looked(train)[:2]
        return mean, std

    def pixels(self, train: Sequence[int]) -> PixelMeaning:
        """Returns what the pixels of the training images are, from the pass that takes their mean.

        Raises:
            UserError: the images that are looked at have several depths.
        """
        found = PixelMeaning.from_json(self._meant(train)[2])
        assert found is not None
        return found

    def scales(self, train: Sequence[int]) -> str:
        """Returns what is to be said where the training images seem to hold values of several scales; "" else."""
        return str(self._meant(train)[3])

    def _meant(self, train: Sequence[int]) -> list[Any]:
        kept = self._looked(train)
        if len(kept) < 4:  # of a version that kept the mean alone, or less of the pixels beside it
            kept = self._once("meaning", images_looked_at(train), lambda: self._measured(train))
        return kept

    def _looked(self, train: Sequence[int]) -> list[Any]:
        chosen = images_looked_at(
            train
        )  # they name the file: a mean of other images, by whatever rule, is never taken for it
        found: list[Any] = self._once("statistics", chosen, lambda: self._measured(train))
        return found

    def _measured(self, train: Sequence[int]) -> list[Any]:
        """Returns mean, standard deviation, the meaning of the pixels and the caution about scales, in one pass."""
        spans: list[Span] = []
        chosen = images_looked_at(train)
        mean, std = measure_mean_and_std(self.dataset, chosen, lambda image: spans.append(span_of(image)))
        names = [self.dataset.ids[index] for index in chosen]
        require_one_dtype(spans, names)
        meaning = PixelMeaning.of(spans, spacings_of(self.dataset, train)).to_json()
        return [mean, std, meaning, scales_caution(spans, names)]

    def class_weights(self, kind: str, train: Sequence[int]) -> list[float]:
        """Returns weights a class, from the training masks."""
        counts = Counts(*self._once("counts", train, lambda: count_classes(self.dataset, train)))
        return class_weights(kind, counts, self.dataset.classes)

    def sampling(self, kind: str, train: Sequence[int]) -> list[float] | None:
        """Returns how often each training sample comes; None: all alike.

        Raises:
            UserError: the dataset has no weights, or none above 0 in training.
        """
        if kind == "uniform":
            return None
        if kind == "classes":
            return repeats(
                self._once("presence", train, lambda: find_labels(self.dataset, train)), len(self.dataset.classes)
            )
        weights = getattr(self.dataset, "weights", None)
        if weights is None or not np.any(np.asarray(weights)[np.asarray(train)] > 0):
            raise UserError(
                "data.sampling=weights draws samples by weights of the dataset's own; expected a dataset with some "
                "above 0 in training, such as dataset=csv with a weight column; got "
                f"{'none' if weights is None else 'only 0'}; give data.sampling=uniform, or classes"
            )
        own: list[float] = np.asarray(weights)[np.asarray(train)].tolist()
        return own

    def _cached(self, kind: str | None, dataset: SegmentationDataset) -> SegmentationDataset:
        if kind is None:
            return dataset
        if kind == "ram":
            with _progress(len(dataset.ids)) as progress:
                return cast(SegmentationDataset, Cached(dataset, hold_samples(dataset, progress)))
        self._built(self.folder / INDEX, lambda: self._pack(dataset))
        mapped = Mapped(self.folder, dataset.channels)
        return cast(SegmentationDataset, Cached(dataset, mapped, mapped.stamps))

    def _pack(self, dataset: SegmentationDataset) -> None:
        with part(self.folder / SAMPLES) as temporary, _progress(len(dataset.ids)) as progress:
            with created(temporary) as file:
                index = pack_samples(dataset, file, progress)
                to_disk(file)
            if dataset.fingerprint() != self.fingerprint:
                raise UserError(
                    "files of the data were written while data.cache=disk read them; expected them to stay as they "
                    "are, since the cache is found by what they hold; got another fingerprint at the end; start again "
                    "when they are written, or give data.cache=null"
                )
            put(temporary, self.folder / SAMPLES)
        with part(self.folder / INDEX) as temporary:
            with created(temporary) as file:
                np.save(file, index)
                to_disk(file)
            put(temporary, self.folder / INDEX)  # last: it says that all of it is there

    def _once(self, what: str, samples: Sequence[int], work: Callable[[], Any]) -> Any:
        """Returns what is worked out of these samples, kept by their indices, and by stamps where they have any."""
        known = hashlib.blake2b(np.asarray(samples, np.int64).tobytes(), digest_size=10)
        if hasattr(self.dataset, "stamp"):
            known.update(np.array([stamp_of(self.dataset, int(i)) for i in samples], np.uint64).tobytes())
        path = self.folder / f"{what}-{known.hexdigest()}.json"
        self._built(path, lambda: write_whole(path, json.dumps(work())))
        return json.loads(text_of(path))

    def _built(self, path: Path, build: Callable[[], None]) -> None:
        """Returns when the file is there: built here, or by another process meanwhile."""
        make_own(self.folder)
        while not path.exists():
            try:
                with Lock(self.folder):
                    if not path.exists():
                        build()
            except InUse:
                time.sleep(WAIT)


def build_data(config: RunConfig, feeding: Feeding, split: Split | None = None) -> DataModule:
    """Returns the data module, its policy built; without a split that of the config is assigned."""
    dataset = feeding.dataset
    split = split or build_split(config, dataset)
    return DataModule(
        dataset,
        split,
        build_schedule(config, dataset, split),
        seed=config.seed,
        batch_size=config.data.batch_size,
        steps_per_epoch=config.data.steps_per_epoch,
        num_workers=config.data.num_workers,
        weights=feeding.sampling(config.data.sampling, split.train),
        in_worker=leave_to_parent,
        least=least_size(config),
        validated=samples_of(config, split.val, "val"),
        tested=samples_of(config, split.test),
    )


def build_loss(config: RunConfig, feeding: Feeding, train: Sequence[int]) -> nn.Module:
    """Returns the loss; class weights that are asked for by name are those of the samples `train`."""
    named = {key: config.loss[key] for key in ("class_weights", "alpha") if isinstance(config.loss.get(key), str)}
    weights: dict[str, Any] = {key: feeding.class_weights(kind, train) for key, kind in named.items()}
    ignore_index = feeding.dataset.ignore_index
    loss: nn.Module = build(config.loss, ignore_index=ignore_index, **weights)
    return loss


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    console = Screen()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("decoding into the cache", total=total)
        yield lambda done: bar.update(task, completed=done)
