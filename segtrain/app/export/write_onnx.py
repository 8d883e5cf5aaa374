"""A network as one ONNX file."""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from segtrain.app.export.traced_network import SHAPE, example, followed, refused
from segtrain.errors import UserError
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.parts.onnx_file import KEY, onnxruntime

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


def write_onnx(model: NormalisedNetwork, about: dict[str, Any], path: Path) -> None:
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
    with pooled_by_products():
        program = followed(model, about["channels"])
    images = example(about["channels"])
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


@contextmanager
def pooled_by_products() -> Iterator[None]:
    """In the block, adaptive average pooling is a product with two matrices of shares, which ONNX has for every size.

    torch's own is translated for the sizes that it was followed with alone, and gives other numbers at others. Pooling
    to a single place is a mean, and stays.
    """
    own = torch.nn.functional.adaptive_avg_pool2d

    def pooled(images: torch.Tensor, output_size: Any) -> torch.Tensor:
        rows, columns = output_size if isinstance(output_size, list | tuple) else (output_size, output_size)
        if (rows, columns) == (1, 1) or None in (rows, columns):
            return own(images, output_size)
        return shares(images.shape[-2], rows) @ images @ shares(images.shape[-1], columns).T

    torch.nn.functional.adaptive_avg_pool2d = pooled  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.nn.functional.adaptive_avg_pool2d = own


def shares(length: int, places: int) -> torch.Tensor:
    """Returns the share of each of `length` values in each of `places` means: (places, length), rows that sum to 1.

    Place i is the mean of the values from floor(i * length / places) on, and below ceil((i + 1) * length / places).
    Source: torch.nn.AdaptiveAvgPool2d, whose places overlap where length is no multiple.
    """
    place, value = torch.arange(places)[:, None], torch.arange(length)[None]
    inside = (value >= place * length // places) & (value < ((place + 1) * length + places - 1) // places)
    counted = inside.float()
    return counted / counted.sum(1, keepdim=True)
