"""Computes in a precision as a forward pass of training does, without a trainer of Lightning's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segtrain.errors import UserError

# What Lightning's trainer takes: other words for a precision, what autocast computes in, and what tensors are made in.
SHORT = {"64": "64-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "32-true": None, "64-true": torch.float64}


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
