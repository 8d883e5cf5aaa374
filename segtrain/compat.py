"""Puts right what other packages need before they are imported."""

import importlib.util
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder

import torch

# The two operators that `import torchvision` looks up; both have this one schema.
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# A schema lives as long as the Library that defined it, so it is kept here for the life of the process.
_kept: list[torch.library.Library] = []


def register_torchvision_operators() -> None:
    """Makes `import torchvision` work where its compiled operators cannot be loaded.

    A torchvision that was built for another torch (the registry's beside a CPU torch, say) fails at import
    with "operator torchvision::nms does not exist", and smp, timm and torchmetrics import it. This defines
    the missing schemas; they have no kernel, so calling such an operator stays an error.

    Call it before the first import of torchvision. It does not import torchvision itself, does nothing where
    torchvision is not installed or its operators exist, and may be called again.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not _missing():
        return
    for folder in spec.submodule_search_locations or ():
        _load_compiled(folder)
    if _missing():
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _missing():
            library.define(name + _SCHEMA)  # type: ignore[no-untyped-call]
        _kept.append(library)


def _missing() -> list[str]:
    return [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]


def _load_compiled(folder: str) -> None:
    """Load torchvision's own operators the way its `extension.py` does; its second load then does nothing."""
    if sys.platform == "win32":
        os.add_dll_directory(folder)
    spec = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if spec is None or spec.origin is None:
        return
    try:
        torch.ops.load_library(spec.origin)  # type: ignore[no-untyped-call]
    except (ImportError, OSError):
        return  # built for another torch: the schemas stand in
