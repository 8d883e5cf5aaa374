"""What an exported file says of itself, and the three kinds of file: how each is written, and opened again."""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import safe_open

import segtrain
from segtrain.app.export.traced_network import followed
from segtrain.app.export.write_onnx import ready, write_onnx
from segtrain.config.run_config import Node
from segtrain.files import bytes_of, created, opened, require_regular
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.padding import STRIDE, largest
from segtrain.parts.network import build_network
from segtrain.parts.onnx_file import KEY, open_onnx
from segtrain.parts.predictor import reading_of
from segtrain.parts.trained_run import Loaded, without_download
from segtrain.parts.training_crop import least_size
from segtrain.runs.epochs import written

About = dict[str, Any]
Model = Callable[[torch.Tensor], torch.Tensor]


class Format(NamedTuple):
    """A kind of file."""

    suffix: str
    least: int  # pixels, the shortest side of an image that the file takes
    ready: Callable[[], None]  # raises UserError where a package is missing
    write: Callable[
        [NormalisedNetwork, About, Path], None
    ]  # raises UserError where the network cannot become such a file
    open: Callable[[Path], tuple[Model, About]]  # may run what the file holds: for a file of this process's alone
    about: Callable[[Path], About]  # what any file says of itself; nothing in it runs


def about(loaded: Loaded, least: int) -> About:
    """What it takes to use the network without segtrain, and where it comes from: plain values, no path."""
    config, model, channels = loaded.config, loaded.model, loaded.channels
    height, width = largest([(least, least), least_size(config)])
    outputs = model(torch.zeros(1, channels, 2 * STRIDE, 2 * STRIDE)).shape[1]
    return {
        "segtrain": segtrain.__version__,
        "run": run_name(loaded.run.path),
        **written("epoch", loaded.epoch),
        "config_sha256": hashlib.sha256(bytes_of(loaded.run.path / "config.yaml")).hexdigest(),
        "model": {"choice": config.choices.model, **config.model},
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
    }


def run_name(path: Path) -> str:
    """NAME/RUN, without the folders above."""
    return "/".join(path.resolve().parts[-2:])


def _write_torch_export(model: NormalisedNetwork, about: About, path: Path) -> None:
    program, buffer = followed(model, about["channels"]), io.BytesIO()
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
    """From the archive alone: torch.export.load unpickles what a file holds."""
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"/extra/{KEY}"))
        return dict(json.loads(archive.read(name)))


def _write_safetensors(model: NormalisedNetwork, about: About, path: Path) -> None:
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
    "onnx": Format(".onnx", STRIDE, ready, write_onnx, open_onnx, lambda path: open_onnx(path)[1]),
    # 2: torch.export keeps the sizes for which no side is 1 anywhere in the network
    "torch_export": Format(
        ".pt2", 2 * STRIDE, lambda: None, _write_torch_export, _open_torch_export, _about_torch_export
    ),
    "safetensors": Format(
        ".safetensors", STRIDE, lambda: None, _write_safetensors, _open_safetensors, _about_safetensors
    ),
}
