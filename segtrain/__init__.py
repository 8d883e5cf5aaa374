"""segtrain: find out, by careful experiment, which augmentation helps your segmentation data.

conf ─▶ app/train ─▶ dataset ─▶ aug ─▶ datamodule ─▶ module(net, loss, metrics) ─▶ trainer ─▶ run folder ─▶ report
"""

import importlib
from typing import Any

__version__ = "0.1.0"


def load(run: Any, **options: Any) -> Any:
    """A `segtrain.app.predictor.Predictor` of a run, several, or an exported file: `load("RUN").predict(image)`.

    See `segtrain.app.predictor.load`; imported here, so that `import segtrain` stays fast.
    """
    return importlib.import_module("segtrain.app.predictor").load(run, **options)
