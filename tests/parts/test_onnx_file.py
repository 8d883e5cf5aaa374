"""ONNX files that are not what was asked for."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from segtrain.errors import UserError
from segtrain.parts.onnx_file import open_onnx


def written(path: Path, **metadata: str) -> Path:
    """An ONNX file that doubles its image, with this metadata."""
    shape = ["n", 1, "h", "w"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")]
    node = helper.make_node("Add", ["image", "image"], ["logits"])
    graph = helper.make_graph([node], "doubled", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


KNOWN = '{"classes": ["a", "b"], "palette": [[0, 0, 0]], "channels": 1, "ignore_index": 255, "stride": 32}'


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float64])
def test_images_of_any_type_become_logits(tmp_path: Path, kind: torch.dtype) -> None:
    network, about = open_onnx(written(tmp_path / "m.onnx", segtrain=KNOWN))
    images = torch.arange(24).reshape(2, 1, 3, 4).to(kind)
    got = network(images.transpose(2, 3))  # not contiguous
    assert got.dtype == torch.float32 and torch.equal(got, 2 * images.transpose(2, 3).float())
    assert about["classes"] == ["a", "b"]


@pytest.mark.parametrize(
    ("has_gpu", "told"), [(False, "torch sees no GPU"), (True, "expected the package onnxruntime-gpu")]
)
def test_a_gpu_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, told: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    path = written(tmp_path / "m.onnx", segtrain=KNOWN)
    with pytest.raises(UserError, match=f"device=gpu, but .*{told}"):
        open_onnx(path, "gpu")
    assert open_onnx(path, "auto")[1]["classes"] == ["a", "b"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.onnx'.*export run=RUN"):
        open_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", np.random.default_rng(0).bytes(4096)])
def test_a_file_that_is_no_onnx_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.onnx'"):
        open_onnx(path)


@pytest.mark.parametrize("metadata", [{}, {"segtrain": "{"}, {"segtrain": "[]"}, {"segtrain": '{"classes": []}'}])
def test_a_foreign_model_is_told(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(UserError, match="but not one that segtrain exported"):
        open_onnx(written(tmp_path / "m.onnx", **metadata))


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r'onnxruntime.* pip install "segtrain\[export\]"'):
        open_onnx(written(tmp_path / "m.onnx", segtrain=KNOWN))


@pytest.mark.parametrize("place", ["../weights.bin", "linked.bin", "absolute"])
def test_weights_that_lie_elsewhere_are_not_read(tmp_path: Path, place: str) -> None:
    secret = tmp_path / "weights.bin"
    secret.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    below = tmp_path / "below"
    below.mkdir()
    (below / "linked.bin").symlink_to(secret)
    model = onnx.load(written(below / "m.onnx", segtrain=KNOWN))
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": str(secret) if place == "absolute" else place, "length": "16"}.items():
        weights.external_data.add(key=key, value=value)
    model.graph.initializer.append(weights)
    model.graph.node[0].input[1] = "w"
    (below / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"m\.onnx"):
        open_onnx(below / "m.onnx")
