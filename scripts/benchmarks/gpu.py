"""One command for any CUDA machine, within 8 minutes: how fast our whole training is, and what keeps it from more.

unet_resnet34, 512 x 512, batch 32, bf16: our training with the medical policy on all cores, every callback on, against
a plain loop over ready batches without augmentation (aim: 0.95 of its images/s), with and without compiled steps; the
same plain loop with the pipeline of kornia, and of torchtransform, on the device; the share of time that ours waits for
its feed; what deterministic kernels cost. `--quick` takes a fourth of the turns. Where there is no CUDA device it
rehearses on the CPU: tiny images, few steps, figures that mean nothing.

The peers are measured where they are installed: pip install kornia==0.9.0 torchtransform==1.0.1
"""

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks import Comparison
from benchmarks._loops import PlainLoop, Turns, now
from benchmarks._product import ReadyBatches, assembled
from benchmarks.hardware import compiled as compare_compiled
from benchmarks.hardware import in_turn
from segtrain.app.train.assembly import Parts
from segtrain.lightning import L

AIM = 1 / 0.95  # times the plain loop's time a step
FEED_AIM = 0.05  # share of the time
DETERMINISM_AIM = 1.5  # times, as in bench.py deterministic
REAL, TINY = (
    ("model.encoder_name=resnet34",),
    ("model.encoder_name=tu-test_resnet", "+model.decoder_channels=[8,8,8,8,8]"),
)
PEERS = {"kornia": "_peers_tv:Kornia", "torchtransform": "_peers_newest:TorchTransform"}
Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Size(NamedTuple):
    """How much is measured."""

    side: int
    batch: int
    steps: int  # an epoch
    turns: int
    seconds: float  # after which no epoch of ours begins
    model: tuple[str, ...]  # overrides


def run(quick: bool) -> list[Comparison]:
    """The comparisons of all."""
    is_gpu = torch.cuda.is_available()
    size = Size(512, 32, 20, *((2, 15) if quick else (8, 50)), REAL) if is_gpu else Size(64, 2, 2, 2, 1, TINY)
    print(f"command: python scripts/bench.py gpu{' --quick' if quick else ''}")
    if is_gpu:
        print(
            f"device: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        )
    else:
        print(
            f"rehearsal: torch sees no CUDA device, so a tiny network, {size.side} x {size.side}, batch {size.batch}, "
            "on the CPU; the figures mean nothing"
        )
    found = [*whole_training(size, compiled=False), *whole_training(size, compiled=True)]
    with trained(size) as (parts, loader):
        found += [*beside_peers(parts, loader, size), determinism(parts, loader, size)]
        precision = str(parts.config.trainer.precision)
        found.append(
            compare_compiled(
                lambda **more: PlainLoop(parts.module, loader, precision, 1.0, **more), setting(parts, size), size.turns
            )
        )
    for comparison in found:
        if comparison.unit == "ms":
            speeds = [1000 * size.batch / statistics.median(of) for of in (comparison.ours, comparison.alternative)]
            print(f"{comparison.name}: {speeds[0]:.4g} images/s; {comparison.alternative_name}: {speeds[1]:.4g}")
    return found


def overrides_of(size: Size, compiled: bool) -> list[str]:
    images = max(16, 4 * size.batch)
    data = ["dataset=shapes", f"dataset.size={size.side}", "dataset.channels=3", f"dataset.n={images}"]
    fed = [f"data.batch_size={size.batch}", f"data.crop={size.side}", f"data.steps_per_epoch={size.steps}"]
    kept = [
        "data.cache=ram",
        "checkpoint.every=null",
        "trainer.max_epochs=1000",
        "trainer.check_val_every_n_epoch=1000",
    ]
    return [
        *data,
        *fed,
        *kept,
        *("aug=medical_elastic", "deterministic=warn", *size.model),
        *(["compile=true"] if compiled else []),
    ]


def setting(parts: Parts, size: Size) -> str:
    network = "unet_resnet34" if size.model == REAL else "a tiny unet"
    return (
        f"{network}, batch {size.batch} of {size.side} x {size.side}, {parts.config.trainer.precision}, "
        f"{parts.device}, {parts.config.threads} cores, {parts.config.data.num_workers} loader workers"
    )


class Beside(Turns):
    """The plain loop reads ready batches and augments nothing, so that in the end the weights are others."""

    def __init__(self, *arguments: Any, compiled: bool) -> None:
        super().__init__(*arguments)
        self.compiled = compiled

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.loop = PlainLoop(pl_module, self.loader, self.precision, self.clip, compiled=self.compiled)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None: ...


class Timed:
    """A loader that notes how long it is waited for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader, self.sampler, self.waited = loader, loader.sampler, list[float]()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        batches, self.waited = iter(self.loader), []
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self.waited.append(time.perf_counter() - began)
            yield batch


class Share(L.Callback):
    """Notes of each epoch, but the first, the share of its time that the feed was waited for."""

    def __init__(self, timed: Timed) -> None:
        self.timed, self.shares, self.began = timed, list[float](), 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = now(pl_module.device)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        taken = now(pl_module.device) - self.began
        self.shares.append(sum(self.timed.waited[1:]) / taken)  # the first batch of an epoch starts the feed


def whole_training(size: Size, *, compiled: bool) -> list[Comparison]:
    """Ours, fed and augmented, against the plain loop; and the share of ours that is waiting."""
    with (
        tempfile.TemporaryDirectory() as folder,
        assembled(overrides_of(size, compiled), {}, Path(folder)) as (parts, _),
    ):
        trainer = parts.config.trainer
        ready = ReadyBatches(parts.data, size.steps).train_dataloader()
        timed = Timed(parts.data.train_dataloader())
        parts.data.train_dataloader = lambda: timed
        turns = Beside(ready, trainer.precision, trainer.gradient_clip_val, size.seconds, compiled=compiled)
        share = Share(timed)
        parts.trainer.callbacks[:0] = [turns, share]
        parts.trainer.fit(parts.module, parts.data)
        where, kind = setting(parts, size), ", compiled" if compiled else ""
    ours, plain, waited = turns.ours[1:], turns.plain[1:], share.shares[1:]
    name = f"our training with the medical policy{kind}"
    return [
        Comparison(name, where, f"plain loop{kind}, no augmentation", "ms", "ratio", AIM, ours, plain),
        Comparison(
            f"share of time waiting for the feed{kind}",
            where,
            "never",
            "",
            "difference",
            FEED_AIM,
            waited,
            [0.0] * len(waited),
        ),
    ]


@contextmanager
def trained(size: Size) -> Iterator[tuple[Parts, DataLoader[Any]]]:
    """Parts on the device, and ready batches."""
    with tempfile.TemporaryDirectory() as folder, assembled(overrides_of(size, False), {}, Path(folder)) as (parts, _):
        parts.module.to("cuda" if torch.cuda.is_available() else "cpu")
        yield parts, ReadyBatches(parts.data, size.steps).train_dataloader()


def beside_peers(parts: Parts, loader: DataLoader[Any], size: Size) -> Iterator[Comparison]:
    """A plain loop that augments on the device by a peer, against one without augmentation: what theirs costs."""
    precision = str(parts.config.trainer.precision)
    for name, place in PEERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"left out: {name}, which is not installed; pip install {name}")
            continue
        theirs = PlainLoop(parts.module, loader, precision, 1.0, augment=augment_of(name, place, size))
        plain = PlainLoop(parts.module, loader, precision, 1.0)
        named = f"{name} {version(name)} on the device"
        yield in_turn(named, setting(parts, size), "no augmentation", theirs, plain, size.turns, float("inf"))


def augment_of(name: str, place: str, size: Size) -> Augment:
    """A peer's medical pipeline of `bench.py aug`, for a batch on the device: normalised images and masks."""
    sys.path.insert(1, str(Path(__file__).parent))  # where the peers import each other
    import importlib

    from _augcases import Case

    module, kind = place.split(":")
    peer = getattr(importlib.import_module(module), kind)()
    steps = peer.steps(Case("pipeline", size.side))
    if name == "kornia":
        import kornia.augmentation as K

        sequence = K.AugmentationSequential(*steps, data_keys=["input", "mask"]).to(
            "cuda" if torch.cuda.is_available() else "cpu"
        )

        def by_kornia(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            moved, labels = sequence(image.float() / 255, mask[:, None].float())
            return moved, labels[:, 0].to(torch.uint8)

        return by_kornia
    tt = peer.library
    compose = tt.Compose(*steps)

    def by_torchtransform(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        planes, labels = tt.Image(image.float() / 255, padding="reflection"), tt.Mask(mask[:, None], padding=255)
        out = compose(image=planes, mask=labels)
        image, mask = (getattr(part, "data", part) for part in (out["image"], out["mask"]))
        return image, mask[:, 0]

    return by_torchtransform


def determinism(parts: Parts, loader: DataLoader[Any], size: Size) -> Comparison:
    """A step with deterministic kernels, where there are such, against one with the fastest."""
    precision, found = str(parts.config.trainer.precision), dict[bool, list[float]]({True: [], False: []})
    loop = PlainLoop(parts.module, loader, precision, 1.0)
    for turn in range(size.turns + 1):
        for deterministic in (True, False):
            torch.use_deterministic_algorithms(deterministic, warn_only=True)
            torch.backends.cudnn.benchmark = not deterministic
            taken = loop.epoch()
            found[deterministic] += [taken] if turn else []
    return Comparison(
        *("a step with deterministic kernels", setting(parts, size), "the fastest kernels", "ms", "ratio"),
        *(DETERMINISM_AIM, found[True], found[False]),
    )
