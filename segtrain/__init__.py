"""segtrain: find out, by careful experiment, which augmentation helps your segmentation data.

conf ─▶ app/train ─▶ dataset ─▶ aug ─▶ datamodule ─▶ module(net, loss, metrics) ─▶ trainer ─▶ run folder ─▶ report
"""

import importlib
from typing import Any

__version__ = "0.1.0"


def load(run: Any, **options: Any) -> Any:
    """A `segtrain.app.predictor.Predictor` of a run, several, or an exported file: `load("RUN").predict(image)`.

    See `segtrain.app.predictor.load`; imported here, so that `import segtrain` stays fast. The environment of the
    process stays as it is: how OpenMP's threads wait (`segtrain.openmp`) only commands decide.
    """
    return importlib.import_module("segtrain.app.predictor").load(run, **options)
