"""Networks that cannot become a graph, or one file."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from segtrain.app.export import write_onnx as onnx_writer
from segtrain.errors import UserError
from segtrain.model.normalised_network import NormalisedNetwork


def trained(network: nn.Module) -> NormalisedNetwork:
    return NormalisedNetwork(network, [0.0], [1.0]).eval().requires_grad_(False)


class Choosy(nn.Module):
    """A network whose path depends on the pixels."""

    def forward(self, image: Tensor) -> Tensor:
        return image if image.sum() > 0 else -image


def test_a_network_that_cannot_be_followed_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Choosy cannot be exported as a graph.*format=safetensors$"):
        onnx_writer.write_onnx(trained(Choosy()), {"channels": 1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_beyond_one_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "LARGEST", 10)
    with pytest.raises(UserError, match=r"format=torch_export or format=safetensors$"):
        onnx_writer.write_onnx(trained(nn.Conv2d(1, 2, 1)), {"channels": 1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), places=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_pooling_by_products_is_adaptive_pooling(rows: int, columns: int, places: tuple[int, int]) -> None:
    image = torch.randn(2, 3, rows, columns, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.adaptive_avg_pool2d(image, places)
    with onnx_writer.pooled_by_products():
        for pool in (nn.AdaptiveAvgPool2d(places), lambda image: nn.functional.interpolate(image, places, mode="area")):
            torch.testing.assert_close(pool(image), expected)
    assert nn.functional.adaptive_avg_pool2d(image, places).equal(expected)
