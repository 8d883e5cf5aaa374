"""Finds the largest batch that memory holds, where `data.batch_size=auto` asks for it: tried by doubling.

Everything that is built for it is thrown away: the training begins with its own network and its own draws.
"""

import gc
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

import torch

from segtrain.app.train.assembly import build_module
from segtrain.app.train.failures import ONE_VALUE
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.errors import UserError
from segtrain.files import text_of
from segtrain.model.module import Segmentation
from segtrain.model.normalised_network import compute_in
from segtrain.padding import Size, grown_size
from segtrain.parts.feeding import Feeding, build_data
from segtrain.parts.limits import crop_size, least_size
from segtrain.spread import spread

SHARE_OF_GPU = 0.9  # of its memory: what torch cannot use between its blocks, and what the display takes, is the rest
SHARE_OF_CPU = 0.5  # of what is free: decoded samples, loaders and other programs take of the same memory
MOST = 1 << 16  # samples, the largest that the key takes
SIZES_OF = 32  # validation and test images whose sizes are looked at
STEPS = 2  # of a trial: from the second on gradients and the optimizer's moments are there too

Trial = Callable[[int], int]  # a batch size to the bytes that it took at most


class Memory:
    """Measures what this process takes of a device's memory since this was made, and knows how much it may."""

    def __init__(self, device: torch.device) -> None:
        """Notes what is held now."""
        self.is_gpu = device.type == "cuda"
        self.device, self.held = device, 0 if self.is_gpu else min(resident_bytes(), peak_bytes())
        if self.is_gpu:
            free, _ = torch.cuda.mem_get_info(device)
            self.most = int(SHARE_OF_GPU * (free + torch.cuda.memory_reserved(device)))
        else:
            self.most = int(SHARE_OF_CPU * available_bytes())

    def forget(self) -> None:
        """Lets a GPU's peak begin anew; that of a process never falls, which the next, larger batch outdoes."""
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def taken(self) -> int:
        """Returns the most bytes that were taken at a time; a little too many, where a CPU held more before."""
        return (torch.cuda.max_memory_reserved(self.device) if self.is_gpu else peak_bytes()) - self.held


def find_batch_size(config: RunConfig, dataset: SegmentationDataset) -> int:
    """Returns the largest power of two whose steps and evaluation stay below the cap; no more than training has images.

    Args:
        config: of a new run, decided but for `data.batch_size`.
        dataset: its data.

    Raises:
        UserError: images of no fixed size, or a single sample that takes too much.
    """
    crop = crop_size(config)
    if crop is None:
        raise UserError(
            "data.batch_size=auto tries batches of training crops, and with data.crop=null whole images are trained "
            "on, of which a batch of the largest may come late; expected a crop; got null; give data.crop=256, or a "
            "number as data.batch_size"
        )
    torch.set_num_threads(config.threads)
    fixed = config.changed({"data.batch_size": 1, "data.cache": None, "freeze_encoder": 0, "compile": False})
    feeding = Feeding(fixed, dataset)
    data = build_data(fixed, feeding)
    evaluated = spread([*data.split.val, *data.split.test], SIZES_OF)
    sizes = [dataset.read(index)[1].shape for index in evaluated]
    largest = max((grown_size((h, w), least_size(config)) for h, w in sizes), key=lambda size: size[0] * size[1])
    on = torch.device("cuda" if config.trainer.accelerator in ("gpu", "cuda") else "cpu")
    with torch.random.fork_rng(devices=[]):
        module = build_module(fixed, feeding, data).to(on)
    memory = Memory(on)
    trial = _trial(module, memory, str(config.trainer.precision), dataset.channels, grown_size(crop), largest)
    found = largest_that_fits(trial, memory.most, min(MOST, len(data.split.train)), foresees=not memory.is_gpu)
    del module, trial
    gc.collect()
    if on.type == "cuda":
        torch.cuda.empty_cache()
    if not found:
        raise UserError(
            f"data.batch_size=auto found no batch that fits: one sample of {crop[0]} x {crop[1]} pixels, or one "
            f"evaluated image of {largest[0]} x {largest[1]}, takes more than the {memory.most / 2**30:.1f} GiB that a "
            "training may take here; expected more memory, or less work; give a smaller data.crop, or a smaller network"
        )
    return found


def largest_that_fits(trial: Trial, free: int, most: int, *, foresees: bool) -> int:
    """Returns the largest power of two up to `most` whose trial takes no more than the free bytes; 0 where 1 does not.

    Args:
        trial: says how many bytes a batch took, or runs out of memory.
        free: bytes that it may take.
        most: samples.
        foresees: whether the next is tried only where twice what the last one took would fit: a process that takes all
            memory of the machine is killed, and cannot tell. What a network takes whatever the batch is makes that
            guess too large, never too small. A GPU tells.
    """
    found, size = 0, 1
    while size <= most:
        try:
            took = trial(size)
        except (torch.OutOfMemoryError, MemoryError):
            break
        except ValueError as error:
            if ONE_VALUE not in str(error) or size > 1:
                raise
            size = 2  # a network that normalises over the batch what an image leaves in one place
            continue
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
            break
        if took > free:
            break
        found, size = size, 2 * size
        if foresees and 2 * took > free:
            break
    return found


def _trial(module: Segmentation, memory: Memory, precision: str, channels: int, crop: Size, evaluated: Size) -> Trial:
    """Returns what trains and evaluates one batch size, on images of chance, and says how many bytes that took."""
    optimizer = module.configure_optimizers()["optimizer"]
    on, classes = module.device, len(module.evaluation.classes)

    def batch(number: int, size: Size) -> dict[str, Any]:
        image = torch.zeros(number, channels, *size, dtype=torch.uint8, device=on).random_(0, 255, generator=draws)
        mask = torch.zeros(number, *size, dtype=torch.uint8, device=on).random_(0, classes, generator=draws)
        return {"image": image, "mask": mask}

    def step(number: int) -> int:
        memory.forget()
        module.train()
        for _ in range(STEPS):
            optimizer.zero_grad()
            with compute_in(precision, on):
                loss = module.training_step(batch(number, crop), 0)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        optimizer.zero_grad()
        module.eval()
        with torch.inference_mode(), compute_in(precision, on):
            module(batch(number, evaluated)["image"]).float().softmax(1)
        return memory.taken()

    draws = torch.Generator(on)
    return step


def peak_bytes() -> int:
    """Returns the most bytes of the machine's memory that this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def resident_bytes() -> int:
    """Returns the bytes that this process holds now; where the system does not tell, the most that it ever did."""
    try:
        return int(text_of("/proc/self/statm").split()[1]) * resource.getpagesize()
    except (OSError, UserError):
        return peak_bytes()


def available_bytes() -> int:
    """Returns the bytes of the machine's memory that a new program could take, or a container's, where that is less."""
    try:
        lines = dict(line.split(":") for line in text_of("/proc/meminfo").splitlines())
        free = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, UserError, KeyError, ValueError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        limit, used = (int(text_of(f"/sys/fs/cgroup/memory.{name}")) for name in ("max", "current"))
    except (OSError, UserError, ValueError):  # there is none, or its limit is "max"
        return free
    return max(0, min(free, limit - used))
