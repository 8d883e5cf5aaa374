"""Brings Lightning as `L`, imported after `compat` has made its own imports (torchmetrics, torchvision) possible."""

import logging
import warnings

from segtrain.compat import register_torchvision_operators

register_torchvision_operators()
# Of its own calls into torch: https://github.com/Lightning-AI/pytorch-lightning/issues/21326
warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
# Loading in the training process is a choice (data.num_workers), and the results are the same.
warnings.filterwarnings("ignore", ".*does not have many workers.*")
# Our sampler does resume within an epoch, which Lightning asks of a loader instead (training_epoch_loop.py, reset).
warnings.filterwarnings("ignore", ".*ended before the epoch ended and your dataloader is not resumable.*")
# Ranks have gathered what they log: each logs the same number, of all.
warnings.filterwarnings("ignore", ".*sync_dist=True.*when logging on epoch level in distributed setting.*")

import lightning as L  # noqa: E402

# It tells of stages that our own header and bar show, and advertises.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

__all__ = ["L"]
