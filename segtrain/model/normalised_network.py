"""Holds a network behind its normalisation: the one class that is trained, evaluated, exported and served."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from segtrain.errors import UserError

# What Lightning's trainer takes: other words for a precision, what autocast computes in, and what tensors are made in.
SHORT = {"64": "64-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "32-true": None, "64-true": torch.float64}


class NormalisedNetwork(nn.Module):
    """Normalises images as they are stored, and applies a network to them.

    Its state has the keys network.*, mean and std.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Holds the network; `mean` and `std` are a value a channel, in the units of the stored pixels."""
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Returns logits (N, classes, H, W) of images (N, C, H, W) as stored: uint8 or float, not yet normalised.

        H and W are multiples of the stride. A network for two classes may have one logit a pixel, (N, 1, H, W).
        """
        image = (image.float() - self.mean) / self.std
        return self.apply_network(image.contiguous(memory_format=torch.channels_last))

    def apply_network(self, image: Tensor) -> Tensor:
        """Returns the network's logits of a normalised image."""
        logits: Tensor = self.network(image)
        return logits


@contextmanager
def compute_in(precision: str | int, device: torch.device | str) -> Iterator[None]:
    """Lets the block compute as a forward pass of training does in that precision: the bits are those of its test.

    Args:
        precision: one that Lightning's trainer takes, such as bf16-mixed, 16-mixed, 32-true or 64-true.
        device: where it computes. A CPU has no 16-mixed, and Lightning takes bf16-mixed in its place; so does this.

    Raises:
        UserError: another precision.
    """
    kind, before = torch.device(device).type, torch.get_default_dtype()
    name = SHORT.get(str(precision), str(precision))
    if name not in {*MIXED, *WHOLE}:
        known = ", ".join((*MIXED, *WHOLE))
        raise UserError(f"trainer.precision is {precision!r}; expected one of {known}; give one of those")
    low = torch.bfloat16 if kind == "cpu" and name in MIXED else MIXED.get(name)
    torch.set_default_dtype(WHOLE.get(name) or before)
    try:
        with torch.autocast(kind, low, enabled=low is not None, cache_enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)
