"""Further outputs in training: which, how they weigh, and that the network stays as it is."""

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from segtrain.area import shrink_labels
from segtrain.errors import UserError
from segtrain.model.losses import CrossEntropy, DiceCE
from segtrain.model.supervision import Supervision, shrunk

LOSS = CrossEntropy(255)


def unet(kind=smp.Unet, depth: int = 5):
    torch.manual_seed(0)
    channels = [16, 12, 8, 6, 4][:depth]
    return kind(
        "tu-test_resnet", encoder_weights=None, encoder_depth=depth, decoder_channels=channels, in_channels=1, classes=3
    )


def commonest(mask: np.ndarray, factor: int) -> np.ndarray:
    """The commonest label of each square of `factor` pixels a side, of equals the lowest."""
    height, width = (side // factor for side in mask.shape)
    squares = mask.reshape(height, factor, width, factor).swapaxes(1, 2).reshape(height * width, -1)
    found = [np.bincount(square).argmax() for square in squares]
    return np.array(found, np.uint8).reshape(height, width)


def batch(side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.randint(0, 3, (2, side, side), generator=generator, dtype=torch.uint8)
    mask[:, :5] = 255
    return torch.randn(2, 1, side, side, generator=generator), mask


def test_weights_halve_and_the_u_nets_coarsest_stage_is_left_out() -> None:
    deep, shallow, nested = Supervision(unet()), Supervision(unet(depth=3)), Supervision(unet(smp.UnetPlusPlus))
    assert deep.names == ["decoder.blocks.3", "decoder.blocks.2", "decoder.blocks.1"]
    assert deep.weights == pytest.approx([8 / 15, 4 / 15, 2 / 15, 1 / 15])  # nnU-Net's, one stage more being 0
    assert shallow.names == ["decoder.blocks.1"] and shallow.weights == pytest.approx([2 / 3, 1 / 3])
    assert nested.names == [f"decoder.blocks.x_{i}_3" for i in (1, 2, 3)]


def test_the_loss_is_the_weighted_sum_worked_out_by_hand() -> None:
    network = unet().eval()
    supervision = Supervision(network, [2, 1, 1])
    image, mask = batch()
    with torch.no_grad():
        got = supervision(network, lambda: network(image), mask, LOSS)
        features = network.encoder(image)[1:][::-1]
        x, stages = features[0], []
        for i, block in enumerate(network.decoder.blocks):
            skip = features[i + 1] if i + 1 < len(features) else None
            x = block(x, x.shape[-2] * 2, x.shape[-1] * 2, skip_connection=skip)
            stages.append(x)
        logits = [network(image), supervision.heads[0](stages[3]), supervision.heads[1](stages[2])]
        masks = [mask, *(torch.from_numpy(np.stack([commonest(one.numpy(), k) for one in mask])) for k in (2, 4))]
        each = [F.cross_entropy(a, b.long(), ignore_index=255) for a, b in zip(logits, masks, strict=True)]
    assert float(got) == pytest.approx(float(each[0] / 2 + each[1] / 4 + each[2] / 4), rel=1e-6)


@pytest.mark.parametrize("kind", [smp.Unet, smp.UnetPlusPlus])
def test_every_head_learns_and_the_network_keeps_no_ear(kind) -> None:
    network = unet(kind)
    keys = set(network.state_dict())
    supervision = Supervision(network)
    image, mask = batch()
    supervision(network, lambda: network(image), mask, DiceCE(255)).backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in supervision.parameters())
    assert set(network.state_dict()) == keys and not any(m._forward_hooks for m in network.modules())
    with pytest.raises(ZeroDivisionError):
        supervision(network, lambda: 1 / 0, mask, LOSS)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_heads_take_nothing_from_the_trainings_random_numbers() -> None:
    network = unet()
    before = torch.get_rng_state()
    Supervision(network)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_logit_for_two_classes() -> None:
    network = smp.Unet("tu-test_resnet", encoder_weights=None, in_channels=1, classes=1)
    assert {head.out_channels for head in Supervision(network).heads} == {1}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_a_mask_at_another_size_has_no_new_labels(dtype: torch.dtype) -> None:
    mask = torch.tensor([0, 1, 2, 255], dtype=dtype)[torch.randint(0, 4, (3, 33, 20))]
    small = shrunk(mask, (17, 5), 3)
    assert small.shape == (3, 17, 5) and small.dtype == dtype
    assert set(small.unique().tolist()) <= set(mask.unique().tolist())


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 4, 8]), st.integers(0, 99))
def test_a_smaller_mask_holds_the_commonest_label_of_each_area(height: int, width: int, factor: int, seed: int) -> None:
    values = np.array([0, 1, 2, 255], np.uint8)
    mask = values[np.random.default_rng(seed).integers(0, 4, (height * factor, width * factor))]
    small = shrunk(torch.from_numpy(mask)[None], (height, width), 3)[0].numpy()
    np.testing.assert_array_equal(small, commonest(mask, factor))
    np.testing.assert_array_equal(small, shrink_labels(mask, (width, height)))


def test_what_cannot_be_supervised_is_named() -> None:
    with pytest.raises(UserError, match=r"got FPN.* deep_supervision=false"):
        Supervision(smp.FPN("tu-test_resnet", encoder_weights=None))
    with pytest.raises(UserError, match=r"has 6 weights; expected from 2 to 5"):
        Supervision(unet(), [1] * 6)
