"""What a pasted pipeline may not do in training alone."""

from typing import Any

import albumentations as A
import numpy as np
import pytest
from albumentations.pytorch import ToTensorV2

from segtrain.aug import Policy, tail
from segtrain.aug.audit import audit
from segtrain.aug.torchvision import TorchVision
from segtrain.errors import UserError

KEY = (0, 0, 0, 0)


def pair(dtype: type = np.uint8, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(1, 200, (40, 48, channels)).astype(dtype), rng.integers(0, 3, (40, 48)).astype(np.uint8)


class Halved(A.ImageOnlyTransform):
    """One of a user's own, that makes floats."""

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return (img / 2).astype(np.float32)


class Ours:
    """One with draw and act, that drops the image's channels but one."""

    p = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        return None

    def act(self, image: np.ndarray, mask: np.ndarray, draw: None) -> tuple[np.ndarray, np.ndarray]:
        return image[..., :1], mask


@pytest.mark.parametrize(
    "listed",
    [
        [A.HorizontalFlip(), A.Normalize(), ToTensorV2()],
        [A.ToFloat()],
        [A.FromFloat()],
        [A.Compose([A.HorizontalFlip(), A.OneOf([A.Normalize(), A.NoOp()])])],
    ],
    ids=["tutorial", "to float", "from float", "nested"],
)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_what_the_framework_does_itself_is_refused_each_by_its_name(listed: list[Any], strength: float) -> None:
    with pytest.raises(UserError) as refused:
        Policy(listed, strength=strength)
    for name in sorted({kind for one in listed for kind in tail._names(one)} & {*tail.OWN_JOB}):
        assert name in str(refused.value)


def test_also_in_torchvisions_form() -> None:
    import torch
    from torchvision.transforms import v2

    for one in (v2.Normalize([0.5], [0.5]), v2.ToDtype(torch.float32, scale=True), v2.ToImage()):
        with pytest.raises(UserError, match=type(one).__name__):
            TorchVision([v2.RandomHorizontalFlip(), v2.RandomApply([one])])


@pytest.mark.parametrize("one", [Halved(p=1), A.ToGray(num_output_channels=1, p=1), Ours()])
def test_whatever_changes_type_or_channels_is_refused_where_it_acts(one: Any) -> None:
    policy = Policy([one])
    with pytest.raises(UserError, match=type(one).__name__):
        policy(*pair(), KEY)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_keeps_them_is_not(dtype: type) -> None:
    policy = Policy([A.HorizontalFlip(p=1), A.RandomBrightnessContrast(p=1), A.Resize(32, 32)])
    image, _ = policy(*pair(dtype), KEY)
    assert image.dtype == dtype


@pytest.mark.parametrize(
    ("one", "alone"),
    [
        (A.Resize(32, 32), True),
        (A.PadIfNeeded(64, 64), True),
        (A.CLAHE(p=1), True),
        (A.ToGray(p=1), True),
        (A.Sequential([A.CenterCrop(32, 32)], p=1), True),
        (A.CLAHE(p=0.5), False),
        (A.OneOf([A.CLAHE(p=1), A.NoOp()], p=1), False),
        (A.Sequential([A.CenterCrop(32, 32)], p=0.5), False),
        (A.Rotate(p=1), False),
    ],
)
def test_what_every_use_would_need_too_is_said(one: Any, alone: bool) -> None:
    assert bool(tail.training_alone([one])) == alone
    (line,) = [line for line in audit(Policy([one]), [(0, *pair())], "abc", 255, seconds=1)[0] if "use" in line.check]
    assert line.verdict == ("warn" if alone else "ok")
