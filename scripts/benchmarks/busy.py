"""How long a training's step takes while other programs compute: as commands set OpenMP up, against torch's default.

Two networks, with the train verb's own loop on batches that are ready, on all cores: that of the README's first
command, and one convolution. Of each, two trainings stand side by side and take turns: one as a command sets it up
(segtrain/openmp.py), one with nothing set. A turn is beside 0, 1 or 2 programs that compute without a pause, are bound
to no core, and are stopped where they are not wanted.

Against torch's default: as fast alone, three times as fast beside one program, no slower beside two. Against ours
alone: as much longer as the share of the cores is smaller. Other work on the machine disturbs it: `nice -n -20` helps.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import Comparison
from segtrain.openmp import OF_THE_USER

AIMS = {0: 1.03, 1: 1 / 3, 2: 1.0}  # other programs -> ours / torch's default, at most
SETTLED = 0.06  # seconds; libgomp's own threads spin for some 10 ms after a step
SCRIPTS = Path(__file__).resolve().parents[1]
OBEY = "from benchmarks.busy import obey; obey()"
OURS = f"from segtrain.openmp import spin_briefly; spin_briefly(); {OBEY}"
# A network's overrides, the steps of a turn, and the seconds in which it takes turns.
NETWORKS: dict[str, tuple[list[str], int, float]] = {
    "unet_resnet18": ([], 1, 120.0),
    "one convolution": (["dataset=shapes", "dataset.size=32", "data.crop=null", "data.batch_size=8"], 20, 60.0),
}
LEAST = 3  # turns beside each number of programs, however long they take


def run(quick: bool) -> list[Comparison]:
    """Both networks, beside each number of programs."""
    return [comparison for network in NETWORKS for comparison in compared(network, quick)]


def compared(network: str, quick: bool) -> list[Comparison]:
    """Comparisons of one network."""
    _, steps, seconds = NETWORKS[network]
    with training(network, OURS) as ours, training(network, OBEY) as default, programs(max(AIMS)) as others:
        turns = in_turn((ours, default), others, steps, seconds / 8 if quick else seconds)
    cores = len(os.sched_getaffinity(0))
    setting = f"{network}, {cores} cores"
    alone = [mine for mine, _ in turns[0]]
    made = []
    for number, pairs in turns.items():
        name = f"beside {number} busy" if number else "alone"
        mine, theirs = zip(*pairs, strict=True)
        made.append(comparison(name, setting, "torch's default", AIMS[number], mine, theirs))
        if number:
            share = share_factor(cores, number)
            made.append(comparison(f"{name}, of ours", setting, "alone", share, mine, alone))
    return made


def share_factor(cores: int, others: int) -> float:
    """How much longer a step may take that has a thread a core, and waits for the one that has least of a core.

    Each of the others keeps a core, and shares it with one thread; from as many as cores on, all share alike.
    """
    return 2.0 if others <= cores else (cores + others) / cores


def comparison(
    name: str, setting: str, alternative: str, aim: float, ours: Sequence[float], other: Sequence[float]
) -> Comparison:
    return Comparison(
        name=name,
        setting=setting,
        alternative_name=alternative,
        unit="ms",
        figure="ratio",
        aim=aim,
        ours=ours,
        alternative=other,
    )


def in_turn(
    workers: Sequence["subprocess.Popen[str]"], others: Sequence["subprocess.Popen[bytes]"], steps: int, seconds: float
) -> dict[int, list[tuple[float, ...]]]:
    """Milliseconds a step of each worker, beside each number of programs, turn after turn."""
    turns: dict[int, list[tuple[float, ...]]] = {number: [] for number in AIMS}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(turns[0]) < LEAST:
        for number, times in turns.items():
            for program in others[:number]:
                program.send_signal(signal.SIGCONT)
            times.append(tuple(1000 * take_steps(worker, steps) for worker in workers))
            for program in others[:number]:
                program.send_signal(signal.SIGSTOP)
    return turns


@contextmanager
def training(network: str, code: str) -> Iterator["subprocess.Popen[str]"]:
    """A training in a process of its own that steps when told; what the user has set of OpenMP does not reach it."""
    unset = (*OF_THE_USER, "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])
    command = [sys.executable, "-c", code, network]
    worker = subprocess.Popen(
        command, env=environment, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        take_steps(worker, NETWORKS[network][1] + 2)  # warm
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def take_steps(worker: "subprocess.Popen[str]", number: int) -> float:
    """Seconds a step, of so many after one that is not counted, begun when no thread of the last turn spins."""
    time.sleep(SETTLED)
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(f"{number}\n")
    while line := worker.stdout.readline():
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise RuntimeError("the training ended")


@contextmanager
def programs(number: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """In the block so many other programs compute when they are not stopped, as they are at first."""
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(program.wait)
            stack.callback(program.kill)
            program.send_signal(signal.SIGSTOP)
            made.append(program)
        yield made


def obey() -> None:
    """In the worker: trains, as many steps as a line of standard input says, and prints how long one took."""
    from benchmarks._product import training as prepared
    from segtrain.lightning import L

    class Turns(L.Callback):
        left, number, began = 0, 0, 0.0

        def on_train_batch_start(self, *_: object) -> None:
            if self.left == 0:
                self.number = int(sys.stdin.readline())
                self.left = self.number + 1  # the first one's threads are asleep
            if self.left == self.number:
                self.began = time.perf_counter()

        def on_train_batch_end(self, *_: object) -> None:
            self.left -= 1
            if self.left == 0:
                seconds = (time.perf_counter() - self.began) / self.number
                print("seconds", seconds, file=sys.__stdout__, flush=True)  # rich takes sys.stdout

    network = sys.argv[1]
    overrides = ["data.steps_per_epoch=100000", "trainer.max_epochs=1", "checkpoint.every=null", *NETWORKS[network][0]]
    model: dict[str, Any] = {"model": {"_target_": "benchmarks.step.one_convolution"}}
    tiny = model if network == "one convolution" else {}
    with tempfile.TemporaryDirectory() as folder, prepared(overrides, tiny, Path(folder)) as (parts, batches):
        parts.trainer.callbacks.append(Turns())  # type: ignore[attr-defined]
        parts.trainer.fit(parts.module, batches)
