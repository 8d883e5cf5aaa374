"""What differs between two configs, one of which may be older than some keys."""

import json
from collections.abc import Callable

import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.config.run_config import RunConfig
from segtrain.parts.config_changes import completed, differences
from tests.app.train.test_train import only_run
from tests.conftest import SMALL, CommandLine

NEW = ("init_from", "freeze_encoder", "encoder_lr", "deep_supervision")  # since segtrain's first runs


@pytest.fixture
def old(composed: Callable[..., DictConfig]) -> DictConfig:
    """A config from before these keys."""
    config = composed("seed=3", "data.crop=[32,64]")
    OmegaConf.set_struct(config, False)
    for key in (*NEW, "data.on_bad"):
        parent, _, last = key.rpartition(".")
        del (config[parent] if parent else config)[last]
    return config


def test_a_key_that_came_later_is_at_its_default(old: DictConfig, composed: Callable[..., DictConfig]) -> None:
    whole = completed(RunConfig(old))
    assert {key: whole[key] for key in NEW} == dict(zip(NEW, (None, 0, 1.0, False), strict=True))
    assert whole.seed == 3 and whole.data.crop == [32, 64] and whole.data.on_bad == "raise"
    assert not differences(whole, RunConfig(composed("seed=3", "data.crop=[32,64]")))
    assert differences(whole, RunConfig(composed("seed=3", "data.crop=[32,64]", "freeze_encoder=2"))) == {
        "freeze_encoder": (0, 2)
    }


def test_what_a_run_has_is_left_as_it_is(composed: Callable[..., DictConfig]) -> None:
    config = composed("freeze_encoder=2", "ema=0.9", "aug=medical_elastic")
    assert not differences(completed(RunConfig(config)), RunConfig(config)) and "defaults" not in completed(
        RunConfig(config)
    )


@pytest.mark.slow
def test_a_run_older_than_the_keys_is_known_again_and_goes_on(segtrain: CommandLine) -> None:
    short = [*(o for o in SMALL if not o.startswith("trainer.max_epochs")), "trainer.max_epochs=1"]
    assert segtrain(*short) == 0, segtrain.err
    run = only_run(segtrain.folder)
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    (run / "config.yaml").write_text("".join(line for line in lines if not line.startswith(NEW)))
    assert segtrain(*short) == 0 and "finished already" in segtrain.out, segtrain.err
    assert segtrain(f"resume={run}", "trainer.max_epochs=2", "freeze_encoder=1") == 2
    assert "freeze_encoder: 0 there, 1 now" in segtrain.err and "resume_allow=[freeze_encoder]" in segtrain.err
    assert segtrain(f"resume={run}", "encoder_lr=0.5", "deep_supervision=[1,0]", "resume_allow=[encoder_lr]") == 2
    for said in (
        "encoder_lr: 1.0 there, 0.5 now",
        "cannot go on with another",
        "deep_supervision[1]: None there, 0 now",
    ):
        assert said in segtrain.err, said
    assert segtrain(f"resume={run}", "trainer.max_epochs=2") == 0, segtrain.err
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert OmegaConf.load(run / "config.yaml").encoder_lr == 1.0
