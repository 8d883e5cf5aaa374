"""Runs `python -m segtrain preview`: shows what a policy does to samples of the user's own data, without training."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from segtrain.config.composition import run_config
from segtrain.parts.data import build_dataset
from segtrain.runs.find_run import find_run


def preview(config: DictConfig) -> Path:
    """Draws samples at growing strength and each op alone; or, with replay=RUN, one sample as that run saw it.

    Returns:
        The folder of strengths.png, ops.png, draws.json and preview.html.
    """
    typed = list(HydraConfig.get().overrides.task)
    if config.replay is not None:
        find_run(str(config.replay), Path(config.outputs))  # a mistake is told before the seconds of an import
        from segtrain.app.preview.replay import replay  # needs the run's page, which imports Lightning: 3 s

        name, outputs = str(config.replay), Path(config.outputs)
        return replay(name, outputs, typed, sample=config.sample, epoch=config.epoch, view=config.view)
    decided = run_config(config)
    assert decided.aug  # amounts, which strength scales, are worked out
    dataset = build_dataset(decided)
    from segtrain.app.preview.sheets import write_preview  # torch, with albumentations: mistakes are told by now

    return write_preview(decided, dataset, typed)
