"""Commands of segtrain, each in a process of its own that has torch imported already: a fork of this one."""

import faulthandler
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

MOST_MEMORY = 3 << 30  # bytes a command may hold; the largest of the undamaged ones takes a fifth
OUT = "out.txt"


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status (negative a signal), all it printed, seconds, bytes at most."""

    status: int
    text: str
    seconds: float
    memory: int

    @property
    def hung(self) -> bool:
        """Whether it was killed since its time was over."""
        return self.status == -signal.SIGABRT


def warm_up() -> None:
    """Imports what every command needs; computes nothing, so that no thread is there that a fork would lack."""
    os.environ.update(OMP_NUM_THREADS="1", NO_ALBUMENTATIONS_UPDATE="1", HYDRA_FULL_ERROR="1", MPLBACKEND="agg")
    from segtrain import compat

    compat.register_torchvision_operators()
    import matplotlib.pyplot  # noqa: F401
    import segmentation_models_pytorch  # noqa: F401
    import torch

    import segtrain.app.evaluate.evaluate
    import segtrain.app.predict.predict
    import segtrain.app.report.report
    import segtrain.app.train.train  # noqa: F401

    torch.set_num_threads(1)


def begin(arguments: list[str], folder: Path) -> int:
    """Returns the id of a process that runs `segtrain …` in the folder; what it prints goes to OUT below it."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    try:
        status = _command(arguments, folder)
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _command(arguments: list[str], folder: Path) -> int:
    from segtrain.__main__ import main

    os.setsid()
    os.chdir(folder)
    out = os.open(OUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, out, out)):
        os.dup2(file, number)
    faulthandler.enable(all_threads=True)  # SIGABRT then tells where it hung
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (2 * MOST_MEMORY, 2 * MOST_MEMORY))
    sys.argv = ["segtrain", *arguments]
    try:
        main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def finish(process: int, folder: Path, began: float, most_seconds: float) -> Ended:
    """Waits for a process that `begin` began; kills it, and what it has started, when its time is over."""
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > most_seconds:
            os.kill(process, signal.SIGABRT)
            time.sleep(0.5)
            os.killpg(process, signal.SIGKILL)
            _, _, used = os.wait4(process, 0)
            status = signal.SIGABRT
            break
        time.sleep(0.02)
    text = (folder / OUT).read_text(encoding="utf-8", errors="replace") if (folder / OUT).exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), text, time.monotonic() - began, used.ru_maxrss * 1024)


def run(arguments: list[str], folder: Path, most_seconds: float) -> Ended:
    """Returns how a command in the folder ended."""
    began = time.monotonic()
    return finish(begin(arguments, folder), folder, began, most_seconds)
