"""The precisions of Lightning's trainer, without a trainer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.lightning import L
from segtrain.model.normalised_network import compute_in

PRECISIONS = ["32-true", "32", 32, "64-true", "64", "16-true", "bf16-true", "16-mixed", "16", "bf16-mixed", "bf16"]


class Small(nn.Module):
    """Layers that autocast takes low, one that it does not, and a number made in the default type."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.layers(image).softmax(1) * torch.full((1,), 1 / 3)
        return logits


def trainer(**more: Any) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **quiet, **more)  # type: ignore[arg-type]


def lightning_context(precision: Any) -> Callable[[], Any]:
    """What Lightning's trainer enters around each step."""
    return trainer(precision=precision).precision_plugin.forward_context


@pytest.mark.filterwarnings("ignore:You passed `Trainer", "ignore:`precision=.*historical")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_computes_the_bits_of_lightning_s(precision: Any) -> None:
    network, image = Small().eval(), torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        with lightning_context(precision)():
            expected = network(image)
        with compute_in(precision, "cpu"):
            found = network(image)
            made = torch.zeros(1).dtype
        exact = network(image)
    assert found.dtype == expected.dtype and torch.equal(found, expected)
    assert torch.equal(found, exact) is (str(precision) in ("32-true", "32"))
    assert torch.get_default_dtype() == torch.float32 and not torch.is_autocast_enabled("cpu")
    low = {"64-true": torch.float64, "64": torch.float64, "16-true": torch.float16, "bf16-true": torch.bfloat16}
    assert made == low.get(str(precision), torch.float32)


@pytest.mark.parametrize("precision", ["8-true", "transformer-engine", "half"])
def test_another_precision_is_refused(precision: str) -> None:
    with (
        pytest.raises(UserError, match=rf"trainer\.precision is '{precision}'.*bf16-mixed"),
        compute_in(precision, "cpu"),
    ):
        pass
