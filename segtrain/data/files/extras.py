"""Gets libraries that only some formats need, when such a dataset is made."""

import importlib
from types import ModuleType

from segtrain.errors import UserError


def need(module: str, extra: str) -> ModuleType:
    """Returns the module, which segtrain's optional dependencies `extra` install.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"this dataset is read with the package {module.partition('.')[0]}; expected it to be installed; got "
            f'"{error}"; pip install "segtrain[{extra}]"'
        ) from error
