"""Decides which device computes, and in which precision, and describes it."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.launchers import Place


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


def number_of_devices(wanted: Any, accelerator: str, place: Place | None) -> Any:
    """Returns how many devices of this machine work: `auto` is what the launcher has processes for, else all GPUs.

    Args:
        wanted: auto, or what is returned as it is: a number, or a list of GPUs.
        accelerator: as decided.
        place: of this process among those of a launcher.
    """
    if wanted != "auto":
        return wanted
    if place is not None:
        return place.here
    return max(1, torch.cuda.device_count()) if accelerator in ("gpu", "cuda") else 1


def gpus_of(accelerator: str, devices: Any) -> tuple[int, ...]:
    """Returns the GPUs of this machine that work, by their numbers; none where the CPU does."""
    if accelerator not in ("gpu", "cuda"):
        return ()
    return tuple(devices) if _is_list(devices) else tuple(range(int(devices)))


def ranks_of(trainer: Mapping[str, Any]) -> int:
    """Returns how many processes train together: one a device, on every machine."""
    devices = trainer["devices"]
    return (len(devices) if _is_list(devices) else int(devices)) * int(trainer.get("num_nodes") or 1)


def require_devices(key: str, accelerator: str, devices: Any, machines: int, place: Place | None) -> None:
    """Raises UserError unless the devices are there, and as many processes as work on them can be.

    Args:
        key: of the config, for the message: trainer.devices, or devices.
        accelerator: as decided.
        devices: as `number_of_devices` returns it.
        machines: how many there are to be.
        place: of this process among those of a launcher.
    """
    gpus, there = gpus_of(accelerator, devices), torch.cuda.device_count()
    if gpus and max(gpus) >= there:
        raise UserError(
            f"{key} is {devices}, and torch sees {counted(there, 'GPU')} here; expected no more than there are; give "
            f"{key}={there or 1}, or auto for all; under Slurm let each task see all GPUs of its machine"
        )
    if len(gpus) != len(set(gpus)) or (_is_list(devices) and not gpus):
        raise UserError(f"{key} is {devices}; expected a number of processes on a CPU, a list names GPUs; give {key}=2")
    here = len(devices) if _is_list(devices) else int(devices)
    if place is None and machines > 1:
        raise UserError(
            f"trainer.num_nodes is {machines}, and this process was started by itself; expected a launcher that starts "
            "processes on every machine, torchrun or srun; give trainer.num_nodes=1, or see docs/devices.md"
        )
    if place is not None and (place.ranks, place.here) != (here * machines, here):
        raise UserError(
            f"{place.launcher} has started {counted(place.ranks, 'process', 'processes')}, {place.here} on each "
            f"machine, and the config says {key}={devices} on {counted(machines, 'machine')}; expected the same; give "
            f"{key}={place.here}"
            + (f" trainer.num_nodes={place.machines}" if key.startswith("trainer") else "")
            + f", or start {here} a machine"
        )


def _is_list(devices: Any) -> bool:
    return isinstance(devices, Sequence) and not isinstance(devices, str)


def describe(kind: str) -> str:
    """Returns the device in words, for headers and env.json."""
    if kind != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {platform.machine()}, {counted(os.cpu_count() or 1, 'core')}"
