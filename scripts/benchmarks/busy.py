"""What it costs that OpenMP's threads spin only briefly (segtrain/openmp.py), alone and beside two busy programs.

Seconds a step of the first command of the README (a U-Net on brain_tissue, all cores, batches that are ready). Two
trainings stand side by side and take single steps in turn: one as a command sets it up, one with libgomp's own way of
waiting, which is asked for by its default, GOMP_SPINCOUNT=300000. Alone: ours against that. Beside two programs that
each keep a core busy, and are stopped for every second step: ours against ours alone, whose aim is our share of the
cores; and ours against libgomp's own way.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import Comparison

OWN_WAY = "300000"  # libgomp's default where neither GOMP_SPINCOUNT nor OMP_WAIT_POLICY is set (env.c of GCC)
ALONE_AIM = 1.03
BUSY = 2  # other programs
SETTLED = 0.06  # seconds; libgomp's own threads spin for some 10 ms after a step
WARM = 3  # steps that are not counted
SCRIPTS = Path(__file__).resolve().parents[1]
TRAINING = "from segtrain.openmp import spin_briefly; spin_briefly(); from benchmarks.busy import obey; obey()"


def run(quick: bool) -> list[Comparison]:
    """Alone, and beside others."""
    alone, beside = (20, 4) if quick else (200, 40)
    with training() as ours, training(OWN_WAY) as own:
        for worker in (ours, own):
            for _ in range(WARM):
                step(worker)
        quiet = [(step(ours), step(own)) for _ in range(alone)]
        with busy_cores(BUSY) as programs:
            shared = []
            for _ in range(beside):
                signalled(programs, signal.SIGSTOP)
                undisturbed = step(ours)
                signalled(programs, signal.SIGCONT)
                shared.append((undisturbed, step(ours), step(own)))
    cores = len(os.sched_getaffinity(0))
    name = f"beside {BUSY} busy programs on {cores} cores"
    before, during, own_during = zip(*shared, strict=True)
    share = (cores + BUSY) / cores
    return [
        comparison("alone", "libgomp's own way", ALONE_AIM, *zip(*quiet, strict=True)),
        comparison(f"{name}, against alone", "alone", share, during, before),
        comparison(name, "libgomp's own way", 1.0, during, own_during),
    ]


def comparison(name: str, alternative: str, aim: float, ours: Sequence[float], other: Sequence[float]) -> Comparison:
    return Comparison(
        name=name,
        setting="a step of unet_resnet18 on batches of 4 x 96 x 96",
        alternative_name=alternative,
        unit="s",
        figure="ratio",
        aim=aim,
        ours=ours,
        alternative=other,
    )


@contextmanager
def training(spins: str | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A training in a process of its own that steps when told, as a command sets it up, or with so many spins."""
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])
    if spins is not None:
        environment["GOMP_SPINCOUNT"] = spins
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    worker = subprocess.Popen([sys.executable, "-c", TRAINING], env=environment, text=True, bufsize=1, **pipes)
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def step(worker: "subprocess.Popen[str]") -> float:
    """Seconds that one step took, begun when the threads of the last one, of whichever training, spin no more."""
    time.sleep(SETTLED)
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write("step\n")
    while line := worker.stdout.readline():
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise RuntimeError("the training ended")


@contextmanager
def busy_cores(number: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """In the block so many other programs compute without a pause."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.wait()


def signalled(programs: Sequence["subprocess.Popen[bytes]"], number: int) -> None:
    for program in programs:
        program.send_signal(number)


def obey() -> None:
    """In the worker: trains, a step for each line of standard input, and prints how long it took."""
    from benchmarks._product import training as prepared
    from segtrain.lightning import L

    class Steps(L.Callback):
        began = 0.0

        def on_train_batch_start(self, *_: object) -> None:
            sys.stdin.readline()
            self.began = time.perf_counter()

        def on_train_batch_end(self, *_: object) -> None:
            print("seconds", time.perf_counter() - self.began, file=sys.__stdout__, flush=True)  # rich takes sys.stdout

    overrides = ["data.steps_per_epoch=2000", "trainer.max_epochs=1", "checkpoint.every=null"]
    with tempfile.TemporaryDirectory() as folder, prepared(overrides, {}, Path(folder)) as (parts, batches):
        parts.trainer.callbacks.append(Steps())  # type: ignore[attr-defined]
        parts.trainer.fit(parts.module, batches)
