"""Decides which device computes, and in which precision, and describes it."""

import os
import platform

import torch

from segtrain.counted import counted
from segtrain.errors import UserError


def accelerator(wanted: str) -> str:
    """`wanted`, with auto replaced by gpu where there is one and cpu elsewhere.

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
    """bf16-mixed where the device computes in bf16 itself, else 32-true: emulated bf16 is slower than fp32."""
    if kind == "cpu":
        capable = torch.cpu.get_capabilities()
        native = bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))
    else:
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"


def describe(kind: str) -> str:
    """The device in words, for headers and env.json."""
    if kind != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"
