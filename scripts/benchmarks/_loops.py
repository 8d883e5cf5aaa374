"""A plain PyTorch loop, and the callback that gives it its turn between the epochs of ours."""

import copy
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segtrain.lightning import L
from segtrain.model.module import Segmentation

LEAST_EPOCHS = 4  # the first warms up, and a median wants three


class PlainLoop:
    """The same training as a script would write it.

    `layout` and `optimizer` may be changed; `augment` makes of a batch on the device what the network takes.
    """

    def __init__(
        self,
        module: Segmentation,
        loader: Iterable[Any],
        precision: str,
        clip: float,
        *,
        compiled: bool = False,
        augment: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.network, self.loss = copy.deepcopy(module.network).train(), module.loss
        self.apply = torch.compile(self.network, dynamic=False) if compiled else self.network
        self.augment, self.layout = augment, torch.channels_last
        self.mean, self.std, self.device = module.mean, module.std, module.device
        self.optimizer = module.optimizer(self.network.parameters())
        self.scheduler = module.scheduler(self.optimizer, steps=module.steps)
        self.loader, self.clip, self.bf16 = loader, clip, precision == "bf16-mixed"

    def epoch(self) -> float:
        """Train one epoch; ms a step."""
        stamps, losses = [], []
        for batch in self.loader:
            stamps.append(now(self.device))
            image, mask = batch["image"].to(self.device), batch["mask"].to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                if self.augment is None:
                    image = (image.float() - self.mean) / self.std
                else:
                    image, mask = self.augment(image, mask)
                logits = self.apply(image.contiguous(memory_format=self.layout))
                loss = self.loss(logits, mask)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.detach())
        return mean_interval(stamps)


class Turns(L.Callback):
    """Before each epoch of ours an epoch of the plain loop; both timed.

    After `seconds` no further epoch begins, but for the first LEAST_EPOCHS.
    """

    def __init__(self, loader: DataLoader[Any], precision: str, clip: float, seconds: float) -> None:
        self.loader, self.precision, self.clip = loader, precision, clip
        self.end = time.monotonic() + seconds
        self.ours: list[float] = []
        self.plain: list[float] = []
        self._stamps: list[float] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Segmentation)
        self.loop = PlainLoop(pl_module, self.loader, self.precision, self.clip)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.plain.append(self.loop.epoch())
        self._stamps = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._stamps.append(now(pl_module.device))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.ours.append(mean_interval(self._stamps))
        if len(self.ours) >= LEAST_EPOCHS and time.monotonic() > self.end:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        ours, plain = pl_module.network.state_dict(), self.loop.network.state_dict()  # type: ignore[union-attr]
        differing = [name for name, value in plain.items() if not torch.equal(value, ours[name])]
        if differing:
            raise RuntimeError(
                f"the two loops did not do the same work: the weights differ in {len(differing)} of {len(plain)} "
                f"tensors, such as {differing[0]}"
            )


def now(device: torch.device) -> float:
    """Seconds, with the device's queue empty."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def mean_interval(stamps: list[float]) -> float:
    """Milliseconds from a step's start to the next."""
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1) * 1000
