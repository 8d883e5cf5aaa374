"""Gets libraries that only some formats need, when such a file is read or written."""

import importlib
from types import ModuleType

from segtrain.errors import UserError


def need(module: str, extra: str, use: str = "this dataset is read with") -> ModuleType:
    """Returns the module, which segtrain's optional dependencies `extra` install; `use` begins the message.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{use} the package {module.partition('.')[0]}; expected it to be installed; got "
            f'"{error}"; pip install "segtrain[{extra}]"'
        ) from error
