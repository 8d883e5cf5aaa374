"""Explains what ends a training though no line of ours is wrong: memory, shared memory, a loader process that dies."""

import contextlib
import os
import re
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Iterator

import torch

from segtrain.app.train.assembly import Parts
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.model.ranks import Ranks
from segtrain.parts.data import named_model

# How torch says that /dev/shm is full: by itself, or by the bus error that a loader process dies of.
NO_SHARED_MEMORY = ("unable to write to file </torch_", "out of shared memory", "unable to allocate shared memory")
# How torch says that a convolution, the first of a network of the user's own, is not for such images.
OTHER_CHANNELS = re.compile(r"expected input\[.*\] to have (\d+) channels, but got \d+ channels instead")
# How torch says that a batch norm has one value a channel: behind pooling to one place, of one sample.
ONE_VALUE = "Expected more than 1 value per channel when training"
COMPILING = ("torch._dynamo", "torch._inductor")  # whose errors are torch.compile's
TAKING_UP = "checkpoint_connector.py"  # of Lightning: what goes wrong in it is the checkpoint's fault
PATIENCE = 5.0  # seconds that a dying process may take
LOADER_DIED = re.compile(r"DataLoader worker \(pid(?:\(s\))? (\d+)[^)]*\) (.*)", re.DOTALL)


@contextlib.contextmanager
def explain_failures(parts: Parts, stops: Stops) -> Iterator[None]:
    """Turns such an end of the block into a message; after a signal, whatever it broke, into Stopped.

    Raises:
        UserError: with what to lower, or which sample was being read.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        _leave_children()
        stops.check()
        if lost := parts.module.ranks.why(error):
            raise lost from error
        if message := _message(error, parts):
            raise UserError(message) from error
        raise
    finally:
        if not parts.run.has_results:
            parts.logbook.pause()


@contextlib.contextmanager
def explain_lost(ranks: Ranks) -> Iterator[None]:
    """Turns an error in the block that comes of another rank's end into what that rank said."""
    try:
        yield
    except Exception as error:
        if lost := ranks.why(error):
            raise lost from error
        raise


def _message(error: Exception, parts: Parts) -> str | None:
    text = str(error)
    if any(frame.filename.endswith(TAKING_UP) for frame in traceback.extract_tb(error.__traceback__)):
        return (
            f"the checkpoint of '{parts.run.path}' cannot be taken up; expected one that this training wrote; got: "
            f"{type(error).__name__} {' '.join(text.split())[:200]}; restore its checkpoints, or begin a new run with "
            "name=…"
        )
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return _out_of_memory(text, parts)
    if type(error).__module__.startswith(COMPILING):
        return (
            f"compile=true cannot compile {named_model(parts.config)} on {parts.device}; expected a C++ compiler, "
            "g++, on a GPU Triton too, and a network that torch.compile takes; got: "
            f"{' '.join(text.split())[:300]}; leave compile out, in another run (name=…)"
        )
    if any(sign in text for sign in NO_SHARED_MEMORY):
        return _no_shared_memory(parts)
    if died := LOADER_DIED.search(text):
        return _loader_died(int(died[1]), died[2], parts)
    if isinstance(error, L.fabric.utilities.exceptions.MisconfigurationException):
        return f"{parts.config.trainer.where} is refused: {' '.join(text.split())}"
    if channels := OTHER_CHANNELS.search(text):
        return (
            f"the network takes images of {channels[1]} channels; expected {parts.dataset.channels}, as the data have; "
            f"got {channels[1]}, somewhere below model; leave its number of channels out, or choose another network"
        )
    if ONE_VALUE in text:
        return (
            f"{named_model(parts.config)} normalises over the batch what an image leaves in one place, by pooling or "
            f"since data.crop={parts.config.data.crop} is small, and one sample has a single value there; expected "
            f"data.batch_size of 2 or more; got {parts.config.data.batch_size}; give data.batch_size=2, or choose a "
            "model without such pooling, such as model=unet_resnet18, and a data.crop of 64 or more"
        )
    if isinstance(error, ConnectionError | EOFError | FileNotFoundError):  # its last batch was being taken over
        return next((_loader_died(process, text, parts) for process in _dead(parts)), None)
    return None


def _leave_children() -> None:
    """Keeps torch's handler from raising at the end of a loader process: it would, wherever we are by then."""
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _dead(parts: Parts) -> list[int]:
    """Returns loader processes that died, or do so now: what they sent breaks off some time before they are gone."""
    end = time.monotonic() + (PATIENCE if parts.data.num_workers else 0)
    while not (dead := parts.data.reading.dead()) and time.monotonic() < end:
        time.sleep(0.05)
    return dead


def _out_of_memory(text: str, parts: Parts) -> str:
    config = parts.config
    got = " ".join(text.split())[:200]
    return (
        f"{parts.device} ran out of memory in training {named_model(config)} on batches of {config.data.batch_size} "
        f"with crop {config.data.crop} in {config.trainer.precision}; got: {got}; lower data.batch_size (with "
        "trainer.accumulate_grad_batches=2 the optimizer sees as many samples), or data.crop, or choose a smaller "
        "model.encoder_name; in another run (name=…), since results depend on these"
    )


def _no_shared_memory(parts: Parts) -> str:
    size = ""
    if os.path.isdir("/dev/shm"):
        usage = shutil.disk_usage("/dev/shm")
        size = f" /dev/shm has {usage.free / 2**20:.0f} of {usage.total / 2**20:.0f} MiB free;"
    return (
        f"the {parts.config.data.num_workers} loader processes ran out of shared memory, by which batches reach the "
        f"training process;{size} give the container more (docker run --shm-size=8g), or load in the training process "
        "with data.num_workers=0, or with fewer processes: results stay the same, and the run goes on"
    )


def _loader_died(process: int, how: str, parts: Parts) -> str:
    index = parts.data.reading.of(process)
    sample = "no sample yet" if index is None else f"the sample '{parts.dataset.ids[index]}'"
    return (
        f"a loader process died ({' '.join(how.split())[:120]}) while it was reading {sample}; expected it to live; "
        "look at that sample's files, or at the machine's memory (dmesg says if the system killed the process); "
        "data.num_workers=0 loads in the training process; the run goes on with the same command"
    )
