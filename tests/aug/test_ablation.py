"""Ops left out, or kept alone: the others draw what they drew before."""

from collections.abc import Callable

import numpy as np
import pytest
from omegaconf import DictConfig

from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.parts.data import build_dataset
from segtrain.parts.policy import build_policy

Composed = Callable[..., DictConfig]
KEY = (0, 1, 2)


def augmented(composed: Composed, *overrides: str) -> np.ndarray:
    config = composed("dataset=shapes", "data.crop=null", *overrides)
    dataset = build_dataset(RunConfig(config))
    return build_policy(RunConfig(config), dataset)(*dataset.read(0), KEY)[0]


def test_every_op_left_out_is_no_augmentation(composed: Composed) -> None:
    flips = ["aug=flips", "aug.without=[hflip,vflip,turn]"]
    assert (augmented(composed, *flips) == augmented(composed, "aug=none")).all()


def test_an_op_alone_is_the_policy_without_the_others(composed: Composed) -> None:
    pose = "hflip,rotate,scale,elastic"
    alone = augmented(composed, "aug=medical_elastic", f"aug.only=[{pose}]")
    rest = augmented(composed, "aug=medical_elastic", "aug.without=[brightness,contrast,gamma,noise,bias]")
    assert (alone == rest).all()


def test_ops_of_other_transforms_go_by_their_class(composed: Composed) -> None:
    aug = (
        "aug.transforms=[{_target_: albumentations.HorizontalFlip, p: 1}, {_target_: segtrain.aug.Geometry, vflip: 1}]"
    )
    assert (augmented(composed, aug, "aug.without=HorizontalFlip") == augmented(composed, aug, "aug.only=vflip")).all()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("aug.without=[elastik]", "no op 'elastik'.*its ops are hflip, rotate"),
        ("aug.only=[blur]", "no op 'blur'"),
    ],
)
def test_an_op_that_is_none_is_named(composed: Composed, typed: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        augmented(composed, "aug=medical_elastic", typed)


def test_not_both(composed: Composed) -> None:
    with pytest.raises(UserError, match="both given"):
        augmented(composed, "aug=flips", "aug.only=[hflip]", "aug.without=[vflip]")
