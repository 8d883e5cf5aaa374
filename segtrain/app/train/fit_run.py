"""From an opened run to its results: assemble, train, test, write."""

import time
from typing import Any

import torch

from segtrain.app.train.assembly import Parts, assemble
from segtrain.app.train.failures import explained
from segtrain.app.train.open_run import Opened
from segtrain.app.train.results import write_pictures, write_results
from segtrain.app.train.terminal import Terminal
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.parts.data import OpenData
from segtrain.parts.trained_run import about
from segtrain.runs import checkpoint


def fit(opened: Opened, data: OpenData | None, stops: Stops, began: float) -> dict[str, Any]:
    """Returns the flat results of the run, trained and tested, as in results.json.

    Args:
        opened: the run, which this process holds the lock of.
        data: of its config, where they are open already.
        stops: entered.
        began: when the command did, as time.monotonic.
    """
    config, run = opened.config, opened.run
    with opened.status(), Terminal(run.log) as terminal:
        torch.set_num_threads(config.threads)
        L.seed_everything(config.seed, verbose=False)
        parts = assemble(config, run, terminal, stops, opened.keeps_split, data)
        terminal.header(parts, resumed_from=opened.checkpoint)
        opened.require_same_data(parts)
        stops.check()  # one that came while an object was deleted was swallowed
        with explained(parts, stops):
            if opened.changed is None:
                begin(opened, parts)
            taken_up = L.pytorch.callbacks.LambdaCallback(on_train_start=lambda *_: begin(opened, parts))
            parts.trainer.callbacks.insert(0, taken_up)  # type: ignore[attr-defined]
            with stops.deferred():
                parts.trainer.fit(parts.module, parts.data, ckpt_path=opened.checkpoint, weights_only=True)
            begin(opened, parts)  # no step was left
            best = checkpoint.read_training(run.best_checkpoint)
            parts.module.load_state_dict(best["state_dict"])
            known = about(parts.dataset, best["epoch"], parts.pixels)
            checkpoint.save_weights(run.checkpoints, best["state_dict"], known)
            with stops.deferred():
                parts.trainer.test(parts.module, parts.data, verbose=False, weights_only=True)
        results = write_results(run, parts, best_epoch=best["epoch"])
        parts.logbook.close(results)
        terminal.summary(parts, run, results, time.monotonic() - began)
    if config.checkpoint.keep == "best":
        checkpoint.keep_weights(run.checkpoints)
    return results


def begin(opened: Opened, parts: Parts) -> None:
    """Lets the folder be the run's that begins or goes on, once."""
    if not opened.begun:
        opened.begin(parts)
        write_pictures(opened.run, parts)
