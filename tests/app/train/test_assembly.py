"""A network of other arguments is tried once, and left as it was."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtrain.app.train.assembly import LARGEST, is_tried, try_network
from segtrain.errors import UserError

SHIPPED = {"_target_": "segmentation_models_pytorch.Unet", "encoder_name": "resnet18", "encoder_weights": None}


class Drawing(nn.Module):
    """Draws, counts, and scales its image."""

    def __init__(self, scale: float = 1, error: Exception | None = None) -> None:
        super().__init__()
        self.norm, self.frozen, self.scale, self.error = nn.BatchNorm2d(3), nn.Dropout(), scale, error
        self.frozen.eval()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.sizes.append(tuple(image.shape))
        if self.error is not None:
            raise self.error
        return nn.functional.interpolate(self.norm(image) + torch.rand(1), scale_factor=self.scale)


def test_what_fails_is_one_message_and_what_works_is_left_as_it_was() -> None:
    for network, fits in (
        (Drawing(), True),
        (Drawing(0.5), False),
        *((Drawing(error=error), False) for error in (NotImplementedError("foo"), ValueError("a\nb"), KeyError("x"))),
    ):
        before, chance = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
        if fits:
            try_network(network, 3, (40, 64), "model/x.yaml")
        else:
            with pytest.raises(UserError, match=r"^model/x.yaml is refused.*64 x 64") as caught:
                try_network(network, 3, (40, 64), "model/x.yaml")
            assert str(caught.value).isprintable()
        assert network.sizes == [(1, 3, 64, 64)]
        assert torch.equal(chance, torch.get_rng_state())
        assert network.training and network.norm.training and not network.frozen.training
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_what_takes_long_is_not_tried() -> None:
    network = Drawing()
    try_network(network, 3, (LARGEST, 32), "model/x.yaml")
    assert network.sizes == []


@pytest.mark.parametrize(
    ("more", "tried"),
    [
        ({}, False),
        ({"encoder_weights": "imagenet"}, False),
        ({"encoder_name": "resnet34"}, True),
        ({"upsampling": 3}, True),
        ({"_target_": "segmentation_models_pytorch.FPN"}, True),
        ({"_target_": "mine.Network"}, False),
    ],
)
def test_networks_of_other_arguments_are_tried(more: dict[str, Any], tried: bool) -> None:
    assert is_tried({**SHIPPED, **more}, SHIPPED) == tried
