"""`python -m segtrain train`: one run, from config to results."""

import time

import torch
from omegaconf import DictConfig

from segtrain.app.assembly import assemble
from segtrain.app.opening import open_run
from segtrain.app.outcome import write_pictures, write_results
from segtrain.app.terminal import Terminal
from segtrain.lightning import L
from segtrain.runs import checkpoint


def train(config: DictConfig) -> dict[str, float]:
    """Train, keep the best checkpoint by val/dice, test it once; everything that comes out is in the run folder.

    Returns:
        The flat results, as in results.json.
    """
    began = time.monotonic()
    opened = open_run(config)
    run, config = opened.run, opened.config
    with opened.status(), Terminal(run.path / "train.log") as terminal:
        torch.set_num_threads(config.threads)
        L.seed_everything(config.seed, verbose=False)
        parts = assemble(config, run, terminal)
        terminal.header(parts, resumed_from=opened.checkpoint)
        opened.record(parts)
        write_pictures(run, parts)
        parts.trainer.fit(parts.module, parts.data, ckpt_path=opened.checkpoint, weights_only=True)
        best = checkpoint.read(run.checkpoints / "best.ckpt")
        parts.module.load_state_dict(best["state_dict"])
        parts.trainer.test(parts.module, parts.data, verbose=False, weights_only=True)
        results = write_results(run, parts, best_epoch=best["epoch"], seconds=time.monotonic() - began)
        terminal.summary(parts, run, results)
    return results
