"""Draws that come again in another worker or epoch of a loader."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from segtrain.app.check.augmentation_audit import RepeatedPair, mark_draws
from segtrain.aug.audit.draws import repeats_line
from segtrain.config.run_config import RunConfig
from segtrain.parts.policy import build_policy
from tests.aug.audit.test_audit import SHAPES, Cells, seeded


@pytest.mark.parametrize("seed", [0, None])
def test_plain_albumentations_repeats_draws_in_two_workers_and_every_epoch(seed: int | None) -> None:
    line = repeats_line(mark_draws(Cells(seeded(seed)), workers=2))
    assert line.verdict == "fail" and line.value == 100


@pytest.mark.parametrize("preset", ["none", "flips", "medical_elastic"])
def test_keyed_draws_are_not_repeated(preset: str, composed: Callable[..., DictConfig]) -> None:
    policy = build_policy(RunConfig(composed(f"aug={preset}", "data.crop=null")), SHAPES)
    assert repeats_line(mark_draws(RepeatedPair(policy, *SHAPES.read(0)), workers=2)).verdict == "ok"
