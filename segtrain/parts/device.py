"""Decides which device computes, and in which precision, and describes it."""

import os
import platform

import torch

from segtrain.counted import counted
from segtrain.errors import UserError


def uses_gpu(wanted: str, key: str, instead: str) -> bool:
    """Returns whether the GPU is meant: by auto, where there is one.

    Args:
        wanted: auto, gpu, cuda, or anything else, which is no GPU of torch's.
        key: of the config, for the message.
        instead: what to give where there is none, for the message.

    Raises:
        UserError: a GPU is wanted and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if wanted in ("gpu", "cuda") and not has_gpu:
        raise UserError(f"{key}={wanted}, but torch sees no GPU here; use {instead}, or check the driver")
    return has_gpu and wanted in ("auto", "gpu", "cuda")


def device_of(wanted: str) -> str:
    """Returns `device=` in torch's words, cpu or cuda.

    Raises:
        UserError: another word, or a GPU where there is none.
    """
    if wanted not in ("auto", "cpu", "gpu", "cuda"):
        raise UserError(f"device is {wanted!r}; expected auto, cpu or gpu")
    return "cuda" if uses_gpu(wanted, "device", "device=cpu") else "cpu"


def accelerator(wanted: str) -> str:
    """Returns `trainer.accelerator`, with auto replaced by gpu where there is one and cpu elsewhere.

    Raises:
        UserError: a GPU is wanted and there is none.
    """
    is_gpu = uses_gpu(wanted, "trainer.accelerator", "trainer=cpu")
    return wanted if wanted != "auto" else "gpu" if is_gpu else "cpu"


def precision(kind: str) -> str:
    """Returns bf16-mixed where the device computes in bf16 itself, else 32-true: emulated it is slower than fp32."""
    if kind == "cpu":
        capable = torch.cpu.get_capabilities()
        native = bool(capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"))
    else:
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"


def switched_on(kind: str, *, fused: bool, compiled: bool) -> list[str]:
    """Returns what of the hardware's offers a training uses beside its precision, in words for the header.

    Args:
        kind: cpu, or the trainer's word for a GPU.
        fused: whether the optimizer takes all weights in one pass.
        compiled: whether training steps are compiled. `python scripts/bench.py hardware` measures after how many that
            has paid.
    """
    words = ["channels_last"]
    if fused:
        words.append("fused optimizer")
    if kind != "cpu":
        words.append("batches as uint8 from pinned memory, normalised on the device")
    if compiled and kind == "cpu":
        words.append("training steps compiled, which on a CPU may never pay")
    elif compiled:
        words.append(
            "training steps compiled, which takes minutes at first: bench.py hardware says after how many it pays"
        )
    return words


def describe(kind: str) -> str:
    """Returns the device in words, for headers and env.json."""
    if kind != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"
