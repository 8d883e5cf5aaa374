"""Builds the network that a config names."""

from typing import Any

from torch import nn

from segtrain.compat import register_torchvision_operators
from segtrain.config.objects import build
from segtrain.config.run_config import Node
from segtrain.errors import UserError


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
