"""Which weights of a file fit a network."""

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from segmentation_models_pytorch.encoders._utils import patch_first_conv
from timm.models import adapt_input_conv
from torch import nn

from segtrain.errors import UserError
from segtrain.model.initial import begin_with, other_channels


def unet(seed: int = 0, channels: int = 3, classes: int = 2, kind=smp.Unet, encoder: str = "tu-test_resnet"):
    torch.manual_seed(seed)
    return kind(encoder, encoder_weights=None, in_channels=channels, classes=classes)


def conv(weight: torch.Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], bias=False)
    layer.weight = nn.Parameter(weight)
    return layer


@given(channels=st.integers(1, 9), seed=st.integers(0, 99))
def test_channels_are_adapted_as_timm_does(channels: int, seed: int) -> None:
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
    ours = other_channels(weight, channels)
    assert torch.equal(ours, adapt_input_conv(channels, weight.clone())) or channels == 3
    if channels != 3:
        theirs = nn.Sequential(conv(weight.clone()))
        patch_first_conv(theirs, channels)
        assert torch.allclose(ours, theirs[0].weight, atol=1e-6)


@given(before=st.integers(1, 6), channels=st.integers(1, 9))
def test_an_image_with_equal_channels_has_the_same_answer(before: int, channels: int) -> None:
    weight = torch.ones(4, before, 3, 3) * torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    plane = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    was = conv(weight)(plane.repeat(1, before, 1, 1))
    now = conv(other_channels(weight, channels))(plane.repeat(1, channels, 1, 1))
    assert torch.allclose(was, now, atol=1e-5)


@pytest.mark.parametrize("before", ["", "network.", "module.", "model."])
def test_names_match_behind_what_a_wrapper_put_before_them(before: str) -> None:
    source, network = unet(seed=1), unet()
    state = {f"{before}{name}": tensor for name, tensor in source.state_dict().items()}
    taken = begin_with(network, {**state, "mean": torch.zeros(1)}, 3)
    assert taken.unused == ["mean"] and not taken.random and not taken.adapted
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in network.state_dict().items())


def test_pretrained_weights_of_the_library_are_adapted_by_itself(tmp_path: Path) -> None:
    """`model.encoder_weights` with other channels: timm's own loading, from a file that we make."""
    torch.manual_seed(1)
    state = timm.create_model("test_resnet", pretrained=False).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    for channels in (1, 5):
        given = {"pretrained_cfg_overlay": {"file": str(tmp_path / "weights.pth")}}
        network = smp.Unet("tu-test_resnet", encoder_weights=True, in_channels=channels, classes=2, **given)
        expected = other_channels(state["conv1.0.weight"], channels)
        assert torch.equal(network.encoder.model.conv1[0].weight, expected)


def test_an_encoder_alone_fits() -> None:
    torch.manual_seed(1)
    backbone = timm.create_model("test_resnet", pretrained=False)
    network = unet()
    taken = begin_with(network, backbone.state_dict(), 3)
    assert {name for name in network.state_dict() if name.startswith("encoder.")} == set(taken.matched)
    assert taken.unused == ["fc.weight", "fc.bias"]
    assert torch.equal(network.encoder.model.conv1[0].weight, backbone.conv1[0].weight)


def test_other_channels_and_classes_are_adapted_or_left_and_listed() -> None:
    source, network = unet(seed=1, channels=3, classes=5), unet(channels=1, classes=2)
    head = network.segmentation_head[0].weight.clone()
    taken = begin_with(network, source.state_dict(), 1)
    assert taken.adapted == {"encoder.model.conv1.0.weight": "3 to 1 channels"}
    assert torch.equal(network.encoder.model.conv1[0].weight, source.encoder.model.conv1[0].weight.sum(1, keepdim=True))
    assert taken.random == {
        "segmentation_head.0.weight": "5x16x3x3 in the file, 2x16x3x3 here",
        "segmentation_head.0.bias": "5 in the file, 2 here",
    }
    assert taken.unused == list(taken.random) and torch.equal(network.segmentation_head[0].weight, head)
    assert len(taken.taken) + len(taken.random) == len(network.state_dict())


def test_the_encoder_of_another_architecture_is_enough() -> None:
    source, network = unet(seed=1, kind=smp.FPN), unet()
    taken = begin_with(network, source.state_dict(), 3)
    assert set(taken.matched) >= {name for name in network.state_dict() if name.startswith("encoder.")}
    assert "decoder.blocks.0.conv1.0.weight" in taken.random and "decoder.p5.weight" in taken.unused


def test_halves_become_the_networks_dtype_and_memory_stays_channels_last() -> None:
    source, network = unet(seed=1), unet().to(memory_format=torch.channels_last)
    begin_with(network, {name: value.half() for name, value in source.state_dict().items()}, 3)
    weight = network.encoder.model.conv1[0].weight
    assert weight.dtype == torch.float32 and weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, source.encoder.model.conv1[0].weight.half().float())


def test_another_network_is_refused_though_its_head_would_fit() -> None:
    network = unet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"none of its \d+ encoder weights.* encoder\."):
        begin_with(network, unet(encoder="mit_b0").state_dict(), 3)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(UserError, match="none of its 2 weights"):
        begin_with(nn.Conv2d(1, 2, 3), {"other": torch.zeros(1)}, 1)
