"""Gives a network weights to begin with: those of a file's that fit it, in a form that fits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from segtrain.errors import UserError

# What may stand before the names in a file: a run's network, and the wrappers of torch and others.
BEFORE = ("network.", "module.", "model.", "encoder.", "")
# What this network may have before them: the file may hold an encoder alone, timm's or torchvision's.
OWN = ("", "encoder.", "encoder.model.")


@dataclass
class Taken:
    """Holds what became of a file's weights, by the names of the network's."""

    matched: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)  # name -> how
    random: dict[str, str] = field(default_factory=dict)  # name -> why it was left as it was
    unused: list[str] = field(default_factory=list)  # names in the file

    @property
    def taken(self) -> list[str]:
        """Returns the names of the network's weights that came from the file."""
        return [*self.matched, *self.adapted]


def begin_with(network: nn.Module, state: Mapping[str, Tensor], channels: int) -> Taken:
    """Copies into the network what fits by name and shape; the rest stays as it is, and is listed.

    Names are compared without what a wrapper put before them, and the file may hold an encoder alone. The first layer
    takes other numbers of channels by `other_channels`.

    Args:
        network: for images of so many `channels`.
        state: tensors by name, of any float dtype.
        channels: of an image.

    Raises:
        UserError: nothing of the network's encoder, or, where it has none, of the network, is in the file; the network
            is as it was.
    """
    own = network.state_dict()  # shares memory with the network
    first, names = _first_layer(network, channels), _names(own, state)
    taken, values = Taken(unused=[name for name in state if name not in names.values()]), {}
    for name, target in own.items():
        source = state[names[name]] if name in names else None
        if source is None:
            taken.random[name] = "not in the file"
        elif source.shape == target.shape:
            values[name] = source
            taken.matched.append(name)
        elif name == first and _differ_in_channels(source, target):
            values[name] = other_channels(source, channels)
            taken.adapted[name] = f"{source.shape[1]} to {channels} channels"
        else:
            taken.random[name] = f"{_shape(source)} in the file, {_shape(target)} here"
            taken.unused.append(names[name])
    _refuse_another_network(own, state, taken)
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)
    return taken


def other_channels(weight: Tensor, channels: int) -> Tensor:
    """Returns the first convolution's weight (out, in, kh, kw) for so many channels, (out, channels, kh, kw).

    Summed for one channel, else repeated and scaled, so that an image with the same values in all channels has the
    same answer as before. What is then in a channel that meant something else must be learnt.

    Source: timm's `adapt_input_conv`, there from three channels; the same from any number.
    """
    before = weight.shape[1]
    if channels == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    repeated = weight.float().repeat(1, math.ceil(channels / before), 1, 1)[:, :channels]
    return (repeated * (before / channels)).to(weight.dtype)


def _names(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, str]:
    """Returns the network's name to the file's, of those in both, by the prefixes with which most shapes agree."""

    def paired(before: str, ours: str) -> dict[str, str]:
        pairs = {f"{ours}{name.removeprefix(before)}": name for name in state if name.startswith(before)}
        return {name: pairs[name] for name in own if name in pairs}

    def agree(pairs: Mapping[str, str]) -> tuple[int, int]:
        return sum(own[a].shape == state[b].shape and own[a].dim() > 0 for a, b in pairs.items()), len(pairs)

    return max((paired(before, ours) for before in BEFORE for ours in OWN), key=agree)


def _first_layer(network: nn.Module, channels: int) -> str | None:
    """Returns the name of the weight of the first convolution over the image's channels."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == channels and module.groups == 1:
            return f"{name}.weight"
    return None


def _differ_in_channels(source: Tensor, target: Tensor) -> bool:
    if source.dim() != 4:
        return False
    return source.shape[:1] == target.shape[:1] and source.shape[2:] == target.shape[2:]


def _refuse_another_network(own: Mapping[str, Tensor], state: Mapping[str, Tensor], result: Taken) -> None:
    """Raises UserError unless a weight of the encoder was taken: heads and the odd layer fit any two networks."""
    encoder = [name for name in own if name.startswith("encoder.")] or list(own)
    taken = {name for name in result.taken if own[name].dim() > 0}  # a counter fits anything
    if taken & set(encoder):
        return
    expected, got = (next(iter(names), "none") for names in (encoder, state))
    raise UserError(
        f"the weights are of another network: none of its {len(encoder)} "
        f"{'encoder ' if encoder[0].startswith('encoder.') else ''}weights is in the file with the same name and "
        f"shape; expected such as {expected} {_shape(own[encoder[0]])}; got such as "
        f"{got}{'' if got == 'none' else f' {_shape(state[got])}'}; choose the model of those weights (model=…, "
        "model.encoder_name=…), or other weights"
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
