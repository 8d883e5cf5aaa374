"""Strength over the epochs."""

from collections.abc import Callable

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.aug import Policy, ScheduledPolicy
from segtrain.aug.policy import factor
from segtrain.config.composition import plain
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets.shapes import Shapes
from segtrain.errors import UserError
from segtrain.parts.data import build_policy, build_schedule


def test_the_four_schedules() -> None:
    def over(schedule: str) -> list[float]:
        return [factor(schedule, epoch, 5) for epoch in range(5)]

    assert over("constant") == [1, 1, 1, 1, 1]
    assert over("linear_up") == [0, 0.25, 0.5, 0.75, 1]
    assert over("linear_down") == [1, 0.75, 0.5, 0.25, 0]
    assert over("off_last_2_epochs") == [1, 1, 1, 0, 0]
    assert over("off_last_0_epochs") == [1] * 5 and over("off_last_9_epochs") == [0] * 5
    assert factor("linear_up", 0, 1) == factor("linear_down", 0, 1) == 1


@pytest.mark.parametrize("wrong", ["linear", "off_last_n_epochs", "off_last_5_epochs_", None, 3])
def test_another_schedule_is_refused_with_the_choices(wrong: object) -> None:
    with pytest.raises(UserError, match="linear_up, linear_down or off_last_N_epochs"):
        factor(wrong, 0, 5)  # type: ignore[arg-type]


def built(composed: Callable[..., DictConfig], *overrides: str) -> Policy | ScheduledPolicy:
    return build_schedule(RunConfig(composed("dataset=shapes", "trainer.max_epochs=5", *overrides)), Shapes())


def test_each_epoch_is_the_policy_of_its_strength(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=medical_elastic", "aug.strength=2", "aug.schedule=linear_up")
    sample = Shapes().read(0)
    for epoch, strength in enumerate([0, 0.5, 1, 1.5, 2]):
        alone = build_policy(
            RunConfig(composed("dataset=shapes", "aug=medical_elastic", f"aug.strength={strength}")), Shapes()
        )
        for index in range(4):
            key = (0, epoch, index)
            assert all(np.array_equal(a, b) for a, b in zip(policy(*sample, key), alone(*sample, key), strict=True))
            assert np.array_equal(policy.tensors(*sample, key)[0], alone.tensors(*sample, key)[0])
    assert policy.at(99) is policy.at(4) and policy.at(4) is not policy.at(3)


def test_strength_0_phases_are_bit_identical_to_none(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=geometric", "aug.schedule=off_last_2_epochs")
    none = built(composed, "aug=none", "aug.schedule=linear_down")
    image, mask = Shapes().read(0)
    same = [
        all(np.array_equal(policy(image, mask, (0, e, i))[0], none(image, mask, (0, e, i))[0]) for i in range(8))
        for e in range(5)
    ]
    assert same == [False, False, False, True, True]
    assert len({id(policy.at(epoch)) for epoch in range(5)}) == 2  # one object a distinct strength


def test_the_schedule_is_rebuilt_from_a_saved_config(composed: Callable[..., DictConfig]) -> None:
    config = composed("dataset=shapes", "trainer.max_epochs=3", "aug=geometric", "aug.schedule=linear_down")
    saved = DictConfig(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(plain(config, {})))))
    image, mask = Shapes().read(0)
    first, again = build_schedule(RunConfig(config), Shapes()), build_schedule(RunConfig(saved), Shapes())
    for epoch in range(3):
        assert np.array_equal(first(image, mask, (0, epoch, 1))[0], again(image, mask, (0, epoch, 1))[0])
    assert config.aug.strength == saved.aug.strength == 1


def test_epochs_of_a_mixing_policy_share_their_partners(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=copy_paste", "aug.schedule=linear_up")
    assert policy.at(0).partners is None and policy.at(1).partners is policy.at(4).partners is not None
    assert set(policy.at(4).partners.indices) < set(range(64))


def test_a_training_without_end_has_no_schedule(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(UserError, match=r"trainer\.max_epochs ≥ 1"):
        built(composed, "aug=flips", "trainer.max_epochs=-1", "aug.schedule=linear_up")
