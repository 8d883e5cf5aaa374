"""Opens an exported ONNX file as a callable on torch tensors: what predict model=FILE.onnx runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segtrain.errors import UserError
from segtrain.files import require_regular
from segtrain.parts.device import device_of

KEY = "segtrain"  # of the file's metadata: a JSON object, see segtrain.app.export.formats.describe_export
NEEDED = ("classes", "palette", "channels", "ignore_index", "stride")  # of it, to predict
CUDA = "CUDAExecutionProvider"  # onnxruntime's name; only the package onnxruntime-gpu has it


def open_onnx(path: str | Path, device: str = "auto") -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """Returns the network in the file, and what its metadata says about it.

    The network takes images (N, C, H, W) as stored, uint8 or float, on any device, and gives logits (N, K, H, W)
    float32 on the same; H and W are multiples of the metadata's stride, and N, H, W at least 1. It computes with as
    many threads as torch.

    Args:
        path: of the file.
        device: cpu, gpu, or auto: a GPU where torch sees one and onnxruntime can use it.

    Raises:
        UserError: onnxruntime is not installed; no such file, or not one that `segtrain export` wrote; no such device.
    """
    path = Path(path)
    session = _session(path, device)
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    except (KeyError, ValueError):
        about = {}
    if not isinstance(about, dict) or not about.keys() >= set(NEEDED):
        raise UserError(
            f"'{path}' is an ONNX model, but not one that segtrain exported; expected metadata '{KEY}' with classes, "
            "channels and padding; got none of it; export a run: python -m segtrain export run=RUN format=onnx"
        )

    def network(images: Tensor) -> Tensor:
        stored = images.detach().to("cpu", torch.float32).contiguous().numpy()
        (logits,) = session.run(None, {session.get_inputs()[0].name: stored})
        return torch.from_numpy(logits).to(images.device)

    return network, about


def _session(path: Path, device: str) -> Any:
    """Returns the file opened by onnxruntime."""
    if not path.is_file():
        raise UserError(
            f"there is no model '{path}'; expected an ONNX file that segtrain exported; got no such file; "
            "export a run: python -m segtrain export run=RUN format=onnx"
        )
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; its warnings are about its own choices
    providers = [CUDA] if device_of(device) == "cuda" and CUDA in ort.get_available_providers() else []
    if device in ("gpu", "cuda") and not providers:
        raise UserError(
            f"device={device}, but onnxruntime has no {CUDA} here; expected the package onnxruntime-gpu; use "
            "device=cpu, or install that package in place of onnxruntime"
        )
    require_regular(path)
    try:
        return ort.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # its classes are in a private module, one a status code
        raise UserError(
            f"'{path}' cannot be opened as an ONNX model; expected a file that segtrain exported; "
            f"got: {' '.join(str(error).split())[:300]}; export the run again"
        ) from error


def onnxruntime() -> Any:
    """Returns the package.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnxruntime as ort  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            'an ONNX model needs the package onnxruntime, which is not installed; pip install "segtrain[export]"'
        ) from error
    return ort
