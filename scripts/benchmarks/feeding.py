"""What it takes to get samples to the network: a cached epoch against a decoding one, our loader against a bare one.

A folder of 512 x 512 RGB images and masks, PNG, drawn and blurred so that they compress as photographs do. An epoch is
all of them once, batches of 8, without augmentation, after one to start the loader's processes.

Cache: `data.cache=disk` against decoding, crops of 256 and whole images. Loader: the training loader with 0, 1 and 2
processes against torch's DataLoader over a dataset that does the same reads and copies and nothing else; the same
figure as images/s, turned round.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks import Comparison
from segtrain.aug import Policy
from segtrain.data.cache import INDEX, SAMPLES, Cached, Mapped, pack_samples
from segtrain.data.datamodule import DataModule, planes
from segtrain.data.datasets import Folder
from segtrain.data.split import Split

SIDE, BATCH, CROP = 512, 8, 256
CACHE_AIM = 0.2  # times the decoding epoch
LOADER_AIM = 1 / 0.95  # times the bare loader


class Bare(Dataset[dict[str, torch.Tensor]]):
    """The reads and copies alone."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image, mask = self.dataset.read(index)
        return {"image": torch.from_numpy(planes(image)), "mask": torch.from_numpy(np.array(mask))}


def run(quick: bool) -> list[Comparison]:
    """Two comparisons of the cache, three of the loader."""
    images, pairs = (16, 2) if quick else (200, 7)
    with tempfile.TemporaryDirectory() as folder:
        decoding = drawn(Path(folder), images)
        mapped = cached(decoding, Path(folder))
        found = []
        for name, crop in ((f"crops of {CROP}", CROP), ("whole images", None)):
            ours, other = loader(mapped, crop, 0), loader(decoding, crop, 0)
            found.append(
                compared("a cached epoch", f"{images} images, {name}", "decoding", CACHE_AIM, ours, other, pairs)
            )
        for workers in (0, 1, 2):
            ours = loader(decoding, None, workers)
            other = DataLoader(
                Bare(decoding), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True
            )
            setting = f"{images} images, {workers} loader processes"
            found.append(
                compared("an epoch of the loader", setting, "a bare DataLoader", LOADER_AIM, ours, other, pairs)
            )
    return found


def compared(
    name: str, setting: str, alternative: str, aim: float, ours: Iterable[Any], other: Iterable[Any], pairs: int
) -> Comparison:
    taken = [(seconds(ours), seconds(other)) for _ in range(pairs + 1)][1:]
    return Comparison(
        name, setting, alternative, "s", "ratio", aim, [one for one, _ in taken], [two for _, two in taken]
    )


def seconds(batches: Iterable[Any]) -> float:
    began = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - began


def drawn(folder: Path, number: int) -> Folder:
    rng = np.random.default_rng(0)
    for i in range(number):
        pixels = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.float32), (0, 0), 2) * 6 - 640
        noisy = pixels + rng.normal(0, 3, pixels.shape)
        for kind, values in (("images", noisy.clip(0, 255)), ("masks", 255 * (pixels[..., 0] > 128))):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(folder / kind / f"{i}.png")
    return Folder(folder, {"background": 0, "cell": 255})


def cached(dataset: Folder, folder: Path) -> Cached:
    with open(folder / SAMPLES, "wb") as file:
        index = pack_samples(dataset, file, _nothing)
    np.save(folder / INDEX, index)
    return Cached(dataset, Mapped(folder, dataset.channels))


def loader(dataset: Any, crop: int | None, workers: int) -> DataLoader[Any]:
    everything = Split(tuple(range(len(dataset.ids))), (), (), ())
    policy = Policy([], crop=crop, ignore_index=255)
    return DataModule(dataset, everything, policy, seed=0, batch_size=BATCH, num_workers=workers).train_dataloader()


_nothing: Callable[[int], None] = lambda done: None  # noqa: E731
