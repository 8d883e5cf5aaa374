"""Builds the network that a config names, and takes one up from a run folder with its weights, without its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from segtrain import plain_files
from segtrain.compat import register_torchvision_operators
from segtrain.config.objects import build
from segtrain.config.run_config import Node, RunConfig
from segtrain.data.pixel_meaning import PixelMeaning
from segtrain.errors import UserError, damaged
from segtrain.files import require_regular
from segtrain.model.ensemble import AveragedNetwork
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.runs import checkpoint, run_files
from segtrain.runs.contents import about_problem
from segtrain.runs.folder import RunFolder

if TYPE_CHECKING:
    from segtrain.data.datasets import SegmentationDataset  # none is read: of a finished run all is in its folder

RGB = tuple[int, int, int]


def build_network(model: Node, channels: int, classes: int) -> nn.Module:
    """Returns the network for so many channels of an image and so many classes.

    Raises:
        UserError: a single class; a config that says otherwise; pretrained weights that cannot be had, with what to do
            offline.
    """
    if classes < 2:
        raise UserError(
            f"the data have {classes} class, so that every pixel is of it and there is nothing to learn; expected two "
            "or more, such as background beside what is sought; name the other in dataset.classes"
        )
    shape: dict[str, Any] = {"in_channels": channels, "classes": classes}
    for key, value in shape.items():
        said = model.get(key, value)
        if said == 1 and shape["classes"] == 2 and key == "classes":
            shape[key] = 1  # one logit, of the second class against the first
        elif said != value:
            raise UserError(
                f"model.{key} is {said}, and the data have {value}; expected the data's own{_or_one(key, value)}; got "
                f"{said}: the network and the labels would not mean the same; leave model.{key} out; a run that was "
                f"trained with {said}, which earlier versions took and miscounted, is to be trained anew without it"
            )
    register_torchvision_operators()  # libraries of networks import torchvision
    try:
        network: nn.Module = build(model, **shape)
    except UserError as error:
        weights = model.get("encoder_weights")
        if weights is None:
            raise
        raise UserError(
            f"the weights model.encoder_weights={weights} for {model.get('encoder_name')} cannot be had: "
            f"{error}; expected a download from the model hub or a copy in its cache; without a network, run once "
            "where there is one and carry the folder named by HF_HOME (or TORCH_HOME) over, or train from random "
            "weights with model.encoder_weights=null"
        ) from error
    return network


def _or_one(key: str, value: int) -> str:
    return ", or 1: one logit for two classes" if (key, value) == ("classes", 2) else ""


@dataclass(frozen=True)
class Loaded:
    """Holds a run's best weights in its network, and what its labels mean."""

    run: RunFolder
    config: RunConfig  # the run's own
    model: NormalisedNetwork
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    channels: int
    ignore_index: int
    epoch: int  # of the best checkpoint, from 0
    pixels: PixelMeaning | None  # of the training images; None: not known, of an earlier version
    others: tuple["Loaded", ...] = ()  # further runs whose networks `model` averages; all else is of the first one

    @property
    def all(self) -> tuple["Loaded", ...]:
        """Returns every run whose network `model` holds, itself first."""
        return (self, *self.others)


def about(dataset: "SegmentationDataset", epoch: int, pixels: PixelMeaning | None = None) -> dict[str, Any]:
    """Returns what stands beside the weights, so that they can be used where the data is not."""
    return {
        "epoch": epoch,
        "classes": list(dataset.classes),
        "palette": [list(colour) for colour in dataset.palette],
        "channels": dataset.channels,
        "ignore_index": dataset.ignore_index,
        "pixels": None if pixels is None else pixels.to_json(),
    }


def load_runs(runs: Sequence[RunFolder]) -> list[Loaded]:
    """Returns the best weights of runs whose labels mean the same, each as `load_run` does.

    Raises:
        UserError: as `load_run`, or runs that differ in classes or channels.
    """
    first, *others = [load_run(run) for run in runs]
    for other in others:
        if (other.classes, other.channels) != (first.classes, first.channels):
            raise UserError(
                f"'{other.run.path}' has the classes {', '.join(other.classes)} and {other.channels} channels; "
                f"expected those of '{first.run.path}': {', '.join(first.classes)} and {first.channels}; give runs of "
                "one dataset"
            )
    return [first, *others]


def load_average(runs: Sequence[RunFolder]) -> Loaded:
    """Returns runs as one whose network averages their probabilities; one run alone is returned as it is.

    Raises:
        UserError: as `load_runs`.
    """
    first, *others = load_runs(runs)
    if not others:
        return first
    model = AveragedNetwork([one.model for one in (first, *others)]).eval()
    return replace(first, model=model, others=tuple(others))


def load_run(run: RunFolder) -> Loaded:
    """Returns the best weights of a run in its network, on the CPU, in evaluation mode.

    Of a run that has not finished, those of its best checkpoint so far, for which its data must be there.

    Raises:
        UserError: no run, no weights, a damaged file, or weights of another network than the config's.
    """
    config = RunConfig(run.config())
    state, known = _weights(run, config)
    network = build_network(without_download(config.model), known["channels"], len(known["classes"]))
    model = NormalisedNetwork(network, [0.0] * known["channels"], [1.0] * known["channels"])
    if bad := [name for name, each in state.items() if each.is_floating_point() and not each.isfinite().all()]:
        raise UserError(
            f"the weights of '{run.path}' are no finite numbers; expected none such; got {len(bad)} tensors of them, "
            f"the first {bad[0]}; restore the folder, or train again"
        )
    mine = {key: value for key, value in state.items() if key in ("mean", "std") or key.startswith("network.")}
    if "mean" in mine:
        model.to(mine["mean"].dtype)  # float64 of a training in 64-true
    try:
        model.load_state_dict(mine)
    except RuntimeError as error:
        raise UserError(
            f"the weights of '{run.path}' do not fit the network of its {run_files.CONFIG}; expected the two as they "
            f"came out of training; got: {' '.join(str(error).split())[:300]}; restore the folder, or train again"
        ) from error
    palette = tuple((int(r), int(g), int(b)) for r, g, b in known["palette"])
    classes, rest = tuple(known["classes"]), (known["channels"], known["ignore_index"], known["epoch"])
    model.eval().requires_grad_(False)
    return Loaded(run, config, model, classes, palette, *rest, PixelMeaning.from_json(known.get("pixels")))


def _weights(run: RunFolder, config: RunConfig) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Returns the weights by name, and `about` them."""
    path = run.best_weights
    if path is None:
        raise UserError(
            f"'{run.path}' has no weights yet; expected {run_files.CHECKPOINTS}/{run_files.WEIGHTS}, or "
            f"{run_files.BEST} of a run under way; got neither; its status is {run.status['state']}; go on with it: "
            f"resume='{run.path}'"
        )
    if path.name == run_files.WEIGHTS:
        try:
            require_regular(path)
            with safe_open(path, "pt") as file:
                known = plain_files.read_json((file.metadata() or {})["segtrain"], path)
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise UserError(
                f"'{path}' cannot be read; expected the weights that segtrain wrote; got: {error}; "
                "restore the file, or train again"
            ) from error
        if problem := about_problem(known):
            raise damaged(path, problem, "what training writes beside the weights")
        return state, known if "classes" in known else about(_dataset(config), known["epoch"])
    saved: Mapping[str, Any] = checkpoint.read_training(path)
    pixels = PixelMeaning.from_json(run.split.get("pixels"))
    return dict(saved["state_dict"]), about(_dataset(config), saved["epoch"], pixels)


def _dataset(config: RunConfig) -> "SegmentationDataset":
    """Returns the data set of a run whose weights do not say what its labels mean; others need none of its readers."""
    from segtrain.parts.data import build_dataset

    return build_dataset(config)


def without_download(model: Node) -> Node:
    """Returns a network with random weights asked for: those of a run come next, and smp's default is a download."""
    if "encoder_weights" in model or model._target_.startswith("segmentation_models_pytorch."):
        return model.but(encoder_weights=None)
    return model
