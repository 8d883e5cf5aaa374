"""The encoder held still, and its own step size."""

import copy
import functools

import pytest
import torch
from torch import nn

from segtrain.errors import UserError
from segtrain.model.module import Segmentation, hold_encoder, parameter_groups, scale_encoder_lr


class Small(nn.Module):
    """An encoder with statistics and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
        self.head = nn.Conv2d(2, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.encoder(image))
        return logits


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(torch.randn(2, 1, 8, 8)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_held_still_neither_weights_nor_statistics_move_and_then_they_do(optimizer) -> None:
    torch.manual_seed(0)
    network = Small()
    descent = optimizer(network.parameters(), lr=0.1, weight_decay=0.1)
    before = copy.deepcopy(network.state_dict())
    hold_encoder(network.encoder, True)
    step(network, descent)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) is name.startswith("encoder") for name in before)
    network.eval()  # an evaluation comes between, after which Lightning sets each module's mode as it was
    network.train()
    network.encoder.eval()
    hold_encoder(network.encoder, False)
    assert all(module.training for module in network.modules())
    step(network, descent)
    assert all(not torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_encoder_has_a_group_of_its_own_only_where_its_lr_is_another() -> None:
    network, extra = Small(), nn.Conv2d(2, 2, 1)
    assert [id(p) for p in parameter_groups(network, [], 1.0)] == [id(p) for p in network.parameters()]
    optimizer = torch.optim.SGD(parameter_groups(network, extra.parameters(), 0.1), lr=0.5)
    scale_encoder_lr(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]
    ids = [{id(p) for p in group["params"]} for group in optimizer.param_groups]
    assert ids[1] == {id(p) for p in network.encoder.parameters()}
    assert ids[0] == {id(p) for p in [*network.head.parameters(), *extra.parameters()]}


def test_a_network_without_an_encoder_is_named() -> None:
    with pytest.raises(UserError, match=r"encoder_lr=0.1 is about the network's encoder.*got Conv2d without one"):
        parameter_groups(nn.Conv2d(1, 2, 1), [], 0.1)


def test_training_alone_is_compiled_and_leaves_no_trace_in_what_is_kept(monkeypatch) -> None:
    asked: list[bool] = []

    def compiles(function, **_):
        def call(image):
            asked.append(network.training)
            return function(image)

        return call

    monkeypatch.setattr(torch, "compile", compiles)
    network, image = Small(), torch.randint(0, 255, (2, 1, 8, 8), dtype=torch.uint8)
    module = Segmentation(
        *(network, nn.CrossEntropyLoss()),
        optimizer=functools.partial(torch.optim.SGD, lr=0.1),
        scheduler=lambda optimizer, steps: None,
        steps=1,
        classes=("a", "b"),
        ignore_index=255,
        mean=[100.0],
        std=[50.0],
        compiled=True,
    )
    plain = copy.deepcopy(network).eval()
    module.eval()
    assert torch.equal(module(image), plain((image.float() - 100) / 50)) and not asked
    assert all(not key.startswith("compiled") and "_orig_mod" not in key for key in module.state_dict())
    assert {id(one) for one in module.modules()} >= {id(network)} and len(list(module.parameters())) == 6
    module.train()
    module(image)
    assert asked == [True]
    assert copy.deepcopy(module).state_dict().keys() == module.state_dict().keys()
