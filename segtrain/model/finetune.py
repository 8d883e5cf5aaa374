"""Training a network whose encoder knows something already: held still at first, moved in smaller steps."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from segtrain.errors import UserError


def encoder_of(network: nn.Module, option: str) -> nn.Module:
    """The part of the network that `option`, such as "freeze_encoder=2", is about: its attribute `encoder`.

    Raises:
        UserError: the network has none.
    """
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        return encoder
    raise UserError(
        f"{option} is about the network's encoder; expected a network with an attribute `encoder`, as all of "
        f"segmentation_models_pytorch have; got {type(network).__name__} without one; leave the option out"
    )


def hold(encoder: nn.Module, still: bool) -> None:
    """Hold the encoder still, or let it go: no gradient, and evaluation mode, so that its statistics stay too.

    To be asked before each training step: what is as it should be costs nothing.
    """
    if encoder.training is still:
        encoder.train(not still)
        encoder.requires_grad_(not still)


def groups(network: nn.Module, others: Iterable[nn.Parameter], encoder_lr: float) -> list[Any]:
    """What an optimizer is handed: parameters; or two groups, the encoder's last, when its lr is to be another one."""
    if encoder_lr == 1:
        return [*network.parameters(), *others]
    own = list(encoder_of(network, f"encoder_lr={encoder_lr:g}").parameters())
    known = {id(parameter) for parameter in own}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": [*rest, *others]}, {"params": own}]  # the first is the one whose lr metrics.csv shows


def scale_last(optimizer: Optimizer, encoder_lr: float) -> None:
    """Scale the lr of the encoder's group; before a scheduler is built, which starts from each group's own."""
    if encoder_lr != 1:
        optimizer.param_groups[-1]["lr"] *= encoder_lr
