"""Holds a network behind its normalisation: the one class that is trained, evaluated, exported and served."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NormalisedNetwork(nn.Module):
    """Normalises images as they are stored, and applies a network to them.

    Its state has the keys network.*, mean and std.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Hold the network; `mean` and `std` are a value a channel, in the units of the stored pixels."""
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Returns logits (N, classes, H, W) of images (N, C, H, W) as stored: uint8 or float, not yet normalised.

        H and W are multiples of the stride. A network for two classes may have one logit a pixel, (N, 1, H, W).
        """
        image = (image.float() - self.mean) / self.std
        logits: Tensor = self.network(image.contiguous(memory_format=torch.channels_last))
        return logits
