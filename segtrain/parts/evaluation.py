"""One pass of a network over samples: predicted, counted and handed on, with the operations of training's own test."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from segtrain.aug.policy import planes
from segtrain.config.run_config import RunConfig
from segtrain.data.datamodule import stack_by_size, to_tensors
from segtrain.data.datasets.contract import Sample
from segtrain.lightning import L
from segtrain.model import metrics
from segtrain.padding import NO_SIZE, Size, grown_size, pad_to

Batch = dict[str, Tensor]
Predict = Callable[[Tensor], Tensor]  # images (N, C, H, W) as stored to logits (N, K, H, W)


class Source(Protocol):
    """What is read of a dataset."""

    @property
    def ignore_index(self) -> int:
        """The label in masks that counts nowhere."""

    def read(self, index: int) -> Sample:
        """The sample of an index."""


class Samples(Dataset[Batch]):
    """Whole samples padded to a multiple of the stride, as training tests them, with their own size (2,) beside."""

    def __init__(self, source: Source, indices: Sequence[int], least: Size = NO_SIZE) -> None:
        """The samples `indices` of `source`, in that order, grown to at least the size `least`."""
        self.source, self.indices, self.least = source, indices, least

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        index = self.indices[position]
        image, mask = self.source.read(index)
        height, width = mask.shape
        image, mask = pad_to(image, mask, grown_size((height, width), self.least), self.source.ignore_index)
        return {**to_tensors(planes(image), mask, index), "size": torch.tensor((height, width))}


class Machine(NamedTuple):
    """Where and in which numbers the network computes."""

    device: torch.device
    numbers: Callable[[], AbstractContextManager[Any]]  # entered around every pass: autocast


class Image(NamedTuple):
    """What is known of an image once it is predicted, without padding, on the CPU."""

    sample: int  # index in the dataset
    logits: Tensor  # (K, H, W) float32
    pred: Tensor  # (H, W) uint8
    mask: Tensor  # (H, W) uint8


@dataclass
class Scored:
    """The confusion matrices of images, and their loss."""

    matrices: dict[int, Tensor] = field(default_factory=dict)  # sample index to (classes, classes), rows truth
    losses: list[tuple[float, int]] = field(default_factory=list)  # of a batch, and its images

    def add(self, other: "Scored") -> None:
        """Take in what was counted of other images."""
        self.matrices |= other.matrices
        self.losses += other.losses

    def scores(self, classes: Sequence[str]) -> dict[str, float]:
        """As training's test: `loss`, the mean over images, where there is one, and `metrics.scores`."""
        matrix = torch.stack(list(self.matrices.values())).sum(0)
        images = sum(n for _, n in self.losses)
        loss = {"loss": sum(value * n for value, n in self.losses) / images} if images else {}
        return {**loss, **metrics.scores(matrix, classes)}


def machine(config: RunConfig, accelerator: str) -> Machine:
    """The device, with the precision, threads and determinism of the run's config."""
    torch.set_num_threads(config.threads)
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=config.trainer.precision,
        deterministic=config.deterministic,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return Machine(trainer.strategy.root_device, trainer.precision_plugin.forward_context)


def batches(source: Source, indices: Sequence[int], config: RunConfig, least: Size = NO_SIZE) -> Iterator[Batch]:
    """The samples in batches of one size each, as training's test groups them, grown to at least the size `least`."""
    workers = 0 if config.data["num_workers"] == "auto" else config.data.num_workers
    loader = DataLoader(
        Samples(source, indices, least),
        batch_size=config.data.batch_size,
        num_workers=workers,
        collate_fn=stack_by_size,
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
    )
    return itertools.chain.from_iterable(loader)


def score(
    given: Iterable[Batch],
    predict: Predict,
    classes: int,
    ignore_index: int,
    on: Machine,
    *,
    loss: nn.Module | None = None,
    each: Callable[[Image], None] | None = None,
) -> Scored:
    """Predict and count; every image is handed to `each`."""
    found = Scored()
    with torch.inference_mode():
        for batch in given:
            image, mask = batch["image"].to(on.device), batch["mask"].to(on.device)
            with on.numbers():
                logits = predict(image)
                if loss is not None:
                    found.losses.append((loss(logits, mask), len(mask)))
            pred, indices = metrics.prediction(logits), batch["index"].tolist()
            matrices = metrics.per_image(pred, mask, classes, ignore_index)
            found.matrices.update(zip(indices, matrices.cpu(), strict=True))
            for k, index in enumerate(indices if each else ()):
                assert each is not None
                h, w = batch["size"][k].tolist()
                each(Image(index, logits[k, :, :h, :w].float().cpu(), pred[k, :h, :w].cpu(), mask[k, :h, :w].cpu()))
    found.losses = [(float(value), n) for value, n in found.losses]
    return found


def image_rows(matrices: Mapping[int, Tensor], ids: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the rows of per_image.csv, in the order of the samples: id, Dice and IoU, pixels counted, those a class.

    Dice and IoU are NaN where neither truth nor prediction has the class, whether the image is rightly empty or has no
    counted pixel; `truth/<class>`, the counted pixels of a class in the truth, tells a false positive from a miss.
    """
    rows = []
    for index, matrix in sorted(matrices.items()):
        scores = metrics.scores(matrix, classes)
        kept = {k: v for k, v in scores.items() if k.split("/")[0] in ("dice", "iou")}
        truth = {f"truth/{name}": int(n) for name, n in zip(classes, matrix.sum(1).tolist(), strict=True)}
        rows.append({"id": ids[index], **kept, "pixels": int(matrix.sum()), **truth})
    return rows
