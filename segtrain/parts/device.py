"""Says what the machine can do, and how it computes: accelerator, precision, and a line that describes it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segtrain.counted import counted
from segtrain.errors import UserError

SHORT = {"64": "64-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}  # what Lightning takes as well
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
DEFAULT = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "32-true": None, "64-true": torch.float64}


def accelerator(wanted: str) -> str:
    """Returns `wanted`, with auto replaced by gpu where there is one and cpu elsewhere.

    Raises:
        UserError: a gpu is wanted and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if wanted in ("gpu", "cuda") and not has_gpu:
        raise UserError("trainer.accelerator=gpu, but torch sees no GPU here; use trainer=cpu, or check the driver")
    if wanted != "auto":
        return wanted
    return "gpu" if has_gpu else "cpu"


def precision(kind: str) -> str:
    """Returns bf16-mixed where the device computes in bf16 itself, else 32-true: emulated bf16 is slower than fp32."""
    if kind == "cpu":
        capable = torch.cpu.get_capabilities()
        native = bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))
    else:
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"


def describe(kind: str) -> str:
    """Returns the device in words, for headers and env.json."""
    if kind != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"


@contextmanager
def computing(precision: str | int, device: torch.device | str) -> Iterator[None]:
    """Lets the block compute as a forward pass of training does in that precision: the bits are those of its test.

    Args:
        precision: one that Lightning's trainer takes, such as bf16-mixed, 16-mixed, 32-true or 64-true.
        device: where it computes. A CPU has no 16-mixed, and Lightning takes bf16-mixed in its place; so does this.

    Raises:
        UserError: another precision.
    """
    kind, before = torch.device(device).type, torch.get_default_dtype()
    name = SHORT.get(str(precision), str(precision))
    if name not in {*MIXED, *DEFAULT}:
        known = ", ".join((*MIXED, *DEFAULT))
        raise UserError(f"trainer.precision is {precision!r}; expected one of {known}; give one of those")
    low = torch.bfloat16 if kind == "cpu" and name in MIXED else MIXED.get(name)
    torch.set_default_dtype(DEFAULT.get(name) or before)
    try:
        with torch.autocast(kind, low, enabled=low is not None, cache_enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)


def set_determinism(wanted: bool | str) -> None:
    """Lets torch compute the same bits again (true), warn where it cannot (`warn`), or as it likes, as a training."""
    torch.use_deterministic_algorithms(bool(wanted), warn_only=wanted == "warn")
    if wanted:
        torch.backends.cudnn.benchmark = False
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS asks for it; Lightning's trainer sets the same
