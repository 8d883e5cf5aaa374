"""A large image through a network by windows: ours against MONAI's sliding_window_inference.

Both run unet_resnet18 (random weights, 3 channels, 4 classes) over the same image with windows of 512 x 512 that
share a quarter, blended by a Gaussian; MONAI with sw_batch_size=4, ours with batch=4. Ours takes neighbours of a row
in one piece of at most four windows' pixels, so that what they share is computed once: that is nearly all of the
gain, and the second comparison, with windows apart (joined=False; left out by --quick), shows what is left without it.

Before it is timed, both are compared with a pass over the whole image of 640 x 640: joined windows have fewer seams
and may not be farther from it than MONAI's.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import Comparison
from segtrain.compat import register_torchvision_operators
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.model.windows import Windows, windowed

AIM = 1 / 1.2  # of MONAI's time
APART_AIM = 1.15  # as fast as MONAI or nearly: 1.09 on a busy machine
SIDE = 512
OVERLAP = 0.25
BATCH = 4


def run(quick: bool) -> list[Comparison]:
    """Joined windows and windows apart, in turn with MONAI's."""
    model, size = network(), 1024 if quick else 4096
    check(model)
    image = noise(size)
    ways = [lambda: joined(model, image), lambda: monai(model, image), lambda: apart(model, image)]
    samples = timed(ways[:2] if quick else ways, 2 if quick else 3)
    setting = f"unet_resnet18, {size} x {size}, windows of {SIDE}, overlap {OVERLAP}, {torch.get_num_threads()} threads"
    common: dict[str, Any] = {"alternative_name": "MONAI", "unit": "s", "figure": "ratio", "alternative": samples[1]}
    found = [Comparison("windows, joined in a row", setting, aim=AIM, ours=samples[0], **common)]
    if not quick:
        found.append(Comparison("windows apart", setting, aim=APART_AIM, ours=samples[2], **common))
    return found


def timed(ways: list[Callable[[], Tensor]], rounds: int) -> list[list[float]]:
    """Seconds of each way in each round, one after the other."""
    samples: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, found in zip(ways, samples, strict=True):
            began = time.perf_counter()
            way()
            found.append(time.perf_counter() - began)
    return samples


def network() -> nn.Module:
    register_torchvision_operators()
    import segmentation_models_pytorch as smp  # type: ignore[import-untyped]

    torch.manual_seed(0)
    return (
        NormalisedNetwork(smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=4), [128.0] * 3, [64.0] * 3)
        .eval()
        .requires_grad_(False)
    )


def noise(size: int) -> Tensor:
    return torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def joined(model: nn.Module, image: Tensor) -> Tensor:
    return windowed(model, image, Windows(SIDE, OVERLAP, BATCH))


def apart(model: nn.Module, image: Tensor) -> Tensor:
    return windowed(model, image, Windows(SIDE, OVERLAP, BATCH, joined=False))


def monai(model: nn.Module, image: Tensor) -> Tensor:
    from monai.inferers.utils import sliding_window_inference

    found = sliding_window_inference(image[None].float(), SIDE, BATCH, model, overlap=OVERLAP, mode="gaussian")
    assert isinstance(found, Tensor)
    return found[0]


def check(model: nn.Module) -> None:
    """Nothing, when ours is as near to a pass over the whole image as MONAI's.

    Raises:
        RuntimeError: it is not.
    """
    image = noise(640)
    whole = windowed(model, image, None)
    ours, theirs = ((way(model, image) - whole).abs().mean().item() for way in (joined, monai))
    if ours > theirs:
        raise RuntimeError(f"mean difference from the whole image: ours {ours:.3g}, MONAI's {theirs:.3g}")
