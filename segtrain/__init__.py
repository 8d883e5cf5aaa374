"""Finds out, by careful experiment, which augmentation helps your segmentation data.

conf ─▶ app/train ─▶ dataset ─▶ aug ─▶ datamodule ─▶ module(net, loss, metrics) ─▶ trainer ─▶ run folder ─▶ report
"""

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"


def _here_last() -> str:
    """Moves the current folder, which `python -m segtrain` puts before all others, behind them, and returns it.

    It may be a data folder of a stranger's, whose yaml.py would be imported in the place of the library. A package of
    the user's own there is found as before. Returns "" where it is not first: `python -P`, PYTHONSAFEPATH, `segtrain`.
    """
    if sys.argv[:1] != ["-m"] or getattr(sys.flags, "safe_path", False) or not sys.path:
        return ""
    here = sys.path.pop(0)
    sys.path.append(here)
    if os.path.realpath(here) != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        os.environ["PYTHONSAFEPATH"] = "1"  # of the processes that this one starts, which are told this path
    return here


HERE = _here_last()


def load(run: Any, **options: Any) -> Any:
    """Returns a `segtrain.parts.predictor.Predictor` of a run, several, or an exported file.

    `load("RUN").predict(image)` predicts; see `segtrain.parts.predictor.load_predictor`. It is imported here, so that
    `import segtrain` stays fast. The environment of the process stays as it is: how OpenMP's threads wait
    (`segtrain.openmp`) only commands decide.
    """
    return importlib.import_module("segtrain.parts.predictor").load_predictor(run, **options)
