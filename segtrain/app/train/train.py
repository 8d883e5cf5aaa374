"""`python -m segtrain train`: one run, from config to results."""

import time
from typing import Any

from omegaconf import DictConfig

from segtrain.app.train.early_checks import look_first, run_of
from segtrain.app.train.open_run import leaving_nothing, open_run
from segtrain.interrupts import Stops
from segtrain.printable import print_text
from segtrain.runs.lock import Lock


def train(config: DictConfig) -> dict[str, Any]:
    """Trains, keeps the best checkpoint by val/dice, tests it once; everything that comes out is in the run folder.

    The same command again goes on where a run stopped, and repeats none that is finished.

    Returns:
        The flat results, as in results.json.
    """
    began, run = time.monotonic(), run_of(config)
    data = look_first(config, run)
    with Stops() as stops, leaving_nothing(run), Lock(run.path):
        opened = open_run(config, run)
        if opened.finished:
            print_text(f"{run.path} is finished already; nothing was run, its results are as they were")
            return run.read_json("results.json")
        from segtrain.app.train.fit_run import fit  # torch, which takes seconds: mistakes are told by now

        return fit(opened, data, stops, began)
