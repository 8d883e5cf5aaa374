"""How long `python -m segtrain report` takes over the 525 runs of a sweep, in a fresh process.

Five policies at four strengths and none, 25 seeds each: copies of one real run, with 35 test images, 4 classes and 20
epochs, whose scores are made up. Against a Python that does nothing, in turn. --quick: 5 seeds each, 105 runs.
"""

import tempfile
from pathlib import Path

from benchmarks import Comparison
from benchmarks._madeup import ARMS, sweep
from benchmarks.startup import seconds

AIM = 20.0  # s for all the runs
REPEATS = 3


def run(quick: bool) -> list[Comparison]:
    """One comparison."""
    seeds = 5 if quick else 25
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        made = sweep(Path(folder), seeds)
        for _ in range(REPEATS):
            taken.append((seconds(["-m", "segtrain", "report", str(made)], made), seconds(["-c", "print(1)"], made)))
    return [
        Comparison(
            name="a sweep's report",
            setting=f"{len(ARMS) * seeds} runs, {len(ARMS)} arms, warm disk cache",
            alternative_name="an empty Python",
            unit="s",
            figure="difference",
            aim=AIM,
            ours=[ours for ours, _ in taken],
            alternative=[empty for _, empty in taken],
        )
    ]
