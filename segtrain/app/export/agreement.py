"""Does an exported file compute what the network in torch does: the same images through both."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from segtrain.errors import UserError
from segtrain.model.metrics import prediction
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.padding import STRIDE

RELATIVE = 1e-3  # largest difference of two logits, in units of the largest logit
LABELS = 0.9999  # least share of equal labels

Model = Callable[[torch.Tensor], torch.Tensor]


class Agreement(NamedTuple):
    """On one batch."""

    shape: tuple[int, ...]  # N, C, H, W
    absolute: float  # largest difference of two logits
    relative: float  # the same, in units of the largest logit of torch's
    labels: float  # share of equal labels

    @property
    def holds(self) -> bool:
        """Whether it is close enough; a NaN is not."""
        return self.relative <= RELATIVE and self.labels >= LABELS


def sizes(least: int) -> list[tuple[int, int, int]]:
    """Batch, height and width of what is compared: the smallest image, several at once, high and wide ones."""
    return [(1, least, least), (2, 3 * STRIDE, 5 * STRIDE), (3, 4 * STRIDE, 2 * STRIDE), (1, 9 * STRIDE, 8 * STRIDE)]


def agreements(model: NormalisedNetwork, exported: Model, channels: int, least: int) -> list[Agreement]:
    """Of the two on each of `sizes`, on noise with the mean and spread of the training's pixels.

    Noise is hard: most of its pixels lie near the border of two classes.

    Raises:
        UserError: on one of them they are too far apart, or the file does not run.
    """
    draws = torch.Generator().manual_seed(0)
    found = []
    for batch, height, width in sizes(least):
        noise = torch.randn(batch, channels, height, width, generator=draws)
        found.append(_compared(model, exported, model.mean + model.std * noise))
        if not found[-1].holds:
            raise UserError(
                f"the exported file computes something else than the network: at {_told(found[-1])}; expected at most "
                f"{RELATIVE:g} and at least {LABELS:.2%}; the file was not kept; export the weights: format=safetensors"
            )
    return found


@torch.no_grad()
def _compared(model: NormalisedNetwork, exported: Model, images: torch.Tensor) -> Agreement:
    expected = model(images)
    try:
        got = exported(images)
    except Exception as error:  # onnxruntime's and torch's own kinds
        raise UserError(
            f"the exported file does not run on images of {tuple(images.shape)}; got: "
            f"{' '.join(str(error).split())[:300]}; the file was not kept; export the weights: format=safetensors"
        ) from error
    if got.shape != expected.shape:
        return Agreement(tuple(images.shape), float("inf"), float("inf"), 0.0)
    apart = (got - expected).abs().max().item()
    same = (prediction(got) == prediction(expected)).double().mean().item()
    return Agreement(tuple(images.shape), apart, apart / max(expected.abs().max().item(), 1e-30), same)


def _told(one: Agreement) -> str:
    return f"{one.shape} the logits differ by {one.relative:.1e} of the largest, and {one.labels:.4%} of labels agree"
