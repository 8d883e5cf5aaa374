"""A network followed by torch.export: one graph for every batch and size."""

import torch
from torch.export import Dim, ExportedProgram

from segtrain.errors import UserError
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.padding import STRIDE

# Sides are whole strides: sizes within the network are then plain multiples, and nothing rounds. From 2: where a side
# may be 1, torch would write a graph for that case alone.
SHAPE = {0: Dim("batch"), 2: STRIDE * Dim("rows", min=2), 3: STRIDE * Dim("columns", min=2)}


def example(channels: int) -> torch.Tensor:
    """Images to follow the network on: no two sizes are alike, lest they be taken for the same."""
    return torch.rand(2, channels, 3 * STRIDE, 4 * STRIDE) * 255


def followed(model: NormalisedNetwork, channels: int) -> ExportedProgram:
    """The network's graph; it says nothing of the machine: no file, no line of code.

    Raises:
        UserError: torch cannot follow the network for sizes that vary.
    """
    try:
        program = torch.export.export(model, (example(channels),), dynamic_shapes={"image": SHAPE})
    except Exception as error:  # of many kinds, none of them public
        raise refused(model, error) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def refused(model: NormalisedNetwork, error: Exception) -> UserError:
    """What to tell the user when a network cannot become a graph."""
    name = type(model.network).__name__
    return UserError(
        f"{name} cannot be exported as a graph; expected a network that torch.export follows for every size; "
        f"got: {' '.join(str(error).split())[:300]}; export the weights: format=safetensors"
    )
