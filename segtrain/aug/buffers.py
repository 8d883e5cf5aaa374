"""Scratch memory, one set a thread: kept between samples, so that no page is touched for the first time twice."""

import math
import threading
from typing import Any

import numpy as np

_LOCAL = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised array of this thread, valid until the next call with the same name; never hand it out."""
    pool: dict[str, np.ndarray] = _LOCAL.__dict__
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    memory = pool.get(name)
    if memory is None or memory.nbytes < size:
        memory = pool[name] = np.empty(size, np.uint8)
    return np.ndarray(shape, kind, memory)
