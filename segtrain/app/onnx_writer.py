"""A network as one ONNX file."""

import importlib
import json
from pathlib import Path
from typing import Any

import torch

from segtrain.app.onnx_model import KEY, onnxruntime
from segtrain.app.program import SHAPE, example, followed, refused
from segtrain.errors import UserError
from segtrain.model.trained import Trained

LARGEST = 2_000_000_000  # bytes of weights: a protobuf, which an ONNX file is, ends at 2 GiB


def ready() -> None:
    """Nothing, where all packages are there.

    Raises:
        UserError: one is missing.
    """
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(
                f'format=onnx needs the package {package}, which is not installed; pip install "segtrain[export]"'
            ) from error
    onnxruntime()


def write_onnx(model: Trained, about: dict[str, Any], path: Path) -> None:
    """Write it, `about` as JSON in its metadata; no node says where its code lies.

    Raises:
        UserError: the network cannot be followed or translated, or is too large for one file.
    """
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > LARGEST:
        raise UserError(
            f"the weights take {size / 1e9:.1f} GB; expected at most {LARGEST / 1e9:.0f} GB, which is what one ONNX "
            "file holds; use format=torch_export or format=safetensors"
        )
    program, images = followed(model, about["channels"]), example(about["channels"])
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": {"image": SHAPE}}
    try:
        translated = torch.onnx.export(program, (images,), dynamo=True, verbose=False, **names)
    except Exception as error:  # of many kinds, none of them public
        raise refused(model, error) from error
    assert translated is not None
    for node in translated.model.graph.all_nodes():
        node.metadata_props.clear()
    translated.model.metadata_props[KEY] = json.dumps(about)
    translated.save(path)
