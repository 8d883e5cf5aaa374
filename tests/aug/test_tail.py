"""What a pasted pipeline may not do in training alone."""

from typing import Any

import albumentations as A
import numpy as np
import pytest
from albumentations.pytorch import ToTensorV2

from segtrain.aug import Policy, tail
from segtrain.aug.audit.audit import audit
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
    ("listed", "names"),
    [
        ([A.HorizontalFlip(), A.Normalize(), ToTensorV2()], ["Normalize", "ToTensorV2"]),
        ([A.ToFloat()], ["ToFloat"]),
        ([A.FromFloat()], ["FromFloat"]),
        ([A.Compose([A.HorizontalFlip(), A.OneOf([A.Normalize(), A.NoOp()])])], ["Normalize"]),
    ],
    ids=["tutorial", "to float", "from float", "nested"],
)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_what_the_framework_does_itself_is_refused_each_by_its_name(
    listed: list[Any], names: list[str], strength: float
) -> None:
    with pytest.raises(UserError) as refused:
        Policy(listed, strength=strength)
    assert all(name in str(refused.value) for name in names)


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


class Normalize(A.ImageOnlyTransform):
    """A user's own of that name, which keeps type and range, as of a stain."""

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return img


def test_a_class_of_ones_own_by_that_name_and_floats_for_a_while_are_not_refused() -> None:
    image, mask = pair(np.uint16)
    for one in (Normalize(p=1), A.Compose([A.ToFloat(65535), A.GaussNoise(p=1), A.FromFloat("uint16", p=1)])):
        assert Policy([one])(image, mask, KEY)[0].dtype == np.uint16


class Eighths(A.ImageOnlyTransform):
    """One of a user's own that always does the same."""

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return img // 32 * 32


def test_what_changes_nothing_of_these_images_is_not_said() -> None:
    image, mask = pair(channels=1)
    assert not tail.name_preparing([A.ToGray(p=1), A.PadIfNeeded(8, 8, p=1)], image, mask)
    assert tail.name_preparing([A.ToGray(p=1)], *pair())


@pytest.mark.parametrize(
    ("one", "alone"),
    [
        (Eighths(p=1), True),
        (A.Posterize(num_bits=(3, 3), p=1), True),
        (A.OneOf([A.Resize(32, 32, p=1)], p=1), True),
        (A.OneOf([A.Resize(32, 32, p=0.5), A.Resize(36, 36, p=1)], p=1), True),
        (A.HorizontalFlip(p=0.5), False),
        (A.RandomBrightnessContrast(p=1), False),
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
    assert bool(tail.name_preparing([one], *pair())) == alone
    (line,) = [line for line in audit(Policy([one]), [(0, *pair())], "abc", 255, seconds=1)[0] if "use" in line.check]
    assert line.verdict == ("warn" if alone else "ok")
