"""segtrain: find out, by careful experiment, which augmentation helps your segmentation data.

conf ─▶ app/train ─▶ dataset ─▶ aug ─▶ datamodule ─▶ module(net, loss, metrics) ─▶ trainer ─▶ run folder ─▶ report
"""

__version__ = "0.1.0"
