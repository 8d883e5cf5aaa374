"""Writes a network as one of three kinds of file, opens each again, and says in it what the network is."""

import hashlib
import importlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import safe_open
from torch.export import Dim, ExportedProgram

import segtrain
from segtrain.config.run_config import Node
from segtrain.errors import UserError
from segtrain.files import bytes_of, created, opened, require_regular
from segtrain.model.ensemble import AveragedNetwork
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.padding import STRIDE, largest
from segtrain.parts.limits import least_size
from segtrain.parts.network import Loaded, build_network, without_download
from segtrain.parts.onnx_file import KEY, onnxruntime, open_onnx
from segtrain.parts.predictor import reading_of
from segtrain.runs import run_files
from segtrain.runs.ensemble import run_name
from segtrain.runs.epochs import written
from segtrain.runs.folder import RunFolder

About = dict[str, Any]
Model = Callable[[torch.Tensor], torch.Tensor]

LARGEST = 2_000_000_000  # bytes of weights: a protobuf, which an ONNX file is, ends at 2 GiB
# Sides are whole strides: sizes within the network are then plain multiples, and nothing rounds. From 2: where a side
# may be 1, torch would write a graph for that case alone.
SHAPE = {0: Dim("batch"), 2: STRIDE * Dim("rows", min=2), 3: STRIDE * Dim("columns", min=2)}


class Format(NamedTuple):
    """Holds a kind of file."""

    suffix: str
    least: int  # pixels, the shortest side of an image that the file takes
    ready: Callable[[], None]  # raises UserError where a package is missing
    write: Callable[
        [NormalisedNetwork, About, Path], None
    ]  # raises UserError where the network cannot become such a file
    open: Callable[[Path], tuple[Model, About]]  # may run what the file holds: for a file of this process's alone
    about: Callable[[Path], About]  # what any file says of itself; nothing in it runs


def describe_export(loaded: Loaded, least: int) -> About:
    """Returns what it takes to use the network without segtrain, and where it comes from: plain values, no path."""
    config, model, channels = loaded.config, loaded.model, loaded.channels
    network = dict(config.model)
    height, width = largest([(least, least), *(least_size(one.config) for one in loaded.all)])
    configs = [bytes_of(one.run.path / run_files.CONFIG) for one in loaded.all]
    others = [one.pixels.to_json() for one in loaded.others if one.pixels is not None]
    outputs = model(torch.zeros(1, channels, 2 * STRIDE, 2 * STRIDE)).shape[1]
    return {
        "segtrain": segtrain.__version__,
        "run": run_names([one.run for one in loaded.all]),
        **written("epoch", loaded.epoch),
        "config_sha256": hashlib.sha256(b"".join(configs)).hexdigest(),
        "model": {"choice": config.choices.model, **network},
        "classes": list(loaded.classes),
        "palette": [list(colour) for colour in loaded.palette],
        "ignore_index": loaded.ignore_index,
        "channels": channels,
        "channel_order": "RGB" if channels == 3 else "as in the data",
        "input": "image: (N, C, H, W) float32, pixel values as stored in the file, not divided and not normalised",
        "output": f"logits: (N, {outputs}, H, W) float32; label: "
        + ("1 where the logit is above 0" if outputs == 1 else "the index of the largest"),
        "normalisation": {"inside": True, "mean": model.mean.flatten().tolist(), "std": model.std.flatten().tolist()},
        "stride": STRIDE,
        "least": [height, width],
        "padding": f"at the bottom and right, reflected without the edge (numpy.pad mode='reflect'), until H and W are "
        f"multiples of {STRIDE}, H at least {height} and W at least {width}; the logits are cut back",
        "reading": reading_of(config),
        "pixels": None if loaded.pixels is None else loaded.pixels.to_json(),
        **({"other_pixels": others} if others else {}),
    }


def run_names(runs: Sequence[RunFolder]) -> str:
    """Returns the name of a run, and of several the names of all."""
    return " + ".join(run_name(run.path) for run in runs)


def require_onnx() -> None:
    """Raises UserError where a package that ONNX needs is missing."""
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(
                f'format=onnx needs the package {package}, which is not installed; pip install "segtrain[export]"'
            ) from error
    onnxruntime()


def write_onnx(model: NormalisedNetwork, about: dict[str, Any], path: Path) -> None:
    """Writes it, `about` as JSON in its metadata; no node says where its code lies.

    Raises:
        UserError: the network cannot be followed or translated, or is too large for one file.
    """
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > LARGEST:
        raise UserError(
            f"the weights take {size / 1e9:.1f} GB; expected at most {LARGEST / 1e9:.0f} GB, which is what one ONNX "
            "file holds; use format=torch_export or format=safetensors"
        )
    with pooling_by_products():
        program = trace_network(model, about["channels"])
    images = example_images(about["channels"])
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": {"image": SHAPE}}
    try:
        translated = torch.onnx.export(program, (images,), dynamo=True, verbose=False, **names)
    except Exception as error:  # of many kinds, none of them public
        raise refusal_to_trace(model, error) from error
    assert translated is not None
    for node in translated.model.graph.all_nodes():
        node.metadata_props.clear()
    translated.model.metadata_props[KEY] = json.dumps(about)
    translated.save(path)


@contextmanager
def pooling_by_products() -> Iterator[None]:
    """Makes adaptive average pooling, in the block, a product with two matrices, which ONNX has for every size.

    torch's own is translated for the sizes that it was followed with alone, and gives other numbers at others. Pooling
    to a single place is a mean, and stays.
    """
    own = torch.nn.functional.adaptive_avg_pool2d

    def pooled(images: torch.Tensor, output_size: Any) -> torch.Tensor:
        rows, columns = output_size if isinstance(output_size, list | tuple) else (output_size, output_size)
        if (rows, columns) == (1, 1) or None in (rows, columns):
            return own(images, output_size)
        return pooling_shares(images.shape[-2], rows) @ images @ pooling_shares(images.shape[-1], columns).T

    torch.nn.functional.adaptive_avg_pool2d = pooled  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.nn.functional.adaptive_avg_pool2d = own


def pooling_shares(length: int, places: int) -> torch.Tensor:
    """Returns the share of each of `length` values in each of `places` means: (places, length), rows that sum to 1.

    Place i is the mean of the values from floor(i * length / places) on, and below ceil((i + 1) * length / places).
    Source: torch.nn.AdaptiveAvgPool2d, whose places overlap where length is no multiple.
    """
    place, value = torch.arange(places)[:, None], torch.arange(length)[None]
    inside = (value >= place * length // places) & (value < ((place + 1) * length + places - 1) // places)
    counted = inside.float()
    return counted / counted.sum(1, keepdim=True)


def example_images(channels: int) -> torch.Tensor:
    """Returns images to follow the network on: no two sizes are alike, lest they be taken for the same."""
    return torch.rand(2, channels, 3 * STRIDE, 4 * STRIDE) * 255


def trace_network(model: NormalisedNetwork, channels: int) -> ExportedProgram:
    """Returns the network's graph for every batch and size; it names no file and no line of code of this machine.

    Raises:
        UserError: torch cannot follow the network for sizes that vary.
    """
    try:
        program = torch.export.export(model, (example_images(channels),), dynamic_shapes={"image": SHAPE})
    except Exception as error:  # of many kinds, none of them public
        raise refusal_to_trace(model, error) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def refusal_to_trace(model: NormalisedNetwork, error: Exception) -> UserError:
    """Returns what to tell the user when a network cannot become a graph."""
    name = type(model.network).__name__
    return UserError(
        f"{name} cannot be exported as a graph; expected a network that torch.export follows for every size; "
        f"got: {' '.join(str(error).split())[:300]}; export the weights: format=safetensors"
    )


def _write_torch_export(model: NormalisedNetwork, about: About, path: Path) -> None:
    program, buffer = trace_network(model, about["channels"]), io.BytesIO()
    with (
        warnings.catch_warnings()
    ):  # torch takes weights in channels_last for parts of larger ones; the check would tell
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(program, buffer, extra_files={KEY: json.dumps(about)})
    with created(path) as file:
        file.write(buffer.getbuffer())


def _open_torch_export(path: Path) -> tuple[Model, About]:
    extra = {KEY: ""}
    with opened(path) as file:
        program = torch.export.load(file, extra_files=extra)
    return program.module(), json.loads(extra[KEY])


def _about_torch_export(path: Path) -> About:
    """Reads the archive alone: torch.export.load unpickles what a file holds."""
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"/extra/{KEY}"))
        return dict(json.loads(archive.read(name)))


def _write_safetensors(model: NormalisedNetwork, about: About, path: Path) -> None:
    if isinstance(model, AveragedNetwork):
        raise UserError(
            f"format=safetensors holds the weights of one network, and {about['run']} are several; expected one run; "
            "give one of them, or format=onnx or format=torch_export, which hold them all"
        )
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with created(path) as file:
        file.write(safetensors.torch.save(state, {KEY: json.dumps(about)}))


def _about_safetensors(path: Path) -> About:
    require_regular(path)
    with safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()[KEY]))


def _open_safetensors(path: Path) -> tuple[Model, About]:
    require_regular(path)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()[KEY])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    model = {key: value for key, value in about["model"].items() if key != "choice"}
    node = without_download(Node(model, f"model/{about['model']['choice']}.yaml"))
    network = build_network(node, about["channels"], len(about["classes"]))
    trained = NormalisedNetwork(network, about["normalisation"]["mean"], about["normalisation"]["std"])
    trained.load_state_dict(state)
    return trained.eval().requires_grad_(False), about


FORMATS = {
    "onnx": Format(".onnx", STRIDE, require_onnx, write_onnx, open_onnx, lambda path: open_onnx(path)[1]),
    # 2: torch.export keeps the sizes for which no side is 1 anywhere in the network
    "torch_export": Format(
        ".pt2", 2 * STRIDE, lambda: None, _write_torch_export, _open_torch_export, _about_torch_export
    ),
    "safetensors": Format(
        ".safetensors", STRIDE, lambda: None, _write_safetensors, _open_safetensors, _about_safetensors
    ),
}
