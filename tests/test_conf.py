"""Every file in conf/ is tested by existing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segtrain.app.sweep.sweep import plan_sweep
from segtrain.config.composition import conf_dir, plain
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding, build_data
from segtrain.parts.network import build_network
from segtrain.parts.policy import build_policy

GROUPS = sorted(p for p in conf_dir().iterdir() if p.is_dir() and p.name != "hydra")
CHOICES = [(group.name, path.stem) for group in GROUPS for path in sorted(group.glob("*.yaml"))]


class Composed(NamedTuple):
    """Stands for the composer of a sweep that Hydra makes."""

    composed: Callable[..., DictConfig]

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        return self.composed(*overrides)

    def parse(self, overrides: Sequence[str]) -> list[Any]:
        return OverridesParser.create().parse_overrides(list(overrides))


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_opens_with_a_comment_and_composes(
    group: str, choice: str, composed: Callable[..., DictConfig]
) -> None:
    assert (conf_dir() / group / f"{choice}.yaml").read_text().startswith("# ")
    needed = OmegaConf.missing_keys(composed(f"{group}={choice}"))
    config = composed(f"{group}={choice}", *(f"{key}=given" for key in needed))
    OmegaConf.to_container(config, resolve=True)
    plain(config, {})


@pytest.mark.parametrize(("group", "choice"), [c for c in CHOICES if c[0] != "experiment"])
def test_every_choice_is_built(group: str, choice: str, composed: Callable[..., DictConfig]) -> None:
    config = composed("dataset=shapes", f"{group}={choice}")
    if choice in ("gpu", "mlflow", "wandb", "tensorboard", "csv") or OmegaConf.missing_keys(config):
        pytest.skip("built elsewhere: needs files, a GPU or an extra")
    dataset = build_dataset(RunConfig(config))
    if group == "aug":
        build_policy(RunConfig(config), dataset)
    elif group == "dataset":
        config.data.num_workers = 0
        assert len(build_data(RunConfig(config), Feeding(RunConfig(config), dataset)).split.train)
    elif group == "model":
        build_network(RunConfig(config).model, dataset.channels, len(dataset.classes))
    elif group == "loss":
        build(RunConfig(config).loss, ignore_index=255)
    elif group in ("optimizer", "scheduler"):
        assert callable(build(RunConfig(config)[group]))
    elif group == "split":
        split = RunConfig(config).split
        assert split is not None and split.where == f"dataset/shapes.yaml with split={choice}"
        assert callable(build(split, leave_out=["allow_leak"]).assign)
    elif group == "trainer":
        config.trainer.precision = "32-true"
        if "strategy" in config.trainer:  # which is made for the processes that there are, see test_together
            config.trainer.strategy, config.trainer.devices = "auto", 1
        build(RunConfig(config).trainer, logger=False, enable_checkpointing=False)
    elif group == "sweep":
        params = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{choice}.yaml"))
        jobs = plan_sweep(Composed(composed), params, [])
        seeds = [override for job in jobs for override in job if override.startswith("seed=")]
        assert seeds == sorted(seeds, key=lambda seed: int(seed[5:])) and len({*map(tuple, jobs)}) == len(jobs) > 1
        for job in [job for job in jobs if not seeds or seeds[0] in job]:  # find chooses seeds itself
            assert build_policy(RunConfig(composed("dataset=shapes", *job)), dataset)
    else:
        raise AssertionError(f"the group {group} is not tested")


def test_a_run_names_no_file_of_this_machine(composed: Callable[..., DictConfig]) -> None:
    assert str(conf_dir()) not in OmegaConf.to_yaml(composed())


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "PGPASSWORD", "db_password", "WANDB_API_KEY"]
)
def test_a_config_is_told_no_secret_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stand in the run's folder and go to its loggers; the rest of the environment is as OmegaConf has it."""
    monkeypatch.setenv(name, "hush")
    for text in (f"${{oc.env:{name}}}", f"${{oc.env:{name},x}}", f"a/${{oc.env:{name}}}"):
        with pytest.raises(OmegaConfBaseException, match="anyone may read"):
            OmegaConf.to_container(OmegaConf.create({"a": text}), resolve=True)


def test_a_config_may_ask_for_a_folder_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_ROOT", "cells")
    node = OmegaConf.create(
        {"a": "${oc.env:DATA_ROOT}/x", "b": "${oc.env:NOT_THERE,y}", "c": "${oc.env:NOT_THERE,null}"}
    )
    assert OmegaConf.to_container(node, resolve=True) == {"a": "cells/x", "b": "y", "c": None}
