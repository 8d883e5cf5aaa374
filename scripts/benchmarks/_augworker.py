"""One peer in a process of its own: answers requests on its pipe, one JSON line each, with CPU time.

python _augworker.py PEER          started by benchmarks/_augpeers.py in the peer's environment
"""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

MODULES = {
    "ours": "_peers_ours:Ours",
    "albumentations": "_peers_cv:Albumentations",
    "albumentationsx": "_peers_cv:AlbumentationsX",
    "opencv": "_peers_cv:OpenCV",
    "torchvision": "_peers_tv:TorchVision",
    "monai": "_peers_medical:Monai",
    "batchgeneratorsv2": "_peers_medical:BatchGenerators",
    "kornia": "_peers_tv:Kornia",
    "torchtransform": "_peers_newest:TorchTransform",
    "augrs": "_peers_newest:Augrs",
    "variopinta": "_peers_newest:Variopinta",
}


class Worker:
    """A peer and the calls that were asked of it."""

    def __init__(self, name: str) -> None:
        module, kind = MODULES[name].split(":")
        self.peer = getattr(importlib.import_module(module), kind)()
        self.calls: dict[Any, Any] = {}
        self.done: dict[Any, int] = {}

    def versions(self) -> dict[str, str]:
        return {name: importlib.metadata.version(name) for name in self.peer.packages}

    def displacement(self, side: int, seconds: float) -> tuple[float, float, int] | None:
        """What its elastic does: see _augcases.statistics_of; None where it has none."""
        push = self.peer.push(side)
        return None if push is None else cases.statistics_of(push, side, seconds)

    def time(self, case: list[Any], count: int) -> float | None:
        """CPU µs of one of `count` calls in a row; None where the peer has no such.

        Two more go first and are not counted; one, or none, where that would take long.
        """
        key = cases.Case(*case)
        if key not in self.calls:
            self.calls[key] = self.peer.build(key)
            self.done[key] = 0
        call, first = self.calls[key], self.done[key]
        if call is None:
            return None
        warm = first + min(2, count - 1)
        self.done[key] = warm + count
        for i in range(first, warm):
            call(i)
        start, own = time.process_time_ns(), 0
        for i in range(warm, warm + count):
            spent = call(i)
            own += spent if isinstance(spent, int) else 0
        return (own or time.process_time_ns() - start) / count / 1e3  # a call may name the share that it asks about


def load_compat() -> None:
    """What segtrain does before the first import of torchvision, from its file: segtrain is not installed here."""
    file = Path(__file__).resolve().parents[2] / "segtrain" / "compat.py"
    spec = importlib.util.spec_from_file_location("segtrain_compat", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # it holds on to what it registers
    spec.loader.exec_module(module)
    module.register_torchvision_operators()


def serve(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints goes to the error stream
    warnings.simplefilter("ignore")
    load_compat()
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    worker = Worker(name)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        answers.write(json.dumps(getattr(worker, what)(*arguments)) + "\n")
    os._exit(0)  # no teardown: it takes a second


if __name__ == "__main__":
    import _augcases as cases

    serve(sys.argv[1])
