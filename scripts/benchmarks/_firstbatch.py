"""What scripts/benchmarks/manifest.py measures, in a process of its own.

python -m benchmarks._firstbatch start MANIFEST LAUNCHED OUTPUTS    seconds since the launch, bytes at the peak
python -m benchmarks._firstbatch index MANIFEST                     bytes by which the peak grows
"""

import json
import re
import sys
import time
from pathlib import Path

from segtrain.data.datasets import Csv
from segtrain.data.split import Ratios

CLASSES = {"background": 0, "cell": 1}


def start(manifest: str, launched: str, outputs: str) -> list[float]:
    """A training up to its first batch."""
    import torch

    from benchmarks._product import composed
    from segtrain.app.train.assembly import assemble
    from segtrain.app.train.open_run import open_run
    from segtrain.app.train.terminal import Terminal
    from segtrain.app.train.train import run_of
    from segtrain.interrupts import Stops
    from segtrain.lightning import L

    given = [f"dataset.manifest={manifest}", "dataset.classes={background:0,cell:1}", "data.num_workers=0"]
    config = composed(["dataset=csv", *given, "data.crop=64", f"outputs={outputs}"])
    run = run_of(config)
    run.path.mkdir(parents=True, exist_ok=True)  # as the lock of a run makes it
    opened = open_run(config, run)
    with Terminal(opened.run.path / "train.log") as terminal:
        torch.set_num_threads(opened.config.threads)
        L.seed_everything(opened.config.seed, verbose=False)
        parts = assemble(opened.config, opened.run, terminal, Stops())
        opened.begin(parts)
        batch = next(iter(parts.data.train_dataloader()))
    assert batch["image"].shape == (4, 1, 64, 64)
    return [time.monotonic() - float(launched), peak()]


def index(manifest: str) -> list[float]:
    """The data set and its split, and nothing else."""
    before = peak()
    dataset = Csv(manifest, CLASSES)
    split = Ratios(0.15, 0.15).assign(dataset.ids, dataset.splits, dataset.groups)
    assert sum(map(len, split)) == len(dataset.ids)
    return [peak() - before]


def peak() -> int:
    """Bytes of resident memory at most; unlike getrusage's it knows nothing of the process before exec."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    print(json.dumps({"start": start, "index": index}[sys.argv[1]](*sys.argv[2:])))
