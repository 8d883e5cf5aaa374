"""What it takes to get samples to the network: our feed against a DataLoader, a cached epoch against a decoding one.

Feed: batches of 16 RGB images with masks that lie decoded in memory, 256 x 256 and 512 x 512, through policies of
conf/aug, made by two processes each: ours, which writes them into shared slots, against torch's DataLoader over the
same samples. Each batch is read once, as a copy to a device would. Their bits are compared. Beside that, in turn: the
same by this process and by two threads, which is why processes are what Feed starts; and a training step on one thread
while either feeds it.

Producers: 1, 2, 4 and 8 processes whose samples are ready after as long as one core takes for the real one, asleep:
so many cores as this machine need not have. What they feed says how far one training process can be fed, and the time
a sample takes how many cores a GPU needs.

Cache: a folder of PNG of 512 x 512, `data.cache=disk` against decoding, crops of 256 and whole images.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks import Comparison
from benchmarks._feeds import BATCH, Prepared, Threads, keys_of, ours, samples_of, torchs
from segtrain.aug import Policy
from segtrain.data.cache import INDEX, SAMPLES, Cached, Mapped, pack_samples
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets import Folder
from segtrain.data.feed import Feed
from segtrain.data.split import Split

SIDE, CROP = 512, 256
CACHE_AIM = 0.2  # times the decoding epoch
FEED_AIM = 1 / 1.3  # times the epoch of a DataLoader
STEP_AIM = 1.0  # times the step beside a DataLoader
SIDES, POLICIES, WORKERS = (256, 512), ("none", "flips", "medical_elastic"), 2
STEPS = 20  # an epoch of the step
PRODUCERS = (1, 2, 4, 8)
SPEEDS = (100, 500, 1000, 2000)  # images/s of a GPU


def run(quick: bool) -> list[Comparison]:
    """Six comparisons of the feed, two of the step beside it, two of the cache; the rest is printed."""
    torch.set_num_threads(1)  # the processes are given the other core
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores: they sleep
    found = []
    for side in SIDES:
        number = (20 if quick else 120) * BATCH * 256 // side
        found += [fed(side, policy, number, 2 if quick else 9) for policy in POLICIES]
        found.append(stepped(side, 2 if quick else 9))
        produced(side, quick)
    return [*found, *cached_epochs(*((16, 2) if quick else (200, 7)))]


def fed(side: int, policy: str, number: int, pairs: int) -> Comparison:
    """An epoch of ours against one of a DataLoader; what other ways feed is printed."""
    samples = samples_of(side, policy)
    ways: dict[str, Iterable[Any]] = {
        "ours": ours(samples, number, WORKERS),
        "DataLoader": torchs(samples, number, WORKERS),
        "in this process": ours(samples, number, 0),
        "2 threads": Threads(samples, keys_of(number), WORKERS),
    }
    require_same_bits(ways)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(pairs):
        for name, batches in ways.items():
            taken[name].append(seconds(batches))
    rates = {name: number / statistics.median(of) for name, of in taken.items()}
    ratio = statistics.median(b / a for a, b in zip(taken["ours"], taken["DataLoader"], strict=True))
    print(
        f"{side} x {side}, aug={policy}, images/s: {', '.join(f'{name} {rate:,.0f}' for name, rate in rates.items())}; "
        f"ours feeds {ratio:.2f} times what DataLoader does; all give the same bits",
        flush=True,
    )
    setting = f"{number} images of {side} x {side}, aug={policy}, {WORKERS} processes"
    return comparison("an epoch of the feed", setting, "DataLoader", FEED_AIM, taken["ours"], taken["DataLoader"])


def stepped(side: int, pairs: int) -> Comparison:
    """A step on one thread while two processes of ours, or of a DataLoader, make the next batches."""
    samples, train = samples_of(side, "medical_elastic"), trained(side)
    feeds = (ours(samples, STEPS * BATCH, WORKERS), torchs(samples, STEPS * BATCH, WORKERS))
    taken = [[statistics.median(map(train, feed)) for feed in feeds] for _ in range(pairs + 1)][1:]
    one, other = map(list, zip(*taken, strict=True))
    setting = f"{STEPS} steps on batches of {BATCH} x {side} x {side}, aug=medical_elastic, fed by {WORKERS} processes"
    return comparison("a training step", setting, "fed by DataLoader", STEP_AIM, one, other)


def trained(side: int) -> Callable[[Any], float]:
    """A network of two convolutions, and how long a step of it takes on a batch that it is the first to read."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 2, 3, stride=2))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def step(batch: Any) -> float:
        began = time.perf_counter()
        optimizer.zero_grad()
        (network(batch["image"].float() / 255).square().mean() + batch["mask"].float().mean()).backward()
        optimizer.step()
        return time.perf_counter() - began

    return step


def produced(side: int, quick: bool) -> None:
    """Prints what producers feed that need as long for a sample as a core here, and the cores that GPUs need."""
    number = BATCH * 8
    for policy in POLICIES[1:]:
        samples = samples_of(side, policy)
        each = statistics.median(seconds(ours(samples, number, 0)) / number for _ in range(2 if quick else 7))
        rates = []
        for workers in PRODUCERS:
            feed = ours(Prepared(side, each), number * workers, workers)
            rates.append(number * workers / statistics.median(seconds(feed) for _ in range(2 if quick else 5)))
        told = ", ".join(f"{n}: {rate:,.0f}" for n, rate in zip(PRODUCERS, rates, strict=True))
        print(
            f"{side} x {side}, aug={policy}: {1000 * each:.2f} ms an image on one core; images/s by producers {told}; "
            f"cores for a GPU of {', '.join(f'{speed:,} images/s: {speed * each:.1f}' for speed in SPEEDS)}",
            flush=True,
        )
    feed = ours(Prepared(side, 0), number * 8, WORKERS)
    most = number * 8 / statistics.median(seconds(feed) for _ in range(2 if quick else 5))
    print(f"{side} x {side}, samples that are ready: {WORKERS} producers feed {most:,.0f} images/s", flush=True)


def require_same_bits(ways: dict[str, Iterable[Any]]) -> None:
    """RuntimeError where a batch differs; the first epoch of each, which also starts its processes."""
    for batches in zip(*ways.values(), strict=True):
        first = batches[0]
        for name, batch in zip(ways, batches, strict=True):
            if not all(torch.equal(value, batch[key]) for key, value in first.items()):
                raise RuntimeError(f"{name} gave other bits")


def seconds(batches: Iterable[Any]) -> float:
    """How long all of them take, each image read once."""
    began, sink = time.perf_counter(), torch.empty(0, dtype=torch.uint8)
    for batch in batches:
        if isinstance(batch, dict):
            sink = sink if sink.shape == batch["image"].shape else torch.empty_like(batch["image"])
            sink.copy_(batch["image"])
    return time.perf_counter() - began


def cached_epochs(images: int, pairs: int) -> Iterator[Comparison]:
    with tempfile.TemporaryDirectory() as folder:
        decoding = drawn(Path(folder), images)
        mapped = cached(decoding, Path(folder))
        for name, crop in ((f"crops of {CROP}", CROP), ("whole images", None)):
            one, other = loader(mapped, crop), loader(decoding, crop)
            taken = [(seconds(one), seconds(other)) for _ in range(pairs + 1)][1:]
            setting = f"{images} images, {name}"
            yield comparison("a cached epoch", setting, "decoding", CACHE_AIM, *map(list, zip(*taken, strict=True)))


def comparison(
    name: str, setting: str, alternative: str, aim: float, ours: list[float], other: list[float]
) -> Comparison:
    return Comparison(name, setting, alternative, "s", "ratio", aim, ours, other)


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


def loader(dataset: Any, crop: int | None) -> Feed:
    everything = Split(tuple(range(len(dataset.ids))), (), (), ())
    policy = Policy([], crop=crop, ignore_index=255)
    return DataModule(dataset, everything, policy, seed=0, batch_size=8).train_dataloader()


_nothing: Callable[[int], None] = lambda done: None  # noqa: E731
