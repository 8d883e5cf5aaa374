"""Builds the network that a config names, and its loss."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from segtrain.config.objects import build
from segtrain.config.run_config import Node, RunConfig
from segtrain.errors import UserError
from segtrain.parts.cached import Feeding


def build_network(model: Node, channels: int, classes: int) -> nn.Module:
    """The network for so many channels of an image and so many classes.

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


def build_loss(config: RunConfig, feeding: Feeding, train: Sequence[int]) -> nn.Module:
    """The loss; class weights that are asked for by name are those of the samples `train`."""
    named = {key: config.loss[key] for key in ("class_weights", "alpha") if isinstance(config.loss.get(key), str)}
    weights: dict[str, Any] = {key: feeding.class_weights(kind, train) for key, kind in named.items()}
    ignore_index = feeding.dataset.ignore_index
    loss: nn.Module = build(config.loss, ignore_index=ignore_index, **weights)
    return loss
