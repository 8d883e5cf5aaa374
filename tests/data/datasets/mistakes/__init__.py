"""What can be wrong with data, one file a format: MISTAKES maps what is wrong to a function that makes it so and looks.

Each function is called in an empty folder of its own, with relative paths, and must raise a UserError. The messages
stand in docs/messages.md: `python scripts/mistakes.py` writes them there, and
tests/data/datasets/test_mistakes.py compares.
"""

import contextlib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from segtrain.errors import UserError

Make = Callable[[], object]


def every() -> dict[str, dict[str, Make]]:
    """Format -> what is wrong -> what makes it so."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").MISTAKES for name in names}


def message(make: Make, folder: Path) -> str:
    """What the user is told.

    Raises:
        AssertionError: nothing.
    """
    with contextlib.chdir(folder):
        try:
            make()
        except UserError as error:
            return str(error).replace(str(folder), "…")
    raise AssertionError("no UserError was raised")
