"""Networks that cannot become a graph, or one file."""

from pathlib import Path

import pytest
from torch import Tensor, nn

from segtrain.app import onnx_writer
from segtrain.errors import UserError
from segtrain.model.trained import Trained


class Choosy(nn.Module):
    """A network whose path depends on the pixels."""

    def forward(self, image: Tensor) -> Tensor:
        return image if image.sum() > 0 else -image


def test_a_network_that_cannot_be_followed_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Choosy cannot be exported as a graph.*format=safetensors$"):
        onnx_writer.write_onnx(Trained(Choosy(), [0.0], [1.0]), {"channels": 1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_beyond_one_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "LARGEST", 10)
    with pytest.raises(UserError, match=r"format=torch_export or format=safetensors$"):
        onnx_writer.write_onnx(Trained(nn.Conv2d(1, 2, 1), [0.0], [1.0]), {"channels": 1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
