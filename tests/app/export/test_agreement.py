"""Files that compute something else are found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from segtrain.app.export.agreement import agreements, sizes
from segtrain.errors import UserError
from segtrain.model.normalised_network import NormalisedNetwork


@pytest.fixture
def model() -> NormalisedNetwork:
    torch.manual_seed(0)
    return NormalisedNetwork(nn.Conv2d(2, 3, 3, padding=1), [100.0, 10.0], [50.0, 5.0]).eval().requires_grad_(False)


def test_the_same_network_agrees_fully(model: NormalisedNetwork) -> None:
    found = agreements(model, model, 2, 32)
    assert [(one.absolute, one.relative, one.labels) for one in found] == [(0, 0, 1)] * len(sizes(32))
    shapes = {one.shape for one in found}
    assert len(shapes) >= 3 and any(s[0] > 1 for s in shapes) and any(s[2] != s[3] for s in shapes)


def wrong_at_one_size(logits: Tensor) -> Tensor:
    return logits * (1.0 if logits.shape[-2:] != (128, 64) else 1.01)


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "a little off": lambda logits: logits + 2e-3 * logits.abs().max(),
    "NaN": lambda logits: logits * float("nan"),
    "infinite": lambda logits: logits / 0,
    "another size": lambda logits: logits[..., :-1],
    "at one size alone": wrong_at_one_size,
}


@pytest.mark.parametrize("how", WRONG)
def test_another_result_is_refused(model: NormalisedNetwork, how: str) -> None:
    with pytest.raises(UserError, match="computes something else than the network"):
        agreements(model, lambda images: WRONG[how](model(images)), 2, 32)


def test_other_labels_are_refused_though_the_logits_are_near(model: NormalisedNetwork) -> None:
    """Two classes whose logits are equal but for less than the tolerance."""
    near = nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        near.weight.fill_(1.0)
        near.bias.copy_(torch.tensor([0.0, 1e-5]))  # type: ignore[union-attr]
    twins = NormalisedNetwork(near, [0.0, 0.0], [1.0, 1.0]).eval().requires_grad_(False)
    with pytest.raises(UserError, match=r"0\.0000% of labels agree"):
        agreements(twins, lambda images: twins(images).flip(1), 2, 32)


def test_a_file_that_does_not_run_is_told(model: NormalisedNetwork) -> None:
    def broken(images: Tensor) -> Tensor:
        raise RuntimeError("no kernel")

    with pytest.raises(UserError, match=r"does not run on images of \(1, 2, 64, 64\); got: no kernel"):
        agreements(model, broken, 2, 64)
