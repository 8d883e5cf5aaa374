"""Reads what CMA-ES keeps between trials: optuna pickles it into the study, and a study may be a stranger's.

Only what such a state consists of is made of a pickle; whatever else it names is refused, and not called.
"""

import io
import pickle
import sys
from typing import Any

from segtrain.errors import UserError

PARTS = {
    ("cmaes._cma", "CMA"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
}


class State(pickle.Unpickler):
    """Reads a pickle that may hold numbers, arrays of numbers, and the optimizer's own class."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the class of that name.

        Raises:
            UserError: it is no part of a state.
        """
        if (module, name) not in PARTS:
            raise UserError(
                f"the study's state of cmaes names {module}.{name}, which is no part of it; expected what optuna "
                "writes; the study is damaged or was made to run something: search with another name=…"
            )
        return super().find_class(module, name)


def loads(content: bytes) -> Any:
    """Returns the object of a pickle.

    Raises:
        UserError: it names something else than a state's parts, or is no pickle.
    """
    try:
        return State(io.BytesIO(content)).load()
    except UserError:
        raise
    except Exception as error:  # whatever broken bytes make pickle do
        raise UserError(
            f"the study's state of cmaes cannot be read: {' '.join(str(error).split())}; search with another name=…"
        ) from error


dumps = pickle.dumps  # of our own state


def guard_sampler(library: Any) -> Any:
    """Returns optuna's CmaEsSampler, which reads its states by this module from now on; `library` is optuna."""
    library.samplers._cmaes.pickle = sys.modules[__name__]
    return library.samplers.CmaEsSampler
