"""Passes a network over samples: predicts, counts and hands on, by the operations of training's own test."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from segtrain.config.run_config import RunConfig
from segtrain.data.batch import Batch, stack_by_size
from segtrain.data.datamodule import PlainSamples, Source
from segtrain.data.feed import Feed
from segtrain.data.share import WHOLE, Share
from segtrain.interrupts import leave_to_parent
from segtrain.model.metrics import Evaluation, false_positives
from segtrain.model.normalised_network import compute_in
from segtrain.padding import NO_SIZE, Size

Predict = Callable[[Tensor], Tensor]  # images (N, C, H, W) as stored to logits (N, K, H, W)
HEADING = "false positives, of empty images"
RULE = (
    "An image, or a class in an image, is empty when its truth holds no counted pixel of it. Where nothing is "
    "predicted there either, it counts as 1 in every mean over images; a prediction there is a false positive and "
    "scores 0, as in the BraTS challenges (arXiv 2011.00848)."
)
Results = Mapping[str, Any]


class Machine(NamedTuple):
    """Says where and in which precision the network computes."""

    device: torch.device
    precision: str


class Image(NamedTuple):
    """Holds what is known of an image once it is predicted, without padding, on the CPU."""

    sample: int  # index in the dataset
    logits: Tensor  # (K, H, W) float32
    pred: Tensor  # (H, W) uint8
    mask: Tensor  # (H, W) uint8


def set_up_machine(config: RunConfig, accelerator: str) -> Machine:
    """Returns the device and the run's precision; threads and determinism of its config are set in this process."""
    torch.set_num_threads(config.threads)
    set_determinism(config.deterministic)
    return Machine(
        torch.device("cuda", torch.cuda.current_device()) if accelerator == "gpu" else torch.device("cpu"),
        config.trainer.precision,
    )


def set_determinism(wanted: bool | str) -> None:
    """Lets torch compute the same bits again (true), warn where it cannot (`warn`), or as it likes, as a training."""
    torch.use_deterministic_algorithms(bool(wanted), warn_only=wanted == "warn")
    if wanted:
        torch.backends.cudnn.benchmark = False
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS asks for it; Lightning's trainer sets the same


def batches(
    source: Source, indices: Sequence[int], config: RunConfig, least: Size = NO_SIZE, share: Share = WHOLE
) -> Iterator[Batch]:
    """Returns the samples in batches of one size each, as training's test has them, grown to at least `least`.

    Of a share of several processes those batches that are its own.
    """
    workers = 0 if config.data["num_workers"] == "auto" else config.data.num_workers
    samples, rows = (
        PlainSamples(source, indices, least=least),
        share.of_evaluation(len(indices), config.data.batch_size),
    )
    return itertools.chain.from_iterable(Feed(samples, rows, stack_by_size, workers=workers, in_worker=leave_to_parent))


def score(
    given: Iterable[Batch],
    predict: Predict,
    classes: Sequence[str],
    ignore_index: int,
    on: Machine,
    *,
    loss: nn.Module | None = None,
    each: Callable[[Image], None] | None = None,
) -> Evaluation:
    """Returns what is counted of the batches; every image is handed to `each`."""
    found = Evaluation(classes, ignore_index)
    with torch.inference_mode():
        for batch in given:
            there = {key: batch[key].to(on.device) for key in ("image", "mask")} | {"index": batch["index"]}
            with compute_in(on.precision, on.device):
                logits, pred = found.predict(predict, there, loss)
            for k, index in enumerate(batch["index"].tolist() if each else ()):
                assert each is not None
                h, w = batch["size"][k].tolist()
                mask = batch["mask"][k, :h, :w]
                each(Image(index, logits[k, :, :h, :w].float().cpu(), pred[k, :h, :w].cpu(), mask))
    return found


def counts(matrices: Mapping[int, Tensor], classes: Sequence[str]) -> dict[str, float]:
    """Returns `segtrain.model.metrics.false_positives` of confusion matrices by sample."""
    return false_positives(torch.stack(list(matrices.values())), classes)


def are_there(results: Results, part: str, classes: Sequence[str]) -> bool:
    """Returns whether an image is empty, of a class or of all; not of results that were written before they said it."""
    return any(results.get(f"{part}/empty_images/{name}") for name in classes)


def cell(results: Results, part: str, name: str = "") -> str:
    """Returns "3 of 20 (15 %)": the false positives on images without the class, or without any of the foreground."""
    end = f"/{name}" if name else ""
    return of_row({key: results[f"{part}/{key}{end}"] for key in ("empty_images", "false_positive_images")})


def of_row(row: Results) -> str:
    """Returns the same of a row of shifts.csv, of images without any of the foreground."""
    empty, wrong = int(row["empty_images"]), int(row["false_positive_images"])
    return f"{wrong} of {empty} ({100 * wrong / empty:.0f} %)" if empty else "–"


def sentences(results: Results, part: str) -> list[str]:
    """Returns what is to be said beside the table: images that are empty throughout, and those without a score."""
    found = []
    if empty := int(results[f"{part}/empty_images"]):
        wrong = int(results[f"{part}/false_positive_images"])
        others = "; on the others nothing, rightly, which counts as 1 in means over images" if wrong < empty else ""
        found.append(
            f"Empty images, without any of the foreground: {empty}. Something is predicted on {wrong} of them, "
            f"{100 * wrong / empty:.0f} %{others}."
        )
    if unscored := int(results[f"{part}/unscored_images"]):
        found.append(
            f"Images without a counted pixel, all of them ignored: {unscored}. They have no score and are left out of "
            "means over images."
        )
    return found
