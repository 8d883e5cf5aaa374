"""Builds the data module of a run."""

from segtrain.config.run_config import RunConfig
from segtrain.data.datamodule import DataModule
from segtrain.data.split import Split
from segtrain.interrupts import leave_to_parent
from segtrain.parts.cached import Feeding
from segtrain.parts.data import build_schedule, build_split, least_size


def build_data(config: RunConfig, feeding: Feeding, split: Split | None = None) -> DataModule:
    """Returns the data module, its policy built; without a split that of the config is assigned."""
    dataset = feeding.dataset
    split = split or build_split(config, dataset)
    return DataModule(
        dataset,
        split,
        build_schedule(config, dataset, split),
        seed=config.seed,
        batch_size=config.data.batch_size,
        steps_per_epoch=config.data.steps_per_epoch,
        num_workers=config.data.num_workers,
        weights=feeding.sampling(config.data.sampling, split.train),
        in_worker=leave_to_parent,
        least=least_size(config),
    )
