"""How soon a training on a manifest of a million rows has its first batch, and what memory that takes.

A start is a fresh Python that does what the train verb does until the loader hands out its first training batch: it
reads the manifest, draws the split, takes statistics of 256 images, builds network and trainer, and writes config.yaml,
env.json and split.json. Seconds count from the launch of the process, memory is the peak of its resident set (VmHWM).

The rows name a million distinct images of 64 x 64 pixels and their masks, each in a group of ten: a thousand folders,
which are links to one real folder of a thousand files. The rows are shuffled, so that they must be sorted.

Memory a row is by how much the peak of another process grows while it opens the data set and draws the split, by the
number of rows, for 1,000,000 and for 100,000.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import Comparison

SECONDS_AIM = 20.0
MEMORY_AIM = 2.0  # GB
GROWTH_AIM = 1.1  # times the memory a row of a tenth of the rows
MANY, FEWER, FEW = 1_000_000, 100_000, 1_000  # rows
POOL = 1_000  # real files
REPEATS, QUICK_REPEATS = 5, 2
HERE = Path(__file__).resolve()


def run(quick: bool) -> list[Comparison]:
    """Seconds and memory against their limits, and memory a row of many rows against that of fewer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pool(folder)
        for rows in (MANY, FEWER, FEW):
            write_manifest(folder, rows)
        repeats = range(QUICK_REPEATS if quick else REPEATS)
        few, many = zip(*((start(folder, FEW), start(folder, MANY)) for _ in repeats), strict=True)
        per_row = [[growth(folder, rows) / rows for _ in repeats] for rows in (MANY, FEWER)]
    setting = f"{MANY:,} rows, 64 x 64 pixels, batch 4, no loader processes"
    print(f"with {FEW:,} rows: {min(s for s, _ in few):.1f} s and {min(gb for _, gb in few):.2f} GB at best")
    limits = (("start to first batch", "s", SECONDS_AIM), ("peak memory up to it", "GB", MEMORY_AIM))
    return [
        *(
            Comparison(name, setting, "nothing", unit, "difference", aim, [each[i] for each in many], [0.0] * len(many))
            for i, (name, unit, aim) in enumerate(limits)
        ),
        Comparison(
            "memory a row", f"{MANY:,} rows, data set and split", f"{FEWER:,}", "bytes", "ratio", GROWTH_AIM, *per_row
        ),
    ]


def make_pool(folder: Path) -> None:
    """A thousand images and masks, and a thousand links to the folder of each."""
    rng = np.random.default_rng(0)
    for kind, end in (("images", 256), ("masks", 2)):
        (folder / kind).mkdir()
        for i in range(POOL):
            Image.fromarray(rng.integers(0, end, (64, 64), np.uint8)).save(folder / kind / f"{i:03d}.png")
        for i in range(MANY // POOL):
            (folder / f"{kind}{i:03d}").symlink_to(kind)


def write_manifest(folder: Path, rows: int) -> None:
    order = list(range(rows))
    random.Random(0).shuffle(order)
    with (folder / f"{rows}.csv").open("w", encoding="utf-8") as file:
        file.write("image,mask,group\n")
        for i in order:
            path = f"{i // POOL:03d}/{i % POOL:03d}.png"
            file.write(f"images{path},masks{path},patient{i // 10}\n")


def start(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds to the first batch and GB at the peak, of a new process."""
    with tempfile.TemporaryDirectory() as outputs:
        seconds, peak = measured("start", str(folder / f"{rows}.csv"), repr(time.monotonic()), outputs)
    return seconds, peak / 1e9


def growth(folder: Path, rows: int) -> float:
    """Bytes by which a process grows with the data set and its split."""
    return measured("index", str(folder / f"{rows}.csv"))[0]


def measured(*arguments: str) -> list[float]:
    """What benchmarks._firstbatch prints.

    Raises:
        RuntimeError: it failed.
    """
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE.parents[1])])
    command = [sys.executable, "-m", "benchmarks._firstbatch", *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    return [float(number) for number in json.loads(done.stdout.splitlines()[-1])]
