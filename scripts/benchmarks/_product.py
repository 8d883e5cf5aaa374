"""A training as the train verb builds it, but on batches that are ready: for timing the loop and nothing else."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from rich.console import Console
from torch.utils.data import DataLoader

from segtrain.app.train.assembly import Parts, assemble
from segtrain.app.train.open_run import open_run
from segtrain.app.train.terminal import Terminal
from segtrain.app.train.train import run_of
from segtrain.config.composition import conf_dir, register_resolvers
from segtrain.config.trust import trust
from segtrain.interrupts import Stops
from segtrain.lightning import L

DISTINCT_BATCHES = 8  # more would only cost memory: nothing here depends on the pixels


class ReadyBatches(L.LightningDataModule):
    """The first batches of a data module, made once and handed out again and again."""

    def __init__(self, data: L.LightningDataModule, steps: int) -> None:
        super().__init__()
        made = [batch for batch, _ in zip(data.train_dataloader(), range(DISTINCT_BATCHES), strict=False)]
        self.batches = [made[i % len(made)] for i in range(steps)]
        self.one_evaluation_batch = [next(iter(data.val_dataloader()))]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.one_evaluation_batch, batch_size=None)  # type: ignore[arg-type]


@contextmanager
def training(overrides: Sequence[str], changes: dict[str, Any], folder: Path) -> Iterator[tuple[Parts, ReadyBatches]]:
    """A new run below `folder` with all of its parts, ready to fit; the progress bar draws into the void.

    `overrides` are those of the command line; `changes` replace whole nodes of the decided config.
    """
    with assembled(overrides, changes, folder) as (parts, _):
        yield parts, ReadyBatches(parts.data, parts.config.data.steps_per_epoch)


@contextmanager
def assembled(overrides: Sequence[str], changes: dict[str, Any], folder: Path) -> Iterator[tuple[Parts, Path | None]]:
    """The parts of the run below `folder`, and the checkpoint from which it goes on, if there is one."""
    trust(["benchmarks"])
    config = composed([*overrides, f"outputs={folder}"])
    run = run_of(config)
    run.path.mkdir(parents=True, exist_ok=True)  # as the lock of a run makes it
    opened = open_run(config, run)
    decided = opened.config.changed(changes)
    with open(os.devnull, "w", encoding="utf-8") as void, Terminal(opened.run.path / "train.log") as terminal:
        terminal.console = Console(file=void, force_terminal=True)
        torch.set_num_threads(decided.threads)
        L.seed_everything(decided.seed, verbose=False)
        yield assemble(decided, opened.run, terminal, Stops(), opened.keeps_split), opened.checkpoint


def composed(overrides: Sequence[str]) -> DictConfig:
    """The config of `python -m segtrain train OVERRIDES`, with Hydra's own part where the app looks for it."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config
