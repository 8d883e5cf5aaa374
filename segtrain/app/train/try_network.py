"""A network of arguments that segtrain's own files do not have, tried on one image before the training begins."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from segtrain.errors import UserError
from segtrain.padding import Size, grown_size

LARGEST = 1 << 20  # pixels of an image that is tried: a larger one takes as long as steps of the training
SILENT = ("encoder_weights", "in_channels", "classes")  # arguments that change nothing of how an image is taken


def is_tried(node: Mapping[str, Any], shipped: Mapping[str, Any]) -> bool:
    """Returns whether a network is one of segmentation_models_pytorch with other arguments than a file of conf/ says.

    Args:
        node: what it is built of, plain.
        shipped: what the file of its choice says; empty without one.
    """
    if not str(node.get("_target_", "")).startswith("segmentation_models_pytorch."):
        return False
    return any(shipped.get(key, ...) != value for key, value in node.items() if key not in SILENT)


def try_network(network: nn.Module, channels: int, size: Size, where: str) -> None:
    """Raises UserError unless the network gives logits of the size of an image; its modes and chance stay as they are.

    Args:
        network: on the CPU.
        channels: of an image.
        size: height and width of the images that it is to be trained on, in pixels; larger ones are not tried.
        where: what says its arguments, for the message.
    """
    height, width = grown_size(size)
    if height * width > LARGEST:
        return
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = network.eval()(torch.zeros(1, channels, height, width))
        reason = "" if tuple(found.shape[-2:]) == (height, width) else f"logits of {tuple(found.shape[-2:])}"
    except UserError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())[:300]}"
    finally:
        for module, mode in modes.items():
            module.training = mode
    if reason:
        raise UserError(
            f"{where} is refused: the network cannot label an image of {height} x {width} pixels; expected logits of "
            f"that size; got: {reason}; correct what was said below model, or leave it out"
        )
