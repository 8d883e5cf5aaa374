"""Checks what a config says, and turns its nodes into objects."""

import importlib
from typing import Any

# What cluster jobs that an earlier version pickled ask for here; see `segtrain.app.elsewhere`.
FORMER = ("_env", "_threads", "_run_name", "_amount", "_span", "_chance")


def __getattr__(name: str) -> Any:
    """Returns a resolver by its former name.

    Raises:
        AttributeError: no earlier version had such a name here.
    """
    if name not in FORMER:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    composition = importlib.import_module("segtrain.config.composition")
    scaled = composition.SCALED.get(name.removeprefix("_"))
    return composition._by_strength(scaled) if scaled else getattr(composition, name)
