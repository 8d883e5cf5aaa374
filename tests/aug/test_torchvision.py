"""torchvision v2 inside a policy: one draw for image and mask, keyed, and torch's own generator left as it was."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from segtrain.aug import Policy
from segtrain.aug.torchvision import TorchVision
from segtrain.errors import UserError


def pair(channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((40, 52), np.uint8)
    mask[5:20, 10:40], mask[25:35, 5:15] = 1, 2
    return (mask[..., None] * 60 + 30).repeat(channels, 2), mask


def test_flips_are_joint_and_independent_of_each_other() -> None:
    image, mask = pair()
    policy = Policy([TorchVision([v2.RandomHorizontalFlip(0.5), v2.RandomVerticalFlip(0.5)])])
    seen: dict[bytes, int] = {}
    for i in range(200):
        out, labels = policy(image, mask, (0, 0, i))
        assert np.array_equal(out[..., 0], labels * 60 + 30)
        seen[labels.tobytes()] = seen.get(labels.tobytes(), 0) + 1
    assert len(seen) == 4 and min(seen.values()) > 25


def test_draws_depend_on_the_key_and_torch_is_left_alone() -> None:
    image, mask = pair()
    policy = Policy([TorchVision([v2.RandomAffine(30), v2.ColorJitter(0.3), v2.GaussianNoise(sigma=0.1)])])
    image = image / np.float32(255)
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first = policy(image, mask, (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again, other = policy(image, mask, (0, 0, 1)), policy(image, mask, (0, 0, 2))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomAffine(40, translate=(0.3, 0.3)),
        v2.RandomRotation(45),
        v2.RandomPerspective(p=1),
        v2.RandomZoomOut(p=1),
        v2.Compose([v2.RandomCrop(60, pad_if_needed=True)]),
        v2.RandomApply([v2.ElasticTransform(200.0)], p=1),
    ],
    ids=lambda t: type(t).__name__,
)
def test_outside_is_ignored_and_labels_are_not_invented(transform: v2.Transform) -> None:
    image, mask = pair()
    policy = Policy([TorchVision([transform])], ignore_index=9)
    seen = np.concatenate([policy(image, mask + 1, (0, 0, i))[1].ravel() for i in range(8)])
    assert set(np.unique(seen)) <= {1, 2, 3, 9} and 9 in seen


def test_a_draw_replays() -> None:
    image, mask = pair()
    op = TorchVision([v2.RandomRotation(90)])
    draw = op.draw(np.random.default_rng(0), image.shape)
    again = type(draw).from_json(draw.to_json())
    assert np.array_equal(op.act(image, mask, draw)[0], op.act(image, mask, again)[0])


@pytest.mark.parametrize("channels", [1, 2])
def test_layout_and_memory(channels: int) -> None:
    image, mask = pair(channels)
    out, labels = Policy([TorchVision([v2.RandomHorizontalFlip(1)])], crop=16)(image, mask, (0, 0, 0))
    assert out.shape == (16, 16, channels) and out.flags.c_contiguous and labels.dtype == np.uint8


def test_mistakes_are_named() -> None:
    image, mask = pair()
    with pytest.raises(UserError, match="got int"):
        TorchVision([3])
    with pytest.raises(UserError, match="padding_mode='reflect'"):
        TorchVision([v2.RandomApply([v2.Pad(3, padding_mode="reflect")])])
    with pytest.raises(UserError, match="RandomCrop of TorchVision failed"):
        Policy([TorchVision([v2.RandomCrop(100)])])(image, mask, (0, 0, 0))
